"""Objectives of a block, worked out by hand."""

import math
from typing import Any

import pandas as pd
import pytest

from alsweep.config.search import Objective
from alsweep.results.objectives import Measured, measure


def block(settings: tuple[str, ...] = ("a",)) -> pd.DataFrame:
    """Two seeds with two loops each; the test part says something else."""
    dice = {("a", 0): (0.2, 0.4), ("a", 1): (0.3, 0.7), ("b", 0): (0.5, 0.5), ("b", 1): (0.6, 0.8)}
    rows: list[dict[str, Any]] = [
        {
            "setting": setting,
            # One of the trajectories is a grid's, which has another label.
            "strategy": f"label {seed}",
            "seed": seed,
            "trajectory": f"{setting}{seed}",
            "loop": loop,
            "status": "done",
            "mean_dice": dice[setting, seed][loop],
            "test_mean_dice": 0.9,
            "annotated_patches": 4 + 4 * loop,
            "foreground_voxels": 10 * (seed + 1) * (loop + 1),
            "foreground_fraction": 0.1 * (loop + 1),
            "train_seconds": 100.0 + seed,
            "evaluate_seconds": 30.0,
            "query_seconds": 20.0,
        }
        for setting in settings
        for seed in (0, 1)
        for loop in (0, 1)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("objective", "values", "total"),
    [
        ("aubc", (0.3, 0.5), None),
        ("final_dice", (0.4, 0.7), None),
        ("foreground_voxels", (20, 40), 60),
        ("train_seconds", (200, 202), 402),
        ("gpu_hours", (300 * 0.5 / 3600, 302 * 0.5 / 3600), 602 * 0.5 / 3600),
    ],
)
def test_a_value_is_the_mean_over_seeds(
    objective: Objective, values: tuple[float, float], total: float | None
) -> None:
    found = measure(block(), objective, gpus=0.5)
    assert found.value == pytest.approx(sum(values) / 2)
    # Of two values, the standard error of the mean is half their difference.
    assert found.standard_error == pytest.approx((values[1] - values[0]) / 2)
    assert math.isnan(found.total) if total is None else found.total == pytest.approx(total)


def test_the_error_is_over_seeds_and_not_over_settings() -> None:
    found = measure(block(("a", "b")), "final_dice")
    assert found.value == pytest.approx((0.45 + 0.75) / 2)
    assert found.standard_error == pytest.approx((0.75 - 0.45) / 2)
    assert measure(block(("a", "b")), "foreground_voxels").total == 120


def test_an_undefined_dice_leaves_a_value_undefined() -> None:
    rows = block()
    rows.loc[1, "mean_dice"] = float("nan")
    assert math.isnan(measure(rows, "aubc").value)
    assert math.isnan(measure(rows, "final_dice").value)


def test_one_seed_has_no_error() -> None:
    rows = block()
    found = measure(rows[rows["seed"] == 0], "aubc")
    assert found.value == pytest.approx(0.3)
    assert math.isnan(found.standard_error)


def test_foreground_efficiency_is_the_fit_over_all_seeds() -> None:
    found = measure(block(), "fg_eff", full_dice={"a": 0.9})
    # The start is at .25 on average: .9 - .65 exp(-10 beta x) meets .55 at .1 more foreground.
    assert isinstance(found, Measured)
    assert found.value == pytest.approx(math.log(0.65 / 0.35) / 0.1, rel=1e-3)
    assert found.standard_error > 0
