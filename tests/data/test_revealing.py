"""What boxes, points and strokes tell of a patch."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import generate_binary_structure, label

from alsweep.data.annotator import Oracle
from alsweep.data.label_store import PartialLabels
from alsweep.data.labels.revealing import Revealing, revealed
from alsweep.geometry import Patch
from alsweep.label_codes import IGNORE, boxed

MODES = ("box", "points", "scribbles")
CLASSES = 4

maps = arrays(
    np.uint8, st.tuples(*[st.integers(1, 6)] * 3), elements=st.sampled_from([0, 0, 1, 2, 3, IGNORE])
)


def exact(told):
    return told < CLASSES


@pytest.mark.parametrize("mode", MODES)
@given(labels=maps)
def test_what_is_told_is_true_and_tells_of_the_same_foreground(mode, labels):
    told = revealed(labels, mode, CLASSES)
    known = exact(told)
    assert (told[known] == labels[known]).all()
    assert (told[labels == IGNORE] == IGNORE).all()
    foreground = set(np.unique(labels)) - {0, IGNORE}
    assert set(np.unique(told[known])) - {0} == foreground


@given(labels=maps)
def test_in_a_box_a_voxel_is_background_or_the_boxs_class(labels):
    told = revealed(labels, "box", CLASSES)
    for value in range(1, CLASSES):
        assert np.isin(labels[told == boxed(value, CLASSES)], (0, value)).all()
    # Outside all boxes nothing is left open.
    assert (labels[told == 0] == 0).all()


@given(labels=maps)
def test_a_box_tells_nothing_of_how_it_is_filled(labels):
    """Other labels with the same boxes and seeds are told of alike."""
    told = revealed(labels, "box", CLASSES)
    if any(pieces(labels == value) > 1 for value in range(1, CLASSES)):
        return
    filled = labels.copy()
    for value in range(1, CLASSES):
        filled[told == boxed(value, CLASSES)] = value
    again = revealed(filled, "box", CLASSES)
    seeds = exact(told) & (told > 0) | exact(again) & (again > 0)
    assert (again[~seeds] == told[~seeds]).all()


def pieces(mask):
    return label(mask, generate_binary_structure(3, 3))[1]


@given(labels=maps)
def test_each_piece_has_one_point(labels):
    told = revealed(labels, "points", CLASSES)
    for value in range(CLASSES):
        numbered, count = label(labels == value, generate_binary_structure(3, 3))
        assert sorted(numbered[told == value]) == list(range(1, count + 1))


def test_boxes_by_hand():
    labels = np.zeros((1, 5, 6), dtype=np.uint8)
    labels[0, 1:4, 1:4] = 1
    labels[0, 1, 1] = 0
    labels[0, 3, 3:5] = 2
    # Boxes: of 1 from (1, 1) to (3, 3), of 2 from (3, 3) to (3, 4); they share (3, 3).
    one, two = boxed(1, 3), boxed(2, 3)
    assert revealed(labels, "box", 3)[0].tolist() == [
        [0, 0, 0, 0, 0, 0],
        [0, one, one, one, 0, 0],
        [0, one, 1, one, 0, 0],
        [0, one, one, 2, two, 0],
        [0, 0, 0, 0, 0, 0],
    ]


def test_a_stroke_goes_along_the_longer_side_of_the_largest_slice():
    labels = np.full((2, 5, 7), IGNORE, dtype=np.uint8)
    labels[0, 2, 2] = 1
    labels[1, 1:4, 1:6] = 1
    told = revealed(labels, "scribbles", 2)
    stroke = np.zeros((2, 5, 7), dtype=bool)
    stroke[1, 2, 2:5] = True
    stroke[1, 1, [1, 5]] = True  # the ends are no deeper in their middle: the first of equals
    assert (told == 1).tolist() == stroke.tolist()


def test_partial_labels_hold_what_was_told_under_another_digest(phantom):
    case, patch = phantom.pool[0], Patch(phantom.pool[0], (4, 4, 4), (12, 12, 12))
    digests = set()
    for mode in ("dense", *MODES):
        annotator = Revealing(Oracle(phantom), mode, len(phantom.classes))
        shapes = {case: phantom.cases[case].shape}
        labels = PartialLabels(shapes, len(phantom.classes), annotator, [patch])
        told = revealed(Oracle(phantom).reveal(case, patch.start, patch.size), mode, 3)
        assert np.array_equal(pickle.loads(pickle.dumps(labels)).crop(patch), told)
        counts = np.bincount(told.ravel(), minlength=256)[: len(phantom.classes)]
        assert labels.class_voxels(case).tolist() == counts.tolist()
        assert labels.annotated_voxels() == patch.voxels
        digests.add(labels.digest())
    assert len(digests) == 4
