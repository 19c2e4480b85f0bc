"""Many trajectories: what a search space means, and making what is missing of it.

Only this room imports ray.
"""
