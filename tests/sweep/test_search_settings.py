"""What a search adds bears the name of its setting, wherever it is shown."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from alsweep.data.case import Dataset
from alsweep.results.load import load_results
from alsweep.sweep.deciding import extended
from alsweep.sweep.display import LineDisplay, LiveDisplay, SweepState
from alsweep.sweep.monitor import Pace
from alsweep.sweep.outlook import outlook
from tests.sweep.fakes import table_record
from tests.sweep.test_search import Bench

SETTINGS = [{"name": "low", "query.patches": 6}, {"name": "high", "query.patches": 8}]
"""On one dataset, so that no fingerprint tells them apart."""


@pytest.fixture(scope="module")
def bench(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    place = tmp_path_factory.mktemp("named") / "run"
    made = Bench(dataset, place, seeds=[0], settings=SETTINGS, configurations=2)
    made.go()
    return made


def test_the_plan_knows_it_while_the_search_runs_and_after_a_resume(bench: Bench) -> None:
    for plan in (bench.go().plan, extended(bench.plan, bench.run)):
        found = [(one.setting, one.config.query.patches) for one in plan.trajectories]
        assert found == [("low", 6), ("high", 8)] * (len(found) // 2)
        assert len(found) >= 2
        assert not plan.own


def test_displays_and_dry_run_show_it(bench: Bench) -> None:
    plan = extended(bench.plan, bench.run)
    low, high = plan.trajectories[:2]
    loops = dict.fromkeys(plan.ids, 0)
    for kind in (LineDisplay, LiveDisplay):
        text = StringIO()
        console = Console(file=text, width=200, force_terminal=kind is LiveDisplay)
        with kind(SweepState(bench.run, plan, Pace(6), dict(loops)), console) as display:
            for one in (low, high):
                display.began(one)
                display.loop(one, table_record(one.config, 0))
        assert f"low: {low.label}" in text.getvalue()
        assert f"high: {high.label}" in text.getvalue()
    seen = outlook(bench.run, plan, private=True)
    assert [line.setting for line in seen.lines[:2]] == ["low", "high"]
    assert [one.name for one in seen.settings] == ["low", "high"]


def test_tables_name_it(bench: Bench) -> None:
    table = load_results(bench.run)
    found = {(row.setting_name.split(" · ")[0], row.query_size) for row in table.itertuples()}
    assert found == {("low", 6), ("high", 8)}


def test_a_log_from_before_tells_it_by_the_dataset(bench: Bench, tmp_path: Path) -> None:
    log = bench.run / "decisions.jsonl"
    whole = log.read_text()
    log.write_text(whole.replace(',"setting":"low"', "").replace(',"setting":"high"', ""))
    try:
        assert {one.setting for one in extended(bench.plan, bench.run).trajectories} == {None}
        assert set(load_results(bench.run)["query_size"]) == {6, 8}
    finally:
        log.write_text(whole)
