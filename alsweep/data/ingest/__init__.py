"""From a raw dataset to a Dataset: check, split, normalise, resample, write."""
