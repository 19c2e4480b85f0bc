"""Many trajectories: what a search space means, and the making of what is missing of it. Only this room imports ray."""
