from dataclasses import replace

import numpy as np
import pytest

from alsweep.data.case import Box
from alsweep.people.page_task import PageTask


def task() -> PageTask:
    label = np.full((4, 5, 6), 255, np.uint8)
    label[1, 1, 1:3] = 0
    label[0, 0, 0] = 1
    return PageTask(
        id="loop_001_00",
        case="c",
        channels={"T1": np.zeros((4, 5, 6), np.float32)},
        affine=np.eye(4),
        box=Box(start=(1, 1, 1), size=(2, 3, 4)),
        prediction=None,
        score=None,
        label=label,
        why="",
    )


def test_only_voxels_inside_the_box_are_counted_as_painted() -> None:
    assert task().painted == 2


@pytest.mark.parametrize(
    "change",
    [
        {"score": np.zeros((6, 5, 4))},
        {"channels": {"T1": np.zeros((4, 5, 7))}},
        {"box": Box(start=(1, 1, 1), size=(2, 3, 6))},
    ],
)
def test_what_does_not_fit_the_crop_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="loop_001_00"):
        replace(task(), **change)
