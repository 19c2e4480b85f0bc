"""Hours that are foretold, against steps and windows that are counted by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from monai.data.utils import dense_patch_slices

from alsweep.config.sweep import ResourcesConfig
from alsweep.config.trajectory import TrainingConfig
from alsweep.data.case import Dataset
from alsweep.layout import trajectory_folder
from alsweep.sweep.amounts import Amount, Measure, Recipe, left_to_do
from alsweep.sweep.costing import Cost, Rates, Timed, cost_of
from alsweep.sweep.plan import Plan
from alsweep.sweep.throughputs import CARDS, CPU, LEAST_ON_A_CARD, stated_step
from tests.sweep.conftest import MakePlan
from tests.sweep.fakes import table_record
from tests.sweep.test_missing import do_loops

STEPS = 4 * 50
"""Of a member: preset small."""


def costed(run: Path, plan: Plan, **options: object) -> Cost:
    made = cost_of(run, plan, {}, **options)  # type: ignore[arg-type]
    assert made is not None
    return made


def timed(*wanted: float) -> Timed:
    return Timed(Rates(*wanted), "calibration", "3 steps")


def left(run: Path, plan: Plan, stored: Mapping[str, int] | None = None) -> Amount:
    (amount,) = left_to_do(run, plan, Measure.of(plan), stored or {}).values()
    return amount


def test_what_is_left_is_counted_in_steps_and_windows(run: Path, plan_of: MakePlan) -> None:
    # 4 trajectories of 3 loops and 2 members, loop 0 made once a seed; a case of 24^3 is one window
    # of 24^3, one case is judged and three are in the pool; 2 queries each, and random looks at
    # nothing.
    plan = plan_of()
    assert left(run, plan) == Amount(20 * STEPS, 10 * 2, 2 * 2 * 2 * 3)
    stored = {plan.ids[0]: 2, plan.ids[2]: 1}
    assert left(run, plan, stored).steps == 17 * STEPS
    do_loops(run, plan, index=0, loops=3)
    do_loops(run, plan, index=2, loops=1)
    # Of the second strategy 2 loops and a query are left with the first seed; the start of the
    # other seed is still to be made.
    assert left(run, plan) == Amount(14 * STEPS, 7 * 2, (1 + 2) * 2 * 3)


def test_a_pretraining_is_counted_once_until_a_trajectory_has_begun_with_it(
    run: Path, plan_of: MakePlan
) -> None:
    quick = {"kind": "positional_contrastive", "epochs": 3, "steps": 5}
    settings = [{"name": "with", "training.pretraining": quick}, {"name": "without"}]
    plan = plan_of(settings=settings)
    measure = Measure.of(plan)

    def steps() -> list[float]:
        found = left_to_do(run, plan, measure, {}).values()
        return sorted(amount.steps for amount in found)

    # Three cases of the pool, two views of each, and batches of three; a step of a member takes 3.
    before = 3 * 5 * 6 / 3 * 0.67
    assert steps() == pytest.approx([20 * STEPS, 20 * STEPS + before])
    do_loops(run, plan, index=0, loops=1)
    # The other strategy still waits for the start of that seed.
    assert steps() == pytest.approx([20 * STEPS, 20 * STEPS])


@pytest.mark.parametrize("step", [0.3, 0.5, 1.0])
@pytest.mark.parametrize("patch", [(8, 8, 8), (16, 24, 8), (24, 24, 24)])
def test_windows_are_as_many_as_monai_lays(
    plan_of: MakePlan, dataset: Dataset, patch: tuple[int, int, int], step: float
) -> None:
    plan = plan_of(base={"query": {"patches": 6, "patch_size": [8, 8, 8]}})
    config = plan.trajectories[0].config
    training = config.training.model_copy(update={"patch_size": patch})
    recipe = Recipe(config.model_copy(update={"training": training}), dataset)
    stride = tuple(int(edge * step) for edge in patch)
    laid = 3 * len(dense_patch_slices((24, 24, 24), patch, stride))
    assert recipe.windows(dataset.pool, step, None) == laid
    assert recipe.windows(dataset.pool, step, training) == 8 * laid


def test_without_anything_known_the_table_tells(
    run: Path, plan_of: MakePlan, dataset: Dataset
) -> None:
    plan, longer = plan_of(), plan_of(base=plan_of().sweep.base | {"training": {"epochs": 8}})
    found = costed(run, plan, price=0.5)
    step = stated_step(plan.trajectories[0].config.training, dataset, plan.sweep.resources)
    assert (found.unit, found.source) == ("CPU", "stated")
    assert CPU.source in found.told
    assert found.train == pytest.approx(20 * STEPS * step.device / 3600)
    assert found.evaluate == pytest.approx(20 * step.device / 3 / 3 / 3600)
    assert found.query == pytest.approx(24 * step.device / 3 / 3 / 3600)
    assert found.money == pytest.approx(found.hours / 2)
    taught = plan_of(base=plan_of().sweep.base | {"training": {"semi_supervised": "mean_teacher"}})
    beside, alone = (
        costed(run, taught),
        costed(run, plan_of(base={**taught.sweep.base, "training": {}})),
    )
    assert beside.train == pytest.approx(1.67 * alone.train)
    assert (beside.evaluate, beside.query) == pytest.approx((alone.evaluate, alone.query))
    # 5 members in place of 2, and 8 epochs in place of 4.
    assert costed(run, longer).train == pytest.approx(5 * found.train)
    assert costed(run, plan_of(resources={"gpus": 1})).unit == "GPU"


def test_the_table_gives_back_what_was_measured(dataset: Dataset) -> None:
    def step(gpus: float, **training: object) -> tuple[float, float]:
        made = TrainingConfig.model_validate(training)
        found = stated_step(made, big, ResourcesConfig(gpus=gpus))
        return found.alone, found.device

    cases = [case.model_copy(update={"shape": (128, 128, 128)}) for case in dataset.manifest.cases]
    manifest = dataset.manifest.model_copy(
        update={"cases": tuple(cases), "spacing": (1.0, 1.0, 1.0), "classes": ("background", "a")}
    )
    big = Dataset(dataset.path, manifest)
    features = (32, 64, 128, 256, 320, 320)
    large = {"features": features, "patch_size": (128, 128, 128), "batch_size": 2}
    assert step(1, **large) == pytest.approx((0.059, 0.059))
    assert step(0.25, **large) == pytest.approx((0.059, 0.059))  # it fills the card alone
    assert step(2, **large) == pytest.approx((0.059, 0.118))
    assert step(1, **large | {"batch_size": 4}) == pytest.approx((0.118, 0.118))
    for (precision, compiled), stated in CARDS.items():
        told = {"precision": precision, "compile": compiled}
        assert step(1, **large, **told)[0] == pytest.approx(stated.seconds)
    small = {"features": (8, 16, 32), "patch_size": (32, 32, 32), "batch_size": 2}
    assert step(0.25, **small) == (LEAST_ON_A_CARD, LEAST_ON_A_CARD / 4)
    core = {"features": (8, 16, 32, 64), "patch_size": (32, 32, 32), "batch_size": 2}
    assert step(0, **core) == pytest.approx((0.3, 0.3))


def test_records_of_the_run_tell_before_all_else(run: Path, plan_of: MakePlan) -> None:
    plan = plan_of(resources={"cpus": 1.5, "members_at_once": 2})
    do_loops(run, plan, index=2, loops=2)

    def calibrate(recipes: Sequence[Recipe]) -> dict[int, Timed]:
        raise AssertionError("nothing is unknown")

    found = costed(run, plan, calibrate=calibrate)
    assert found.source == "records"
    assert "from records of this run, 2 loops" in found.told
    # Loop 0 found its members stored; loop 1 trained two at once for a second each, on 1.5 CPUs.
    # Left are both starts, since the other strategies wait for them, and seven loops.
    assert found.train == pytest.approx(18 * STEPS * (1.5 * 1.0 / 2) / (2 * STEPS) / 3600)
    # Half a second a loop, of two windows; a quarter a query, of six.
    assert found.evaluate == pytest.approx((9 * 2) * (1.5 * 0.5 / 2) / 3600)
    assert found.query == pytest.approx((2 * 6) * (1.5 * 0.25 / 6) / 3600)


def test_records_of_another_machine_tell_nothing(run: Path, plan_of: MakePlan) -> None:
    plan = plan_of(resources={"cpus": 2})
    do_loops(run, plan, index=2, loops=2)  # with one thread
    assert costed(run, plan).source == "stated"
    folder = trajectory_folder(run, plan.ids[2])
    config = plan.trajectories[2].config
    for device in ("cpu", "cuda:0"):
        for loop in (0, 1):
            changes = {"threads": 2, "device": device}
            table_record(config, loop).model_copy(update=changes).write(folder)
        assert costed(run, plan).source == ("records" if device == "cpu" else "stated")


def test_recipes_that_nobody_knows_are_scaled_from_those_that_are(
    run: Path, plan_of: MakePlan, dataset: Dataset
) -> None:
    sizes = {"training.patch_size": [[8, 8, 8], [24, 24, 24]], "strategy": ["random"]}
    plan = plan_of(grid=sizes, seeds=[0])
    asked: list[tuple[int, ...]] = []

    def calibrate(recipes: Sequence[Recipe]) -> dict[int, Timed]:
        asked.extend(recipe.config.training.patch_size for recipe in recipes)
        return {0: timed(2.0, 0.5, 0.25)}

    found = costed(run, plan, calibrate=calibrate)
    assert asked == [(24, 24, 24), (8, 8, 8)]  # what takes longest comes first
    assert found.source == "calibration"
    assert found.told == "timed on this machine: 3 steps, 1 other recipe scaled from that"
    small, large = (
        stated_step(one.config.training, dataset, plan.sweep.resources).device
        for one in plan.trajectories
    )
    steps = 3 * 2 * STEPS  # of each
    assert found.train == pytest.approx(steps * 2.0 * (1 + small / large) / 3600)

    nothing = costed(run, plan, calibrate=lambda recipes: {})
    assert nothing.source == "stated"
    assert "not one training step was done" in nothing.told


def test_a_number_of_steps_is_no_other_recipe(run: Path, plan_of: MakePlan) -> None:
    grid = {"training.epochs": [1, 2], "training.members": [1, 2], "strategy": ["random"]}
    measure = Measure.of(plan_of(grid=grid))
    assert len(measure.recipes) == 1
    assert len(Measure.of(plan_of(grid={"training.batch_size": [2, 3]})).recipes) == 2


def test_a_finished_sweep_costs_nothing(run: Path, plan_of: MakePlan) -> None:
    plan = plan_of(seeds=[0], grid={"strategy": ["random"]})
    do_loops(run, plan, index=0, loops=3)
    assert cost_of(run, plan, {}) is None


def test_hours_are_told_in_one_line() -> None:
    cost = Cost("GPU", 1234.4, 0.5, 0.25, "stated", "from the table")
    assert str(cost) == (
        "GPU-hours: about 1,235 (training 1,234, evaluation 0.5, queries 0.25); from the table"
    )
    assert cost.money is None
    assert replace(cost, price=2.0).plain()["money"] == pytest.approx(2 * 1235.15)
    assert np.isclose(cost.plain()["hours"], 1235.15)
