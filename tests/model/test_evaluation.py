import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from monai.metrics import compute_dice

from alsweep.data.case import Region
from alsweep.model.evaluation import case_dice, mean_over_cases


def classes(count):
    return [Region(name=str(label), labels=(label,)) for label in range(1, count)]


maps = hnp.arrays(np.uint8, (3, 4, 5), elements=st.integers(0, 3))


@given(maps, maps)
def test_dice_equals_monais(predicted, reference):
    def onehot(labels):
        return torch.from_numpy(np.stack([labels == c for c in range(4)])[None])

    expected = compute_dice(
        onehot(predicted), onehot(reference), include_background=False, ignore_empty=False
    )
    found, referenced = case_dice(predicted, reference, classes(4))
    assert referenced == [(reference == label).any() for label in (1, 2, 3)]
    for ours, theirs, label in zip(found, expected[0].tolist(), (1, 2, 3), strict=True):
        if (predicted != label).all() and (reference != label).all():
            assert ours is None
        else:
            assert ours == pytest.approx(theirs)


def test_ignored_voxels_count_for_nothing():
    reference = np.array([[[0, 1, 1, 2, 255, 255]]], dtype=np.uint8)
    predicted = np.array([[[0, 1, 0, 2, 1, 2]]], dtype=np.uint8)
    assert case_dice(predicted, reference, classes(3)).dice == pytest.approx([2 / 3, 1.0])


def test_a_class_that_is_ignored_throughout_is_not_referenced():
    reference = np.array([[[0, 1, 255]]], dtype=np.uint8)
    assert case_dice(reference, reference, classes(3)).referenced == [True, False]


def test_counting_by_slabs_gives_what_counting_at_once_gives(monkeypatch):
    rng = np.random.default_rng(0)
    predicted, reference = rng.integers(0, 4, (2, 9, 5, 4), dtype=np.uint8)
    reference[3] = 255
    whole = case_dice(predicted, reference, classes(4))
    monkeypatch.setattr("alsweep.model.evaluation._VOXELS_AT_ONCE", 45)
    assert case_dice(predicted, reference, classes(4)) == whole


def test_mean_dice_is_the_mean_over_classes_of_the_mean_over_cases():
    by_case = {"a": [1.0, None], "b": [0.5, 0.2], "c": [0.0, None]}
    mean, per_class = mean_over_cases(by_case, [True, True])
    assert per_class == [0.5, 0.2]
    assert mean == pytest.approx(0.35)


def test_a_class_that_is_nowhere_defined_does_not_count():
    assert mean_over_cases({"a": [0.4, None]}, [True, True]) == (0.4, [0.4, None])
    assert mean_over_cases({"a": [None]}, [False]) == (None, [None])


def test_one_false_voxel_of_a_class_without_reference_moves_no_mean():
    reference = np.zeros((4, 4, 4), dtype=np.uint8)
    reference[0], reference[1] = 1, 2
    predicted = reference.copy()
    clean = case_dice(predicted, reference, classes(4))
    predicted[3, 3, 3] = 3
    false = case_dice(predicted, reference, classes(4))
    assert (clean.dice, false.dice) == ([1.0, 1.0, None], [1.0, 1.0, 0.0])
    for one in (clean, false):
        assert mean_over_cases({"a": one.dice}, one.referenced)[0] == 1.0
    # As in nnU-Net, it counts where another case has the class.
    counted = mean_over_cases({"a": false.dice, "b": [1.0, 1.0, 1.0]}, [True, True, True])
    assert counted == (pytest.approx((1 + 1 + 0.5) / 3), [1.0, 1.0, 0.5])


@given(maps, maps)
def test_dice_of_a_region_is_that_of_the_union_of_its_labels(predicted, reference):
    regions = [Region(name="all", labels=(1, 2, 3)), Region(name="core", labels=(2, 3))]
    dice = case_dice(predicted, reference, regions).dice
    for region, found in zip(regions, dice, strict=True):
        masks = [np.isin(labels, region.labels) for labels in (predicted, reference)]
        size = masks[0].sum() + masks[1].sum()
        expected = 2 * (masks[0] & masks[1]).sum() / size if size else None
        assert found == (None if expected is None else pytest.approx(expected))
