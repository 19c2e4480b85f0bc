import json

import numpy as np
import pytest

from alsweep.errors import RunFolderError
from alsweep.geometry import Patch
from alsweep.report.analysis import analyse
from alsweep.report.queried import patch_slices, queried_patches
from alsweep.report.volumes import open_dataset
from alsweep.results.records import read_run

BOX, CLASS_1 = (255, 214, 10), (0, 229, 255)


def test_a_patch_is_drawn_in_three_planes_with_its_box_and_classes():
    image = np.zeros((16, 16, 16), dtype=np.float32)
    labels = np.zeros(image.shape, dtype=np.uint8)
    labels[5:11, 5:11, 5:11] = 1
    image[labels == 1] = 1.0
    drawn = patch_slices(image, labels, Patch("a", (4, 4, 4), (8, 8, 8)), (0.0, 2.0))
    assert drawn.shape == (96, 3 * 96 + 2 * 4, 3)
    planes = [drawn[:, start : start + 96] for start in (0, 100, 200)]
    for plane in planes:
        assert np.array_equal(plane, planes[0])
        assert tuple(plane[48, 48]) == (127, 127, 127)  # half of the grey scale
        assert (plane == BOX).all(axis=2).sum() == 4 * 31  # 8 of 24 voxels are 32 of 96 pixels
        assert (plane == CLASS_1).all(axis=2).any()
        assert tuple(plane[0, 0]) == (0, 0, 0)


def test_the_whole_log_comes_with_classes_and_pictures(phantom_run):
    run = read_run(phantom_run)
    one = run.trajectories[0]
    shown = queried_patches(one, open_dataset(run, one))
    assert [(s.loop, s.rank) for s in shown] == [(k, r) for k in range(3) for r in range(6)]
    assert all(s.slices is not None for s in shown)
    names = {name for s in shown for name in (s.classes or "").split(", ") if name}
    assert names <= set(open_dataset(run, one).classes[1:])
    assert [s.slices for s in queried_patches(one, None)] == [None] * 18


def test_what_a_report_says_comes_without_switches(run):
    said = analyse(run)
    assert {"win_matrix", "win_matrix_holm", "comparisons", "ranking", "aubc"} <= set(said.tables)
    assert said.figures.keys() == {"learning_curves", "win_matrix"}
    assert '"switch"' not in json.dumps(said.figures)
    assert said.pictures == {"win_matrix": b"not drawn"}
    assert said.numbers["trajectories_done"] == 6
    assert said.numbers["first"] == "random_fg66"


def test_there_is_nothing_to_say_of_what_is_not_finished(run):
    for path in run.glob("trajectories/*/records/loop_003.json"):
        path.unlink()
    with pytest.raises(RunFolderError, match="no trajectory is finished yet"):
        analyse(run)
