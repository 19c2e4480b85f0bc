"""Loops of other numerics or threads beside those that a run would make."""

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alsweep import __version__
from alsweep.cli.main import _exit_code
from alsweep.errors import RunFolderError
from alsweep.layout import record_path, trajectory_folder
from alsweep.results.loops import LoopRecord
from alsweep.sweep import run_sweep
from alsweep.sweep.mixing import Stored, on_stored, refuse_mixing
from alsweep.sweep.plan import Plan
from alsweep.sweep.run_folder import write_space
from alsweep.sweep.taking_over import to_take_over
from alsweep.trajectory.numerics import NUMERICS
from tests.sweep.conftest import MakePlan
from tests.sweep.fakes import TableWork

OTHER = {"version": "0.0.9", "numerics": NUMERICS - 1}
UNTOLD = {"version": None, "numerics": None}


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {**os.environ, "WANDB_MODE": "disabled"})


def make(plan: Plan, run: Path, *loops: int, **changes: Any) -> None:
    """Make so many loops of each trajectory, with records that say ``changes``."""
    write_space(run, plan)
    for planned, wanted in zip(plan.trajectories, loops, strict=True):
        folder = trajectory_folder(run, planned.id)
        trajectory = TableWork(run).trajectory(planned.config, folder, lambda progress: None)
        while len(trajectory.records) < wanted:
            trajectory.step()
        for loop in range(wanted):
            record = LoopRecord.read(record_path(folder, loop))
            record.model_copy(update=changes).write(folder)


def stored(run: Path, plan: Plan) -> Stored:
    return Stored.read(run, plan, trained=False)


@pytest.mark.parametrize(
    ("loops", "changes", "refused"),
    [
        ((3, 3, 3, 3), OTHER, 0),
        ((3, 3, 0, 0), OTHER, 0),
        ((3, 2, 1, 0), OTHER, 2),
        ((3, 3, 3, 1), OTHER, 1),
        ((3, 2, 1, 0), {}, 0),
        ((3, 2, 1, 0), {"version": "0.0.9"}, 0),
        ((3, 3, 3, 3), UNTOLD, 0),
    ],
)
def test_only_trajectories_with_loops_to_do_and_loops_of_other_numerics_are_refused(
    run: Path, plan_of: MakePlan, loops: tuple[int, ...], changes: dict[str, Any], refused: int
) -> None:
    plan = plan_of()
    make(plan, run, *loops, **changes)
    if not refused:
        refuse_mixing(stored(run, plan))
        return
    who = f"trajectory {plan.ids[3]} has" if refused == 1 else f"{refused} trajectories have"
    with pytest.raises(RunFolderError, match=f"{who} loops to do") as caught:
        refuse_mixing(stored(run, plan))
    said = str(caught.value)
    assert f"alsweep 0.0.9 (numerics {NUMERICS - 1})" in said
    assert f"this alsweep {__version__} (numerics {NUMERICS})" in said
    assert "--mix-numerics" in said
    assert "\n" not in said


def test_what_is_stopped_is_not_gone_on_with(run: Path, plan_of: MakePlan) -> None:
    plan = plan_of()
    make(plan, run, 3, 1, 3, 3, **OTHER)
    refuse_mixing(stored(run, replace(plan, stopped=frozenset(plan.ids[1:2]))))


@pytest.mark.parametrize(
    ("loops", "changes", "told"),
    [
        ((3, 3, 0, 0), OTHER, True),
        ((3, 2, 0, 0), OTHER, True),
        ((3, 3, 3, 3), OTHER, False),
        ((3, 2, 0, 0), {}, False),
    ],
)
def test_other_numerics_anywhere_in_a_run_that_goes_on_are_a_warning(
    run: Path, plan_of: MakePlan, loops: tuple[int, ...], changes: dict[str, Any], told: bool
) -> None:
    plan = plan_of()
    make(plan, run, *loops, **changes)
    found = list(on_stored(stored(run, plan)))
    assert len(found) == told
    for text in found:
        assert text.startswith("warning: this run has loops of alsweep 0.0.9 (numerics ")


@pytest.mark.parametrize(
    ("resources", "threads", "said"),
    [
        ({"cpus": 1}, {"threads": 1, "training_threads": 1}, None),
        ({"cpus": 1}, {"threads": 1, "training_threads": None}, None),
        ({"cpus": 4}, {"threads": 1, "training_threads": 1}, "give 4 threads, .* on 1 thread:"),
        (
            {"cpus": 4, "members_at_once": 2},
            {"threads": 4, "training_threads": 4},
            r"give 4 threads \(2 for each training\), .* on 4 threads:",
        ),
        ({"cpus": 4, "members_at_once": 2}, {"threads": 4, "training_threads": 2}, None),
        ({"cpus": 1.5}, {"threads": 1, "training_threads": 1}, None),
    ],
)
def test_a_run_that_goes_on_with_other_threads_is_warned(
    run: Path,
    plan_of: MakePlan,
    resources: dict[str, Any],
    threads: dict[str, Any],
    said: str | None,
) -> None:
    plan = plan_of(resources=resources)
    make(plan, run, 3, 1, 0, 0, **threads)
    found = list(on_stored(stored(run, plan)))
    assert len(found) == (said is not None)
    assert said is None or re.match(f"warning: resources.cpus .* {said}", found[0])
    make(plan, run, 3, 3, 3, 3, **threads)
    assert not list(on_stored(stored(run, plan)))


def test_loops_that_are_going_to_be_taken_over_are_heeded(
    run: Path, plan_of: MakePlan, caplog: pytest.LogCaptureFixture
) -> None:
    query = {"patches": 6, "patch_size": [8, 8, 8]}
    bases = ({"query": {**query, "loops": n}, "training": {"members": 2}} for n in (2, 3))
    short, long = (plan_of(base=base, resources={"cpus": 1}) for base in bases)
    write_space(run, short)
    for planned in short.trajectories:
        folder = trajectory_folder(run, planned.id)
        trajectory = TableWork(run).trajectory(planned.config, folder, lambda progress: None)
        for loop in range(2):
            trajectory.step()
            record = LoopRecord.read(record_path(folder, loop))
            setting = planned.config.setting_hash(planned.dataset_fingerprint)[:6]
            changes = {"threads": 4, "setting": f"phantom-{setting}"}
            record.model_copy(update=changes).write(folder)
    taken = list(to_take_over(run, long))
    assert [one.loops for one in taken] == [1] * 4
    (text,) = on_stored(Stored.read(run, long, taken=taken, trained=False))
    assert "but finished loops were computed on 4 threads" in text
    assert not list(on_stored(Stored.read(run, long, trained=False)))


@pytest.mark.parametrize("command", ["resume {run}", "run {run}/sweep.yaml --out {run}"])
def test_commands_refuse_in_one_line_that_names_the_mend(
    command: str, run: Path, plan_of: MakePlan, capsys: pytest.CaptureFixture[str]
) -> None:
    make(plan_of(), run, 3, 2, 3, 3, **OTHER)
    before = (run / "sweep.yaml").read_bytes()
    assert _exit_code(command.format(run=run).split(), debug=False) == 2
    said = capsys.readouterr().err.splitlines()
    assert "--mix-numerics" in said[-1]
    assert (run / "sweep.yaml").read_bytes() == before


def test_a_dry_run_says_what_the_run_would(
    run: Path, plan_of: MakePlan, capsys: pytest.CaptureFixture[str]
) -> None:
    make(plan_of(), run, 3, 2, 3, 3, **OTHER)
    dry = ["run", f"{run}/sweep.yaml", "--out", str(run), "--dry-run"]
    assert _exit_code(dry, debug=False) == 2
    assert "--mix-numerics" in capsys.readouterr().err.splitlines()[-1]
    assert _exit_code([*dry, "--mix-numerics"], debug=False) == 0
    assert "warning: this run has loops of alsweep 0.0.9" in capsys.readouterr().err


@pytest.mark.parametrize("changes", [OTHER, UNTOLD])
def test_a_run_with_nothing_missing_needs_no_leave(
    run: Path, plan_of: MakePlan, changes: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_of()
    make(plan, run, 3, 3, 3, 3, **changes)
    assert run_sweep(plan, run, report=False).done == 4
    assert _exit_code(["status", str(run)], debug=False) == 0
    assert "warning" not in capsys.readouterr().err
