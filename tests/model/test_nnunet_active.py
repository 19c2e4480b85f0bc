from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsweep.model.nnunet_active import follow_nnactive

ALL = (-1, 0, 1)
SHAPE = (12, 30, 9)
WINDOW = (8, 10, 12)


def make_trainer(*, has_ignore=True, compiled=False, deep=True):
    """What of nnU-Net's trainer is changed; its loader gives back the voxels that it would take."""
    dice = SimpleNamespace(smooth=1e-5)
    loss = SimpleNamespace(dc=SimpleNamespace(_orig_mod=dice) if compiled else dice)
    loader = SimpleNamespace(
        has_ignore=has_ignore,
        annotated_classes_key=ALL,
        patch_size=WINDOW,
        get_bbox=lambda shape, force_fg, places: places,
    )
    return SimpleNamespace(
        loss=SimpleNamespace(loss=loss) if deep else loss,
        dice=dice,
        dataloader_train=SimpleNamespace(data_loader=loader),
    )


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("deep", [False, True])
def test_dice_is_not_smoothed(compiled, deep):
    trainer = make_trainer(compiled=compiled, deep=deep)
    follow_nnactive(trainer)
    assert trainer.dice.smooth == 0


@given(st.tuples(*(st.integers(0, n - 1) for n in SHAPE)))
def test_an_unforced_window_is_off_an_annotated_voxel_by_up_to_half_its_size(voxel):
    follow_nnactive(trainer := make_trainer())
    loader = trainer.dataloader_train.data_loader
    places = {ALL: np.array([[0, *voxel]]), 1: np.array([[0, 5, 5, 5]])}
    taken = np.array([loader.get_bbox(SHAPE, False, places)[ALL][0] for _ in range(200)])
    assert places[ALL].tolist() == [[0, *voxel]]
    assert (taken[:, 0] == 0).all()
    shift = taken[:, 1:] - voxel
    assert (shift >= -np.minimum(voxel, np.array(WINDOW) // 2)).all()
    assert (shift < np.minimum(np.array(SHAPE) - voxel, np.array(WINDOW) // 2)).all()
    assert len(np.unique(shift[:, 1])) > 4


def test_a_forced_window_and_a_case_without_annotation_are_left_to_nnunet():
    follow_nnactive(trainer := make_trainer())
    loader = trainer.dataloader_train.data_loader
    places = {ALL: np.array([[0, 1, 2, 3]]), 1: np.array([[0, 5, 5, 5]])}
    assert loader.get_bbox(SHAPE, True, places) is places
    none = {ALL: np.empty((0, 4), int)}
    assert loader.get_bbox(SHAPE, False, none) is none


def test_full_labels_leave_all_windows_to_nnunet():
    follow_nnactive(trainer := make_trainer(has_ignore=False))
    loader = trainer.dataloader_train.data_loader
    assert loader.get_bbox(SHAPE, False, places := {1: np.array([[0, 5, 5, 5]])}) is places
