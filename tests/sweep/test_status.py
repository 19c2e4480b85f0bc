from pathlib import Path

import pytest

from alsweep.errors import RunFolderError
from alsweep.layout import starts_folder, trajectory_folder
from alsweep.report.status_page import status_page
from alsweep.results.failure import write_failure
from alsweep.sweep.heartbeat import Heartbeat
from alsweep.sweep.run_folder import driver_lock, write_space
from alsweep.sweep.status import read_status
from alsweep.sweep.tries import Setback, Tries
from alsweep.trajectory.progress import Progress
from tests.sweep.conftest import MakePlan
from tests.sweep.fakes import table_record
from tests.sweep.test_missing import do_loops


def begun(run: Path, plan_of: MakePlan) -> list[Path]:
    """A run with one trajectory done, one in loop 1, one failed and one that has not begun."""
    plan = plan_of()
    write_space(run, plan)
    folders = [trajectory_folder(run, id_) for id_ in plan.ids]
    do_loops(run, plan, index=0, loops=3)
    do_loops(run, plan, index=1, loops=1)
    Heartbeat(folders[1])(Progress(1, "train", 2, 4))
    write_failure(folders[2], "the pool is empty", 0)
    return folders


def test_states_under_a_live_driver(run: Path, plan_of: MakePlan) -> None:
    begun(run, plan_of)
    with driver_lock(run):
        status = read_status(run)
    assert [one.state for one in status.trajectories] == ["done", "running", "failed", "waiting"]
    states = {"done": 1, "running": 1, "failed": 1, "truncated": 0, "waiting": 1}
    assert status.counts == states
    running, failed = status.trajectories[1], status.trajectories[2]
    assert (running.phase, running.phase_done, running.phase_total) == ("train", 2, 4)
    assert (running.loops_done, running.loops) == (1, 3)
    assert failed.error == "the pool is empty"
    # 5 loops left of 1.75 s each (the loops whose members were not shared), one at a time
    assert status.seconds_left == 5 * 1.75
    assert [one.seconds_left for one in status.trajectories] == [None, 2 * 1.75, None, 3 * 1.75]
    assert not status.over


def test_what_went_wrong_is_counted_for_the_run_and_for_each(run: Path, plan_of: MakePlan) -> None:
    begun(run, plan_of)
    tries, one, other = Tries(), *plan_of().ids[:2]
    for name, error in ((one, None), (one, None), (other, "bug:7"), ("a start", None)):
        tries.again(run, name, Setback("what", error=error), 1)
    status = read_status(run)
    assert (status.lost, status.errors) == (3, 1)
    assert [(t.lost, t.errors) for t in status.trajectories] == [(2, 0), (0, 1), (0, 0), (0, 0)]
    page = status_page(status.plain(), "")
    assert "3 workers or machines lost, 1 error raised" in page


def test_without_a_driver_nothing_runs(run: Path, plan_of: MakePlan) -> None:
    begun(run, plan_of)
    status = read_status(run)
    assert status.driver is None
    assert [one.state for one in status.trajectories] == ["done", "waiting", "failed", "waiting"]
    assert status.seconds_left is None


def test_a_sign_of_life_from_before_the_last_finished_loop_is_stale(
    run: Path, plan_of: MakePlan
) -> None:
    folders = begun(run, plan_of)
    Heartbeat(folders[1])(Progress(0, "annotate", 0, 1))
    with driver_lock(run):
        assert read_status(run).trajectories[1].state == "waiting"


def test_status_knows_strategy_and_seed_of_what_has_not_begun(run: Path, plan_of: MakePlan) -> None:
    begun(run, plan_of)
    last = read_status(run).trajectories[3]
    assert (last.strategy, last.seed, last.mean_dice) == ("predictive_entropy", 1, None)


def test_settings_are_named_as_results_name_them(run: Path, plan_of: MakePlan) -> None:
    grid = {"strategy": ["random"], "training.epochs": [3, 4], "query.patches": [6, 8]}
    plan = plan_of(grid=grid, seeds=[0])
    write_space(run, plan)
    do_loops(run, plan, index=0, loops=3)
    names = [one.setting_name for one in read_status(run).trajectories]
    usual = "phantom \u00b7 8\u00d78\u00d78 voxels"
    assert names == [
        f"{usual} \u00b7 {patches} patches a query \u00b7 training.epochs {epochs}"
        for epochs in (3, 4)
        for patches in (6, 8)
    ]


def test_starts_count_only_under_a_live_driver(run: Path, plan_of: MakePlan) -> None:
    begun(run, plan_of)
    Heartbeat(starts_folder(run) / "abc")(Progress(0, "train", 0, 1))
    for place in (starts_folder(run), run / "trajectories"):
        (place / ".DS_Store").write_text("")  # a stray file is neither start nor trajectory
    assert read_status(run).starts == 0
    with driver_lock(run):
        assert read_status(run).starts == 1


def test_json_has_counts_and_numbers(run: Path, plan_of: MakePlan) -> None:
    begun(run, plan_of)
    plain = read_status(run).plain()
    assert plain["counts"]["done"] == 1
    config = plan_of().trajectories[0].config
    assert plain["trajectories"][0]["mean_dice"] == table_record(config, 2).mean_dice


def test_trajectories_are_found_by_id_and_not_by_place(run: Path, plan_of: MakePlan) -> None:
    begun(run, plan_of)
    text = (run / "sweep.yaml").read_text()
    assert "seeds: [0, 1]" in text
    (run / "sweep.yaml").write_text(text.replace("seeds: [0, 1]", "seeds: [1, 0]"))
    assert [(one.id, one.seed) for one in read_status(run).trajectories] == [
        (planned.id, planned.config.seed) for planned in plan_of().trajectories
    ]


def test_a_space_edited_by_hand_is_refused_in_one_line(run: Path, plan_of: MakePlan) -> None:
    begun(run, plan_of)
    text = (run / "sweep.yaml").read_text()
    (run / "sweep.yaml").write_text(text.replace("seeds: [0, 1]", "seeds: [0, 1, 2]"))
    with pytest.raises(RunFolderError, match=r"sweep\.yaml: means other trajectories") as caught:
        read_status(run)
    assert "\n" not in str(caught.value)
