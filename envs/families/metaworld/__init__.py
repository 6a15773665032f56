"""Meta-World (Yu et al. 2019; McLean et al. 2025): a Sawyer arm at fifty tabletop tasks, and suites of them."""
