import numpy as np
import pytest

from alsweep.results.loops import LoopRecord
from alsweep.results.outlook import expected_gain, outlook


def record(loop: int, patches: int, dice=None, agreement=None) -> LoopRecord:
    case_dice = {} if dice is None else {f"c{i}": {"organ": d} for i, d in enumerate(dice)}
    return LoopRecord(
        loop=loop,
        dataset="d",
        setting="s",
        start_hash="0",
        annotated_patches=patches,
        annotated_voxels=1,
        foreground_voxels=1,
        foreground_fraction=None,
        annotated_cases=1,
        mean_dice=None if dice is None else float(np.mean(dice)),
        dice={},
        case_dice=case_dice,
        agreement=agreement,
        train_seconds=1,
        evaluate_seconds=1,
        query_seconds=1,
        cached_members=0,
        threads=1,
        device="cpu",
        precision="fp32",
        members=(),
    )


def test_the_gain_goes_on_along_the_last_loops():
    """Dice that rises by 0.1 with each doubling rises by 0.1 when the labels double again."""
    records = [record(k, 10 * 2**k, [0.3 + 0.1 * k] * 5) for k in range(3)]
    found = expected_gain(records, 40)
    assert found.gain == pytest.approx(0.1)
    assert found.error == pytest.approx(0, abs=1e-12)
    assert outlook(records, 40) == (
        "the next 40 patches are expected to add 10.0 +- 0.0 Dice points (by the last loops, over "
        "5 validation cases)"
    )


def test_the_error_is_that_of_a_mean_over_cases():
    rng = np.random.default_rng(0)
    gains = rng.normal(0.1, 0.2, 400)
    records = [record(0, 10, [0.5] * 400), record(1, 20, 0.5 + gains)]
    found = expected_gain(records, 20)
    assert found.gain == pytest.approx(gains.mean())
    assert found.error == pytest.approx(gains.std() / 20, rel=0.1)
    assert expected_gain(records, 20) == found


def test_no_more_than_chance_is_said_to_be_so():
    records = [record(0, 10, [0.5, 0.6]), record(1, 20, [0.7, 0.41])]
    assert outlook(records, 20).endswith("that is no more than chance")
    fell = [record(0, 10, [0.5, 0.6]), record(1, 20, [0.4, 0.5])]
    assert outlook(fell, 20).endswith("Dice has fallen over the last loops")


@pytest.mark.parametrize(
    "records",
    [
        [record(0, 10, [0.5, 0.6])],
        [record(0, 10, [0.5]), record(1, 20, [0.6])],
        [record(0, 10, [0.5, 0.6]), record(1, 10, [0.6, 0.6])],
    ],
)
def test_what_cannot_be_told_is_not(records):
    assert expected_gain(records, 5) is None
    assert "cannot be told" in outlook(records, 5)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0.5, 0.7, 0.8], "which still changes (+0.200 and +0.100 in the last 2 loops)"),
        ([0.5, 0.801, 0.8, 0.803], "which has levelled off (-0.001 and +0.003 in the last 2"),
        ([0.5, 0.7], "agree with a Dice of 0.700; no case has complete labels"),
    ],
)
def test_without_dice_the_agreement_says_whether_it_has_levelled_off(values, said):
    records = [record(k, 10 * k, agreement=value) for k, value in enumerate(values, start=1)]
    assert said in outlook(records, 5)
    assert "not how right" in outlook(records, 5)


def test_without_either_nothing_is_said_of_it():
    assert "nothing says whether" in outlook([record(0, 3)], 5)
