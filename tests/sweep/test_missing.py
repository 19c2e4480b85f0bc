from pathlib import Path

from alsweep.layout import trajectory_folder
from alsweep.sweep.missing import missing_starts, to_do, unfinished
from alsweep.sweep.plan import Plan
from tests.sweep.conftest import MakePlan
from tests.sweep.fakes import TableWork


def do_loops(run: Path, plan: Plan, index: int, loops: int) -> None:
    one = plan.trajectories[index]
    folder = trajectory_folder(run, one.id)
    stepper = TableWork(run).trajectory(one.config, folder, lambda progress: None)
    for _ in range(loops):
        stepper.step()


def test_a_new_sweep_trains_each_start_once(run: Path, plan_of: MakePlan) -> None:
    counted = to_do(run, plan_of())
    assert (counted.finished, counted.unfinished, counted.loops) == (0, 4, 12)
    # 4 trajectories x 3 loops x 2 members, less loop 0 of the two that find it made
    assert (counted.starts, counted.trainings, counted.unshared_trainings) == (2, 20, 24)


def test_what_is_done_is_not_missing(run: Path, plan_of: MakePlan) -> None:
    plan = plan_of()
    do_loops(run, plan, index=0, loops=3)
    do_loops(run, plan, index=2, loops=1)
    assert [one.id for one in unfinished(run, plan)] == [plan.ids[1], plan.ids[2], plan.ids[3]]
    starts = missing_starts(run, plan)
    assert [(start.example.config.seed, start.sharers) for start in starts] == [(1, 2)]
    counted = to_do(run, plan)
    assert (counted.finished, counted.unfinished, counted.loops) == (1, 3, 8)
    assert (counted.trainings, counted.unshared_trainings) == (14, 16)


def test_a_finished_sweep_lacks_nothing(run: Path, plan_of: MakePlan) -> None:
    plan = plan_of()
    for index in range(4):
        do_loops(run, plan, index, loops=3)
    assert to_do(run, plan).trainings == 0
    assert unfinished(run, plan) == []
    assert missing_starts(run, plan) == []
