"""What numbers in label maps mean beside the classes, which count from 0, the background."""

IGNORE = 255
"""A voxel without a label: not annotated, no free label, or told to be ignored by the dataset."""
