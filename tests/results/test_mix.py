import numpy as np
import pytest

from alsweep.results.mix import ClassMix, class_mix


def test_classes_are_counted_by_voxels_and_by_patches():
    crops = [np.array([[[0, 1], [1, 2]]]), np.array([[[0, 0], [0, 1]]])]
    mix = class_mix(crops, classes=4)
    assert mix == ClassMix(voxels=(4, 3, 1, 0), patches=(2, 2, 1, 0))
    assert mix.shares == (0.5, 0.375, 0.125, 0.0)
    assert mix.foreground_share == pytest.approx(0.5)


def test_voxels_that_cannot_be_labelled_count_nowhere():
    mix = class_mix([np.array([[[0, 255], [1, 9]]], dtype=np.uint8)], classes=2)
    assert mix.voxels == (1, 1)


def test_no_patch_has_no_foreground():
    mix = class_mix([], classes=3)
    assert mix == ClassMix((0, 0, 0), (0, 0, 0))
    assert mix.foreground_share == 0
