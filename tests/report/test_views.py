import numpy as np

from alsweep.geometry import Patch
from alsweep.report.views import look

ONE = Patch("a", (0, 2, 4), (2, 4, 5))
TWO = Patch("a", (1, 0, 0), (1, 1, 1))
THREE = Patch("b", (0, 0, 0), (3, 8, 10))


def test_each_case_is_asked_for_once_and_cut_through_the_middle_of_its_patches():
    asked = []

    def predict(case):
        asked.append(case)
        scores = np.arange(3 * 8 * 10, dtype=float).reshape(3, 8, 10)
        return (scores % 3).astype(np.uint8), scores

    seen = look([ONE, THREE, TWO], predict, "place")
    assert asked == ["a", "b"]
    assert seen.score == "place"
    labels, scores = predict("a")
    view = seen.views[ONE]
    for found, volume in ((view.labels, labels), (view.scores, scores)):
        np.testing.assert_array_equal(found[0], volume[1])
        np.testing.assert_array_equal(found[1], volume[:, 4])
        np.testing.assert_array_equal(found[2], volume[:, :, 6])
    assert (view.low, view.high) == (0.0, np.quantile(scores, 0.999))


def test_nothing_of_a_case_is_kept_but_slices():
    volume = np.zeros((3, 8, 10))
    view = look([ONE], lambda case: (volume.astype(np.uint8), volume), "").views[ONE]
    assert all(one.base is None for one in (*view.labels, *view.scores))
