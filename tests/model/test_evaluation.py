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
    found = case_dice(predicted, reference, classes(4))
    for ours, theirs, label in zip(found, expected[0].tolist(), (1, 2, 3), strict=True):
        if (predicted != label).all() and (reference != label).all():
            assert ours is None
        else:
            assert ours == pytest.approx(theirs)


def test_ignored_voxels_count_for_nothing():
    reference = np.array([[[0, 1, 1, 2, 255, 255]]], dtype=np.uint8)
    predicted = np.array([[[0, 1, 0, 2, 1, 2]]], dtype=np.uint8)
    assert case_dice(predicted, reference, classes(3)) == pytest.approx([2 / 3, 1.0])


def test_mean_dice_is_the_mean_over_classes_of_the_mean_over_cases():
    mean, per_class = mean_over_cases({"a": [1.0, None], "b": [0.5, 0.2], "c": [0.0, None]})
    assert per_class == [0.5, 0.2]
    assert mean == pytest.approx(0.35)


def test_a_class_that_is_nowhere_defined_does_not_count():
    assert mean_over_cases({"a": [0.4, None]}) == (0.4, [0.4, None])
    assert mean_over_cases({"a": [None]}) == (None, [None])


@given(maps, maps)
def test_dice_of_a_region_is_that_of_the_union_of_its_labels(predicted, reference):
    regions = [Region(name="all", labels=(1, 2, 3)), Region(name="core", labels=(2, 3))]
    for region, found in zip(regions, case_dice(predicted, reference, regions), strict=True):
        masks = [np.isin(labels, region.labels) for labels in (predicted, reference)]
        size = masks[0].sum() + masks[1].sum()
        expected = 2 * (masks[0] & masks[1]).sum() / size if size else None
        assert found == (None if expected is None else pytest.approx(expected))
