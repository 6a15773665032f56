"""To and from other interfaces: Gymnasium environments as families, families and lanes as Gymnasium environments."""
