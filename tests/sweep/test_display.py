import io
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from rich.console import Console

from alsweep.layout import starts_folder, trajectory_folder
from alsweep.sweep.display import LineDisplay, LiveDisplay, make_display
from alsweep.sweep.heartbeat import Heartbeat
from alsweep.sweep.missing import missing_starts
from alsweep.sweep.plan import Plan
from alsweep.trajectory.progress import Progress
from tests.sweep.conftest import MakePlan
from tests.sweep.fakes import table_record
from tests.sweep.test_missing import do_loops


def console(*, terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100, color_system=None)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def follow_one_trajectory(display: LineDisplay | LiveDisplay, plan: Plan, run: Path) -> None:
    one, other = plan.trajectories[:2]
    start = missing_starts(run, plan)[0]
    display.preparing([start])
    display.prepared(start)
    display.began(one)
    display.loop(one, table_record(one.config, 0))
    display.setback(one, "its worker was lost; it is tried again")
    display.began(one)
    display.failed(other, "no room; lower query.patches")


def test_without_a_terminal_each_event_is_one_plain_line(run: Path, plan_of: MakePlan) -> None:
    plan = plan_of()
    out = console(terminal=False)
    with make_display(run, plan, dict.fromkeys(plan.ids, 0), out) as display:
        follow_one_trajectory(display, plan, run)
    dice = table_record(plan.trajectories[0].config, 0).mean_dice
    assert text_of(out).splitlines() == [
        "preparing 1 shared start (loop 0) for 2 trajectories",
        "the start of seed 0 is ready, shared by 2",
        f"[1/12] random seed 0 loop 1/3: Dice {dice:.3f}, about 0 s left",
        f"warning: {plan.ids[0]}: its worker was lost; it is tried again",
        f"failed: {plan.ids[1]}: no room; lower query.patches",
    ]


def test_a_start_that_failed_is_not_said_to_be_ready(run: Path, plan_of: MakePlan) -> None:
    plan = plan_of()
    out = console(terminal=False)
    starts = missing_starts(run, plan)
    with make_display(run, plan, dict.fromkeys(plan.ids, 0), out) as display:
        display.preparing(starts)
        for planned in plan.trajectories:
            if planned.start == starts[0].key:
                display.failed(planned, "no room")
        for start in starts:
            display.prepared(start)
    assert "preparing 2 shared starts (loop 0) for 4 trajectories" in text_of(out)
    ready = [line for line in text_of(out).splitlines() if "is ready" in line]
    seeds = [start.example.config.seed for start in starts[1:]]
    assert seeds
    assert ready == [f"the start of seed {seed} is ready, shared by 2" for seed in seeds]


@pytest.mark.parametrize("kind", ["dumb", "unknown"])
def test_a_terminal_that_cannot_redraw_gets_plain_lines(
    run: Path, plan_of: MakePlan, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("TERM", kind)
    plan = plan_of()
    out = Console(file=io.StringIO(), force_terminal=True, width=100)
    with make_display(run, plan, dict.fromkeys(plan.ids, 0), out) as display:
        follow_one_trajectory(display, plan, run)
    assert "the start of seed 0 is ready, shared by 2" in text_of(out).splitlines()


def test_live_table_shows_what_runs_and_the_totals(run: Path, plan_of: MakePlan) -> None:
    plan = plan_of()
    one = plan.trajectories[0]
    out = console(terminal=True)
    with make_display(run, plan, dict.fromkeys(plan.ids, 0), out) as display:
        follow_one_trajectory(display, plan, run)
        Heartbeat(trajectory_folder(run, one.id))(Progress(1, "evaluate", 1, 4))
    shown = text_of(out)
    dice = table_record(one.config, 0).mean_dice
    row = next(line for line in reversed(shown.splitlines()) if line.startswith("random"))
    assert "2/3" in row
    assert "evaluate" in row
    assert f"{dice:.3f}" in row
    assert "0/4 trajectories done, 1 failed, 1/12 loops" in shown


def test_live_table_shows_starts_while_they_are_prepared(run: Path, plan_of: MakePlan) -> None:
    plan = plan_of()
    start = missing_starts(run, plan)[1]
    out = console(terminal=True)
    with make_display(run, plan, dict.fromkeys(plan.ids, 0), out) as display:
        display.preparing([start])
        Heartbeat(starts_folder(run) / start.key)(Progress(0, "train", 3, 10))
    row = next(line for line in text_of(out).splitlines() if line.startswith("start for 2"))
    assert row.split()[3:6] == ["1", "1", "train"]


def test_the_live_table_shows_labels_as_they_were_written(run: Path, plan_of: MakePlan) -> None:
    labels = ["random[beta=5]", "[/x]"]
    plan = plan_of(
        grid={
            "strategy": [
                {"name": "random", "label": labels[0]},
                {"name": "margin", "label": "[/x]"},
            ]
        },
        seeds=[0],
    )
    out = console(terminal=True)
    with make_display(run, plan, dict.fromkeys(plan.ids, 0), out) as display:
        for planned in plan.trajectories:
            display.began(planned)
    for label in labels:
        assert any(line.startswith(f"{label} ") for line in text_of(out).splitlines())


def test_a_resumed_sweep_counts_the_loops_that_were_done(run: Path, plan_of: MakePlan) -> None:
    plan = plan_of()
    loops = {id_: 3 if id_ == plan.ids[0] else 0 for id_ in plan.ids}
    display = make_display(run, plan, loops, console(terminal=False))
    assert display.state.summary.startswith("1/4 trajectories done, 3/12 loops")
    assert display.state.pace.left == 9


class Unwalked(dict[str, int]):
    """Can be asked for one value alone."""

    def values(self) -> NoReturn:
        raise AssertionError("all trajectories were walked over")

    __iter__ = items = keys = values


def test_no_event_walks_over_all_trajectories(run: Path, plan_of: MakePlan) -> None:
    plan = plan_of()
    done = {planned.id: planned.config.query.loops for planned in plan.trajectories[3:]}
    for terminal in (False, True):
        out = console(terminal=terminal)
        loops = dict.fromkeys(plan.ids, 0) | done
        with make_display(run, plan, loops, out) as display:
            display.state.loops = Unwalked(display.state.loops)
            display.state.plan = replace(plan, trajectories=())
            follow_one_trajectory(display, plan, run)
            for loop in (1, 2):
                display.loop(plan.trajectories[0], table_record(plan.trajectories[0].config, loop))
            display.ended(plan.trajectories[0])
            assert display.state.summary.startswith("2/0 trajectories done, 1 failed, 6/12 loops")


def test_what_was_added_on_the_way_is_counted(run: Path, plan_of: MakePlan) -> None:
    plan = plan_of(seeds=[0])
    more = plan_of(seeds=[0], grid={"strategy": ["margin"]}).trajectories
    out = console(terminal=False)
    with make_display(run, plan, dict.fromkeys(plan.ids, 0), out) as display:
        display.added(more)
        display.began(more[0])
        display.loop(more[0], table_record(more[0].config, 0))
        display.failed(more[0], "no room")
    assert text_of(out).startswith("[1/9] margin seed 0 loop 1/3: ")
    assert display.state.pace.left == 6
    assert display.state.summary.startswith("0/3 trajectories done, 1 failed, 1/9 loops")


def test_what_was_added_with_loops_of_its_own_counts_them(run: Path, plan_of: MakePlan) -> None:
    plan = plan_of(seeds=[0])
    more = plan_of(seeds=[0, 1], grid={"strategy": ["margin"]})
    do_loops(run, more, 0, 3)
    do_loops(run, more, 1, 1)
    display = make_display(run, plan, dict.fromkeys(plan.ids, 0), console(terminal=False))
    display.added(more.trajectories)
    assert display.state.summary.startswith("1/4 trajectories done, 4/12 loops")
    display.loop(more.trajectories[1], table_record(more.trajectories[1].config, 1))
    assert display.state.summary.startswith("1/4 trajectories done, 5/12 loops")
    assert display.state.pace.left == 7
