"""Which axes may be mirrored without mixing up left and right."""

import itertools

from alsweep.config.trajectory import TrainingConfig


def mirror_axes(training: TrainingConfig, classes: tuple[str, ...]) -> tuple[int, ...]:
    """Spatial axes (0 = z) that may be mirrored, in training and in TTA.

    ``auto`` is all of them, less x where two class names differ only by left and right: a mirrored
    left kidney would be labelled as the left one still.
    """
    if training.mirror_axes != "auto":
        return tuple("zyx".index(axis) for axis in dict.fromkeys(training.mirror_axes))
    return (0, 1) if has_sides(classes) else (0, 1, 2)


def has_sides(classes: tuple[str, ...]) -> bool:
    """Whether two class names differ only by left and right.

    >>> has_sides(("background", "kidney_left", "kidney_right"))
    True
    """
    return any(
        first != second and _swap_sides(first) == second
        for first, second in itertools.permutations([name.lower() for name in classes], 2)
    )


def _swap_sides(name: str) -> str:
    return name.replace("left", "\0").replace("right", "left").replace("\0", "right")
