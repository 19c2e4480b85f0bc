"""Filters, on hand-made cases."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from alsweep.errors import StrategyError
from alsweep.geometry import Patch
from alsweep.query import Embedding, Prediction, Stages
from alsweep.query.base import Composed
from alsweep.query.candidates import Annotated, Candidate
from alsweep.query.filters import LabelEntropy, Purity
from alsweep.testing.pools import (
    ArrayPool,
    make_prediction,
    make_references,
    make_request,
    make_streams,
)


def candidates(features):
    """One candidate a row, the best score first."""
    return [
        Candidate(Patch("a", (0, 0, 4 * i), (4, 4, 4)), -float(i), features=np.array(row))
        for i, row in enumerate(features)
    ]


def kept(features, annotated, classes, share=0.5, patches=1):
    given = candidates(features)
    labelled = Annotated(np.array(annotated, dtype=np.float32), np.array(classes))
    left = Purity(keep_share=share).keep(given, make_request(patches), labelled)
    return [given.index(one) for one in left]


def test_the_nearest_to_any_class_stay_in_the_order_of_their_scores():
    features = [[1.0, 0.0], [0.0, -1.0], [0.1, 5.0], [-1.0, 0.0]]
    # One patch of class 1 that looks along x, one of class 2 along y, one of background along -x.
    found = kept(features, [[2, 0], [0, 3], [-1, 0]], [[5, 3, 0], [7, 0, 1], [8, 0, 0]])
    assert found == [0, 2]


def test_a_prototype_is_the_mean_of_the_patches_that_hold_the_class():
    # Along x and along y, both class 1: the prototype lies between, where the second one is.
    features = [[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
    assert kept(features, [[1, 0], [0, 1]], [[0, 1], [0, 9]], share=0.34) == [1]


def test_length_does_not_count_and_equal_ones_stay_by_score():
    features = [[0.0, 1.0], [3.0, 0.0], [0.5, 0.0], [9.0, 0.0]]
    assert kept(features, [[1, 0]], [[0, 1]], share=0.5) == [1, 2]


def test_at_least_a_query_stays():
    assert len(kept(np.eye(8), [[1] + [0] * 7], [[0, 1]], share=0.01, patches=3)) == 3


@pytest.mark.parametrize(("annotated", "classes"), [([], np.zeros((0, 3))), ([[1, 0]], [[8, 0]])])
def test_without_annotated_foreground_every_candidate_stays(annotated, classes):
    assert kept([[1.0, 0.0], [0.0, 1.0]], annotated, classes, share=0.5) == [0, 1]


def striped_pool(labels=True):
    """One case of four stripes along x; the encoders tell even stripes from odd ones.

    All voxels of the stripe 0 are of class 1 and annotated, those of stripe 2 look the same.
    """
    reference = np.zeros((4, 4, 16), dtype=np.uint8)
    reference[..., :4] = reference[..., 8:12] = 1
    even = torch.tensor([1.0, 0.0, 1.0, 0.0]).expand(1, 1, 4)
    embedding = Embedding(torch.stack([even, 1 - even]), (4.0, 4.0, 4.0))
    # Uncertainty grows along x, so that without a filter the last stripe is asked for.
    second = torch.linspace(0.01, 0.5, 16).expand(4, 4, 16)
    prediction = Prediction(torch.stack([1 - second, second]), embedding=embedding)
    taken = [Patch("a", (0, 0, 0), (4, 4, 4))]
    classes = ("background", "organ")
    return ArrayPool({"a": reference}, {"a": prediction}, taken, classes, labels=labels)


def ask(pool, patches, **stages):
    made = Composed(Stages(map="predictive_entropy", **stages))
    request = make_request(patches, (4, 4, 4), strides=(4, 4, 4))
    return [choice.patch.start[2] for choice in made.query(pool, request, make_streams())]


def test_a_query_goes_where_annotated_foreground_looks_alike():
    purity = {"name": "purity", "keep_share": 0.34}
    assert ask(striped_pool(), 1) == [12]
    assert ask(striped_pool(), 1, filter=purity) == [8]


def test_a_filter_never_makes_a_query_short():
    # Of two candidates in each case both of case_0 are kept, of which per_case allows one.
    mixed = make_prediction((12, 12, 12))
    plain = replace(mixed, mean_probs=torch.tensor([0.8, 0.1, 0.1])[:, None, None, None])
    plain = replace(plain, mean_probs=plain.mean_probs.expand(3, 12, 12, 12))
    pool = ArrayPool(make_references(2, (12, 12, 12)), {"case_0": mixed, "case_1": plain})
    kept = []

    class Watched(LabelEntropy):
        def keep(self, candidates, request, annotated):
            left = super().keep(candidates, request, annotated)
            kept.extend([len(candidates), *(c.patch.case for c in left)])
            return left

    Watched.name = "watched"
    stages = Stages("predictive_entropy", filter=Watched(keep_factor=1.0), noise="softrank")
    found = Composed(stages).query(pool, make_request(2, per_case=1), make_streams())
    assert kept == [4, "case_0", "case_0"]
    assert sorted(choice.patch.case for choice in found) == ["case_0", "case_1"]


def test_labels_that_are_not_given_are_an_error_with_the_mend():
    with pytest.raises(StrategyError, match="let its needs name 'annotated_labels'"):
        ask(striped_pool(labels=False), 1, filter="purity")


def test_label_entropy_measures_how_even_the_predicted_foreground_is():
    # Two voxels of class 1 and two of class 2 in the first patch, four of class 1 in the second.
    labels = torch.tensor([1, 1, 2, 2, 0, 0, 0, 0, 1, 1, 1, 1]).reshape(1, 1, 12)
    probs = torch.nn.functional.one_hot(labels, 3).permute(3, 0, 1, 2).float() * 0.8 + 0.1
    patches = [Patch("a", (0, 0, x), (1, 1, 4)) for x in (0, 8, 4)]
    found = LabelEntropy().measure(Prediction(probs), patches)
    assert found == pytest.approx([np.log(2), 0, 0])
    assert LabelEntropy().measure(Prediction(probs), []).shape == (0,)
    # As regions every channel is one, and those may overlap: 4 and 2 voxels of two regions.
    regions = Prediction(
        torch.tensor([[0.9] * 4, [0.9, 0.9, 0.5, 0.1]]).reshape(2, 1, 1, 4), regions=True
    )
    shares = np.array([2 / 3, 1 / 3])
    expected = -(shares * np.log(shares)).sum()
    assert LabelEntropy().measure(regions, patches[:1]) == pytest.approx([expected])


def test_label_entropy_keeps_the_best_of_equal_ones_and_the_order():
    given = [
        replace(one, worth=w) for one, w in zip(candidates([[0]] * 5), [1, 0, 2, 1, 1], strict=True)
    ]
    none = Annotated(np.zeros((0, 0)), np.zeros((0, 0)))
    left = LabelEntropy(keep_factor=1.5).keep(given, make_request(2), none)
    assert [given.index(one) for one in left] == [0, 2, 3]
