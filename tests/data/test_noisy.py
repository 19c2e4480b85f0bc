import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from alsweep.data.annotator import Oracle
from alsweep.data.labels.noisy import Errors, NoisyOracle, with_errors
from alsweep.data.phantom import write_phantom
from alsweep.rng import stream


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    out = tmp_path_factory.mktemp("noisy") / "dataset"
    return write_phantom(out, cases=4, shape=(20, 20, 20), seed=3)


def spots(count: int) -> np.ndarray:
    """Cubes of class 1, none touching another."""
    labels = np.zeros((5, 5, 5 * count), np.uint8)
    labels[1:4, 1:4] = np.tile([0, 1, 1, 1, 0], count)
    return labels


def pieces(labels: np.ndarray) -> int:
    return int(ndimage.label(labels, np.ones((3, 3, 3)))[1])


@pytest.mark.parametrize("rate", [0.1, 0.4])
def test_pieces_are_overlooked_and_miscalled_at_the_stated_rates(rate):
    many = spots(2000)
    missed = with_errors(many, Errors(0.0, rate, 0.0), 3, stream(0, "missed"))
    assert abs(pieces(missed) / 2000 - (1 - rate)) < 0.04
    called = with_errors(many, Errors(0.0, 0.0, rate), 3, stream(0, "called"))
    assert abs(pieces(called == 2) / 2000 - rate) < 0.04
    assert np.array_equal(called > 0, many > 0)


@pytest.mark.parametrize("boundary", [0.8, 1.6])
def test_outlines_are_off_by_the_stated_standard_deviation(boundary):
    halves = np.zeros((40, 60, 60), np.uint8)
    halves[20:] = 1
    found = with_errors(halves, Errors(boundary, 0.0, 0.0), 2, stream(1, "outline"))
    # How far the border between the halves has moved along z, in each column.
    off = (found == 0).sum(axis=0) - 20
    assert abs(off.mean()) < 0.35
    assert 0.75 * boundary < off.std() < 1.25 * boundary + 0.15


@given(seed=st.integers(0, 100), boundary=st.sampled_from([0.0, 1.0]), rate=st.floats(0, 1))
def test_what_nobody_labelled_stays_so_and_no_new_class_appears(seed, boundary, rate):
    rng = stream(seed, "labels")
    labels = rng.choice(np.array([0, 0, 1, 2, 255], np.uint8), (6, 5, 7))
    found = with_errors(labels, Errors(boundary, rate, rate), 3, rng)
    assert np.array_equal(found == 255, labels == 255)
    assert set(np.unique(found)) <= {0, 1, 2, 255}
    assert found.dtype == np.uint8


def test_an_answer_follows_from_seed_and_patch_whoever_asks_and_when(phantom):
    case, errors = phantom.pool[0], Errors(1.0, 0.3, 0.3)
    boxes = [((0, 0, 0), (8, 9, 10)), ((4, 4, 4), (9, 9, 9)), ((12, 11, 10), (8, 9, 10))]
    one = NoisyOracle(phantom, errors, 7)
    first = [one.reveal(case, *box) for box in boxes]
    other = pickle.loads(pickle.dumps(one))
    again = [other.reveal(case, *box) for box in reversed(boxes)]
    assert all(np.array_equal(a, b) for a, b in zip(first, reversed(again), strict=True))
    assert any(
        not np.array_equal(a, NoisyOracle(phantom, errors, 8).reveal(case, *box))
        for a, box in zip(first, boxes, strict=True)
    )
    assert one.digest([]) == other.digest([]) != NoisyOracle(phantom, errors, 8).digest([])


def test_who_never_errs_says_what_the_oracle_says(phantom):
    box = (phantom.pool[1], (3, 2, 1), (9, 8, 7))
    faultless = NoisyOracle(phantom, Errors(0.0, 0.0, 0.0), 1)
    assert np.array_equal(faultless.reveal(*box), Oracle(phantom).reveal(*box))
