"""Steps and cases that are really timed."""

import pytest

from alsweep.config.sweep import ResourcesConfig
from alsweep.data.case import Dataset
from alsweep.sweep.amounts import Recipe
from alsweep.sweep.calibrating import Calibration
from alsweep.sweep.throughputs import stated_step
from alsweep.trajectory.timed import TimedCase, TimedSteps
from alsweep.trajectory.timing import time_recipe
from tests.sweep.conftest import MakePlan

TRAINING = {"features": [4, 8, 8], "patch_size": [8, 8, 8], "members": 2}
QUERY = {"patches": 6, "loops": 3, "patch_size": [8, 8, 8]}


@pytest.fixture
def recipe(plan_of: MakePlan, dataset: Dataset) -> Recipe:
    plan = plan_of(base={"query": QUERY, "training": TRAINING})
    return Recipe(plan.trajectories[0].config, dataset)


def test_epochs_are_timed_until_the_time_is_up_and_then_a_case(recipe: Recipe) -> None:
    said: list[TimedSteps | TimedCase] = []
    time_recipe(recipe.config, ResourcesConfig(), 2, 0.5, said.append)
    ready, *steps, first, second = said
    assert ready == TimedSteps(0, 0, 1)
    assert all(isinstance(one, TimedSteps) for one in steps)
    # The first epoch sets everything up, and counts only until there is another.
    assert [one.steps for one in steps] == [2, *range(2, 2 * len(steps), 2)]
    assert len(steps) > 1
    assert steps[-1].seconds > 0
    assert isinstance(first, TimedCase)
    assert isinstance(second, TimedCase)
    assert second.case in recipe.dataset.pool
    assert second.seconds > 0


def test_a_process_of_its_own_times_it(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("alsweep.sweep.calibrating._STEPS_SHARE", 0.02)
    found = Calibration(ResourcesConfig(), seconds=60)([recipe])
    assert found.keys() == {0}
    rates = found[0].rates
    assert rates.step > 0
    assert rates.judged == rates.queried > 0
    assert "training steps of " in found[0].told
    assert " predicted by a member in " in found[0].told
    assert capfd.readouterr().err == ""


def test_who_is_interrupted_before_the_first_step_tells_nothing(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alsweep.sweep.calibrating._SECONDS_TO_BEGIN", 0.01)
    assert Calibration(ResourcesConfig(), seconds=0.01)([recipe]) == {}


def test_a_shared_card_counts_as_the_table_says(recipe: Recipe) -> None:
    from alsweep.sweep.calibrating import _Heard

    heard = _Heard(TimedSteps(2.0, 10, 1), TimedCase(recipe.dataset.pool[0], 0.5, 1))
    resources = ResourcesConfig(gpus=0.25)
    timed = Calibration(resources)._timed(recipe, heard)
    assert timed is not None
    # A small network leaves three quarters of the card to others.
    stated = stated_step(recipe.config.training, recipe.dataset, resources)
    assert stated.device / stated.alone == 0.25
    assert timed.rates.step == pytest.approx(0.2 * 0.25)
    # 24^3 in windows of 8^3, 6 voxels apart: 4 an axis.
    assert timed.rates.queried == pytest.approx(0.5 * 0.25 / 4**3)
    alone = Calibration(ResourcesConfig())._timed(recipe, _Heard(TimedSteps(2.0, 10, 3)))
    assert alone is not None
    assert alone.rates.step == pytest.approx(0.2 * 3)
    assert alone.rates.queried == pytest.approx(0.2 * 3 / 3 / 3)
