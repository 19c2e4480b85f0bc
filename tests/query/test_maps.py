import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy as scipy_entropy

from alsweep.errors import StrategyError
from alsweep.geometry import box_slices
from alsweep.query import cache
from alsweep.query.base import Prediction
from alsweep.query.maps import MAPS, entropy, predictive_entropy
from alsweep.query.stage import make_stage
from alsweep.query.windows import Windows
from alsweep.testing.pools import make_pool


@given(st.integers(2, 6), st.integers(0, 10_000), st.floats(0.1, 20))
def test_predictive_entropy_equals_scipys_and_stays_in_bounds(classes, seed, sharpness):
    logits = torch.randn(classes, 3, 4, 2, generator=torch.Generator().manual_seed(seed))
    probs = (logits * sharpness).softmax(dim=0)
    found = predictive_entropy(Prediction(probs))
    expected = torch.from_numpy(scipy_entropy(probs.double().numpy(), axis=0))
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-4)
    assert found.min() >= 0
    assert found.max() <= math.log(classes) + 1e-5


def test_certain_voxels_have_no_entropy_and_no_nan():
    probs = torch.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1, 1)
    assert predictive_entropy(Prediction(probs)).item() == 0


def test_even_odds_have_log_two():
    probs = torch.full((2, 1, 1, 1), 0.5)
    assert predictive_entropy(Prediction(probs)).item() == pytest.approx(math.log(2))


def members_probs(members, classes, seed, sharpness=4.0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(members, classes, 3, 4, 2, generator=generator)
    return (logits * sharpness).softmax(dim=1)


def folded(probs, **more):
    mean_entropy = torch.stack([entropy(p) for p in probs]).mean(dim=0)
    return Prediction(probs.mean(dim=0), mean_entropy, **more)


def score(name, prediction, **parameters):
    return make_stage(MAPS, {"name": name, **parameters}, "map")(prediction)


@given(st.integers(2, 5), st.integers(2, 5), st.integers(0, 10_000), st.floats(0.1, 30))
def test_mutual_information_lies_between_zero_and_predictive_entropy(m, classes, seed, sharpness):
    prediction = folded(members_probs(m, classes, seed, sharpness))
    found = score("mutual_information", prediction)
    assert found.min() >= 0
    assert (found <= score("predictive_entropy", prediction) + 1e-6).all()


@given(st.integers(0, 1000))
def test_maps_do_not_depend_on_the_order_of_members(seed):
    probs = members_probs(4, 3, seed)
    for name in ("mutual_information", "expected_entropy", "mixed_entropy"):
        one, other = (score(name, folded(p)) for p in (probs, probs.flip(0)))
        torch.testing.assert_close(one, other)


def test_two_certain_members_that_disagree_have_log_two():
    probs = torch.eye(2).reshape(2, 2, 1, 1, 1)
    prediction = folded(probs)
    assert score("mutual_information", prediction).item() == pytest.approx(math.log(2))
    assert score("expected_entropy", prediction).item() == 0
    assert score("mixed_entropy", prediction).item() == pytest.approx(math.log(2) / 2)


def test_members_that_agree_have_no_mutual_information_even_after_rounding():
    probs = members_probs(1, 4, 7).repeat(3, 1, 1, 1, 1)
    # The members' mean entropy may round to just above the entropy of the mean.
    raised = folded(probs)
    raised = Prediction(raised.mean_probs, raised.mean_entropy + 1e-6)
    assert score("mutual_information", raised).max() == 0


def test_confidence_margin_and_class_weight_by_hand():
    prediction = Prediction(torch.tensor([0.5, 0.3, 0.2]).reshape(3, 1, 1, 1))
    pe = -(0.5 * math.log(0.5) + 0.3 * math.log(0.3) + 0.2 * math.log(0.2))
    assert score("least_confidence", prediction).item() == pytest.approx(0.5)
    assert score("margin", prediction).item() == pytest.approx(0.8)
    assert score("class_weighted_entropy", prediction, label=2).item() == pytest.approx(0.2 * pe)


def test_class_weighted_entropies_add_up_to_the_predictive_entropy():
    prediction = Prediction(members_probs(1, 4, 3)[0])
    parts = [score("class_weighted_entropy", prediction, label=c) for c in range(4)]
    torch.testing.assert_close(sum(parts), score("predictive_entropy", prediction))


@given(st.integers(0, 1000))
def test_regions_have_the_sum_of_binary_entropies(seed):
    generator = torch.Generator().manual_seed(seed)
    probs = torch.rand(3, 2, 3, 4, generator=generator)
    probs[0, 0, 0, :2] = torch.tensor([0.0, 1.0])
    expected = sum(
        torch.from_numpy(scipy_entropy(np.stack([p, 1 - p]), axis=0)) for p in probs.double()
    )
    found = score("predictive_entropy", Prediction(probs, regions=True))
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-4)


def test_regions_are_judged_one_by_one():
    prediction = Prediction(torch.tensor([0.9, 0.4]).reshape(2, 1, 1, 1), regions=True)
    assert score("least_confidence", prediction).item() == pytest.approx(0.4)
    assert score("margin", prediction).item() == pytest.approx(0.8)
    unsure = Prediction(torch.tensor([0.9, 0.55]).reshape(2, 1, 1, 1), regions=True)
    assert score("least_confidence", unsure).item() == pytest.approx(0.45)
    assert score("margin", unsure).item() == pytest.approx(0.9)
    binary = -(0.4 * math.log(0.4) + 0.6 * math.log(0.6)) - (
        0.9 * math.log(0.9) + 0.1 * math.log(0.1)
    )
    weighted = score("class_weighted_entropy", prediction, label=2)
    assert weighted.item() == pytest.approx(0.4 * binary)


def test_a_map_says_what_the_prediction_lacks():
    with pytest.raises(StrategyError, match="needs name 'mean_entropy'"):
        score("mutual_information", Prediction(members_probs(1, 3, 0)[0]))
    pool = make_pool(1)
    bare = Prediction(pool.given["case_0"].mean_probs)
    with pytest.raises(StrategyError, match="needs name 'members'"):
        MAPS.get("expected_dice")().windows(bare, Windows(bare.shape, (6, 6, 6), (3, 3, 3)))


def plain_expected_dice(members, box):
    mean = members.mean(dim=0)
    dices = []
    for label in range(1, mean.shape[0]):
        if not (mean.argmax(dim=0) == label)[box].any():
            continue
        own = mean[label][box].double()
        others = [m[label][box].double() for m in members]
        dices.append(np.mean([2 * (own * o).sum() / (own + o).sum() for o in others]))
    return 1 - np.mean(dices) if dices else 0.0


@given(st.integers(0, 500))
def test_expected_dice_is_its_definition_window_by_window(seed):
    members = members_probs(3, 3, seed, 8.0)
    prediction = Prediction(members.mean(dim=0), members=tuple(members))
    windows = Windows((3, 4, 2), (2, 2, 1), (1, 2, 1))
    found = MAPS.get("expected_dice")().windows(prediction, windows)
    for i, z in enumerate(windows.grid[0]):
        for j, y in enumerate(windows.grid[1]):
            for k, x in enumerate(windows.grid[2]):
                box = box_slices((z, y, x), windows.size)
                expected = plain_expected_dice(members, box)
                assert found[i, j, k].item() == pytest.approx(expected, abs=1e-5)


def test_members_that_are_certain_and_disagree_share_no_dice():
    one, other = torch.zeros(2, 2, 1, 1), torch.zeros(2, 2, 1, 1)
    one[1] = 1.0
    other[0] = 1.0
    # Twice the one and once the other, so that the ensemble predicts the class.
    members = (one, one, other)
    prediction = Prediction(torch.stack(members).mean(dim=0), members=members)
    found = MAPS.get("expected_dice")().windows(
        prediction, Windows((2, 1, 1), (2, 1, 1), (1, 1, 1))
    )
    # 2 * (2/3) / (2/3 + 1) = 0.8 twice, then 0.
    assert found.item() == pytest.approx(1 - 1.6 / 3)


def test_every_region_counts_for_expected_dice_where_it_is_likelier_than_not():
    # The first region is there and halved by one member; the second stays below one half.
    one = torch.tensor([1.0, 0.4]).reshape(2, 1, 1, 1)
    other = torch.tensor([0.5, 0.2]).reshape(2, 1, 1, 1)
    prediction = Prediction((one + other) / 2, members=(one, other), regions=True)
    windows = Windows((1, 1, 1), (1, 1, 1), (1, 1, 1))
    found = MAPS.get("expected_dice")().windows(prediction, windows).item()
    dice = [2 * 0.75 * 1.0 / 1.75, 2 * 0.75 * 0.5 / 1.25]
    assert found == pytest.approx(1 - sum(dice) / 2)


def test_expected_dice_of_background_alone_is_refused():
    probs = torch.ones(1, 2, 2, 2)
    with pytest.raises(StrategyError, match="at least one foreground class"):
        MAPS.get("expected_dice")().windows(
            Prediction(probs, members=(probs, probs)), Windows((2, 2, 2), (1, 1, 1), (1, 1, 1))
        )


@given(st.integers(1, 60), st.booleans())
def test_entropy_of_slabs_is_that_of_the_whole(voxels_at_once, regions):
    probs = members_probs(1, 3, 5)[0].repeat(1, 4, 1, 1)
    whole = entropy(probs, regions=regions)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cache, "CACHED_VOXELS", voxels_at_once)
        assert torch.equal(entropy(probs, regions=regions), whole)
