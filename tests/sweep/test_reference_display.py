"""What is told while full-data references are made."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from alsweep.layout import starts_folder
from alsweep.sweep.fulldata import references
from alsweep.sweep.heartbeat import Heartbeat
from alsweep.sweep.plan import Plan
from alsweep.sweep.reference_display import ReferenceDisplay
from alsweep.trajectory.progress import Progress
from tests.sweep.conftest import MakePlan
from tests.sweep.fakes import table_reference


def console(*, terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100, color_system=None)


@pytest.fixture
def plan(plan_of: MakePlan) -> Plan:
    return plan_of()


def test_each_reference_that_ends_is_a_line(run: Path, plan: Plan) -> None:
    first, second = references(plan)
    out = console(terminal=False)
    with ReferenceDisplay(run, [first, second], out) as display:
        table_reference(first.example.config, first.key).write(run)
        display.ended(first, None)
        display.ended(second, "no room [/x]")
    assert out.file.getvalue().splitlines() == [
        "[1/2] full data, seed 0: Dice 0.900, about 0 s left",
        "failed: full data, seed 1: no room [/x]",
    ]


def test_a_reference_without_a_record_has_no_dice(run: Path, plan: Plan) -> None:
    (first, _) = references(plan)
    out = console(terminal=False)
    with ReferenceDisplay(run, [first], out) as display:
        display.ended(first, None)
    assert "[1/1] full data, seed 0: Dice -," in out.file.getvalue()


def test_a_terminal_shows_those_under_way_and_the_total(run: Path, plan: Plan) -> None:
    first, second = references(plan)
    out = console(terminal=True)
    with ReferenceDisplay(run, [first, second], out) as display:
        Heartbeat(starts_folder(run) / second.key)(Progress(0, "train", 3, 10))
        display.ended(first, "broken")
    lines = out.file.getvalue().splitlines()
    (row,) = {line.split("train")[0].strip() for line in lines if line.startswith("seed 1")}
    assert row == "seed 1"
    assert not [line for line in lines if line.startswith("seed 0")]
    assert any("1/2 references done, about 0 s left" in line for line in lines)
