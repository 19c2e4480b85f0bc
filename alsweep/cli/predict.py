"""``alsweep predict``: what a run's networks say of images."""


def predict() -> None:
    """Not made yet."""
