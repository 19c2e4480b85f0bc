"""What numbers in label maps mean beside the classes, which count from 0, the background."""

IGNORE = 255
"""A voxel without a label: not annotated, no free label, or told to be ignored by the dataset."""

MOST_BOXED_CLASSES = (IGNORE + 1) // 2
"""Classes, background included, of which each can have a :func:`boxed` code."""


def boxed(label: int, classes: int) -> int:
    """Code of a voxel that is background or ``label``: it lies in a box round that class.

    >>> [boxed(label, classes=3) for label in (1, 2)]
    [3, 4]
    """
    return classes - 1 + label


def named(classes: tuple[str, ...], *, boxes: bool) -> tuple[str, ...]:
    """What the numbers from 0 on are called, those of boxes included where there are any."""
    return (*classes, *(f"background or {name}" for name in classes[1:])) if boxes else classes
