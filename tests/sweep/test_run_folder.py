from pathlib import Path

import pytest

from alsweep.errors import RunFolderError
from alsweep.layout import trajectory_folder
from alsweep.results.records import read_config
from alsweep.sweep.run_folder import (
    active_driver,
    check_same_sweep,
    driver_lock,
    left_out,
    refresh_configs,
    stored_sweep,
    write_space,
)
from alsweep.trajectory.query_log import QueryLog
from tests.sweep.conftest import MakePlan


def test_a_second_driver_is_refused_until_the_first_is_gone(run: Path) -> None:
    with driver_lock(run):
        assert active_driver(run) is not None
        with (
            pytest.raises(RunFolderError, match=r"another alsweep .* is at work in it"),
            driver_lock(run),
        ):
            pass
    assert active_driver(run) is None
    with driver_lock(run):
        pass


def test_a_folder_of_somebody_else_is_refused_and_left_alone(run: Path) -> None:
    run.mkdir()
    (run / "thesis.tex").write_text("mine")
    with pytest.raises(RunFolderError, match=r"holds 'thesis.tex'"), driver_lock(run):
        pass
    assert [path.name for path in run.iterdir()] == ["thesis.tex"]


def test_what_systems_leave_in_every_folder_is_nobodys(run: Path, plan_of: MakePlan) -> None:
    run.mkdir()
    for name in (".DS_Store", "Thumbs.db", "._run"):
        (run / name).write_text("")
    check_same_sweep(run, plan_of())
    (run / ".gitignore").write_text("")
    with pytest.raises(RunFolderError, match=r"holds '.gitignore'"):
        check_same_sweep(run, plan_of())


def test_a_file_in_place_of_the_run_is_refused(run: Path) -> None:
    run.write_text("")
    with pytest.raises(RunFolderError, match="is a file"), driver_lock(run):
        pass


def test_a_place_that_cannot_be_written_gives_one_clear_line() -> None:
    run = Path("/proc/alsweep-run")
    with (
        pytest.raises(RunFolderError, match=r"cannot be written .*choose another --out"),
        driver_lock(run),
    ):
        pass


def test_trajectories_that_have_begun_hear_of_a_moved_dataset(run: Path, plan_of: MakePlan) -> None:
    plan = plan_of()
    first, second, *_ = plan.trajectories
    moved = first.config.model_copy(update={"dataset": Path("/old/place")})
    QueryLog(trajectory_folder(run, first.id)).claim(moved)
    refresh_configs(run, plan)
    assert read_config(trajectory_folder(run, first.id)) == first.config
    assert not trajectory_folder(run, second.id).exists()


def test_a_run_that_was_stopped_before_its_first_file_can_go_on(
    run: Path, plan_of: MakePlan
) -> None:
    with driver_lock(run):
        pass
    check_same_sweep(run, plan_of())


def test_a_users_search_space_does_not_make_a_run_folder(run: Path, plan_of: MakePlan) -> None:
    run.mkdir()
    (run / "sweep.yaml").write_text(
        "name: tiny\ndataset: data\nbase: {query: {patches: 1, patch_size: [1, 1, 1]}}\n"
    )
    with pytest.raises(RunFolderError, match="was not written by 'alsweep run'"):
        check_same_sweep(run, plan_of())


def test_another_sweep_is_refused_by_name(run: Path, plan_of: MakePlan) -> None:
    write_space(run, plan_of())
    with pytest.raises(RunFolderError, match="holds the sweep 'tiny', not 'other'"):
        check_same_sweep(run, plan_of(name="other"))


def test_a_changed_dataset_is_refused_by_fingerprint(run: Path, plan_of: MakePlan) -> None:
    write_space(run, plan_of())
    text = (run / "sweep.yaml").read_text()
    fingerprint = plan_of().trajectories[0].dataset_fingerprint
    (run / "sweep.yaml").write_text(text.replace(fingerprint, "f" * 64))
    with pytest.raises(
        RunFolderError, match=rf"fingerprint f{{12}}, but .* has {fingerprint[:12]}"
    ):
        check_same_sweep(run, plan_of())


def test_an_extended_sweep_is_the_same_and_a_shrunk_one_tells_what_it_leaves_out(
    run: Path, plan_of: MakePlan
) -> None:
    plan = plan_of()
    write_space(run, plan)
    extended = plan_of(seeds=[0, 1, 2])
    check_same_sweep(run, extended)
    assert left_out(run, extended) == []
    assert left_out(run, plan_of(seeds=[0])) == [plan.ids[1], plan.ids[3]]


def test_space_is_rewritten_only_when_it_changes(run: Path, plan_of: MakePlan) -> None:
    write_space(run, plan_of())
    before = (run / "sweep.yaml").stat().st_ino
    write_space(run, plan_of())
    assert (run / "sweep.yaml").stat().st_ino == before
    write_space(run, plan_of(seeds=[0, 1, 2]))
    assert stored_sweep(run).seeds == (0, 1, 2)


def test_a_folder_without_sweep_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"no sweep\.yaml in it"):
        stored_sweep(tmp_path)
