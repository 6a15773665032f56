"""A point in the plane that looks for its goal."""
