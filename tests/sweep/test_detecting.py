"""What the seeds of a sweep can show."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from alsweep.layout import trajectory_folder
from alsweep.sweep.detecting import ASSUMED, detectable
from alsweep.sweep.run_folder import write_space
from alsweep.testing.runs import synthetic_record
from alsweep.trajectory.query_log import QueryLog
from tests.sweep.conftest import MakePlan

LABELS = ["random", "random_fg66", "margin", "predictive_entropy"]


def test_the_difference_is_found_four_times_of_five(run: Path, plan_of: MakePlan) -> None:
    (found,) = detectable(run, plan_of(seeds=range(6), grid={"strategy": LABELS}))
    # Two others against each of two controls, and these once.
    assert (found.settings, found.seeds, found.comparisons) == (1, 6, 5)
    assert (found.source, found.deviation) == ("assumed", ASSUMED)
    assert found.difference is not None
    drawn = np.random.default_rng(0).normal(found.difference, ASSUMED, (20_000, 6))
    rate = (ttest_1samp(drawn, 0, axis=1).pvalue < 0.05 / 5).mean()
    assert rate == pytest.approx(0.8, abs=0.01)
    assert str(found).startswith("1 setting of 6 seeds and 5 comparisons with controls: differ")


def test_settings_of_a_kind_are_told_together(run: Path, plan_of: MakePlan) -> None:
    sizes = {"query.patches": [6, 7], "strategy": LABELS[:3]}
    (found,) = detectable(run, plan_of(grid=sizes))
    assert (found.settings, found.seeds, found.comparisons) == (2, 2, 3)


def test_one_seed_shows_nothing_and_without_a_control_nothing_is_compared(
    run: Path, plan_of: MakePlan
) -> None:
    (one,) = detectable(run, plan_of(seeds=[0]))
    assert one.difference is None
    assert str(one).endswith("no difference can be shown; write at least 2 seeds")
    assert detectable(run, plan_of(grid={"strategy": LABELS[2:]})) == []
    assert detectable(run, plan_of(grid={"strategy": LABELS[:1]})) == []


def test_what_is_done_tells_how_much_seeds_differ(run: Path, plan_of: MakePlan) -> None:
    plan = plan_of(seeds=range(4))
    write_space(run, plan)
    # Constant curves: the area is the Dice. With seeds 0 to 2 the strategy is ahead by 1, 2 and 3
    # points, which is a deviation of one point; the last seed is not done.
    dice = {"random": [0.5] * 4, "predictive_entropy": [0.51, 0.52, 0.53, 0.9]}
    for planned in plan.trajectories:
        seed, folder = planned.config.seed, trajectory_folder(run, planned.id)
        log = QueryLog(folder)
        log.claim(planned.config)
        for loop in range(3 if seed < 3 else 1):
            made = synthetic_record(planned.config, loop, 0.5, planned.dataset_fingerprint)
            mean = dice[planned.label][seed]
            log.commit(loop, [])
            made.model_copy(update={"mean_dice": mean}).write(folder)
    (found,) = detectable(run, plan)
    assert found.source == "records"
    assert found.deviation == pytest.approx(0.01)
    assert "(standard deviation of differences 0.01, from records)" in str(found)
