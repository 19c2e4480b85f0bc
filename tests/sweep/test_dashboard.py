"""What optuna-dashboard itself serves of a search: its notes, figures and trajectories."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import optuna
import pytest
from optuna.trial import Trial
from optuna_dashboard import get_note, save_note

from alsweep.data.case import Dataset
from alsweep.layout import best_path, journal_path, trajectory_folder
from alsweep.results.studies import open_storage
from alsweep.sweep import dashboard
from alsweep.sweep.study_name import study_name
from tests.sweep.fakes import ERROR, plant_fault
from tests.sweep.test_search import Bench

SEARCH: dict[str, Any] = {
    "objectives": {"aubc": "max", "foreground_voxels": "min"},
    "constraints": {"train_seconds": 11.0},
    "configurations": 4,
}


@pytest.fixture(scope="module")
def bench(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    made = Bench(dataset, tmp_path_factory.mktemp("shown") / "run", **SEARCH)
    made.go(at_once=2)
    return made


@pytest.fixture(scope="module")
def served(bench: Bench) -> Iterator[str]:
    """Address of a dashboard on the journal of a search."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = Path(sys.executable).with_name("optuna-dashboard")
    arguments = [command, journal_path(bench.run), "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(
        [*map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for_answer(address, process)
            yield address
        finally:
            process.terminate()


def wait_for_answer(address: str, process: subprocess.Popen[str], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert process.poll() is None, process.communicate()[0]
        try:
            urlopen(f"{address}/api/meta", timeout=5).close()
        except URLError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("nobody answers")


def asked(served: str, path: str) -> dict[str, Any]:
    with urlopen(f"{served}/api/{path}", timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def test_the_dashboard_serves_notes_figures_and_trajectories(served: str, bench: Bench) -> None:
    (one,) = asked(served, "studies")["study_summaries"]
    assert one["study_name"].startswith("tiny-")
    study = asked(served, f"studies/{one['study_id']}")
    note = study["note"]["body"]
    assert note.startswith("## Search of the sweep tiny\n")
    assert f"- Data: phantom (`{bench.dataset.fingerprint[:12]}`)" in note
    assert "- Objectives: aubc (max), foreground_voxels (min)" in note
    assert "- Constraints, over all seeds: train_seconds at most 11" in note
    assert "- Seeds: 0, 1" in note
    assert f"- Run folder, when the search began: `{bench.run}`" in note
    assert study["objective_names"] == ["aubc", "foreground_voxels"]
    figures = {
        each["id"]: json.loads(each["graph_object"]) for each in study["plotly_graph_objects"]
    }
    assert figures.keys() == {"alsweep-progress", "alsweep-front"}
    points = figures["alsweep-progress"]["data"][1]
    assert points["x"] == [trial["number"] for trial in study["trials"]]
    assert len(points["error_y"]["array"]) == 4
    labels = {planned.id: planned.label for planned in bench.begun().plan.trajectories}
    for trial, told in zip(study["trials"], bench.trials, strict=True):
        body = trial["note"]["body"]
        ids = told.user_attrs["trajectories"]
        assert len(ids) == 2
        assert all(f"| `{id_}` | {seed} |" in body for seed, id_ in enumerate(ids))
        assert f"- aubc: {told.values[0]:.6g} ± {told.user_attrs['standard_error'][0]:.2g}" in body
        assert body.startswith(f"## {labels[ids[0]]}\n")


def test_a_resume_writes_no_note_twice(bench: Bench) -> None:
    before = journal_path(bench.run).read_bytes()
    again = dashboard.Dashboard(*opened(bench))
    job = bench.begun()
    again._drawn = len(bench.trials)
    again.update(job)
    assert journal_path(bench.run).read_bytes() == before


def test_what_people_write_into_a_note_stays_and_what_a_crash_tore_off_is_written_again(
    bench: Bench,
) -> None:
    storage, name = opened(bench)
    study = optuna.load_study(study_name=name, storage=storage)
    first, second = (Trial(study, one._trial_id) for one in bench.trials[:2])
    whole = get_note(second)
    save_note(first, f"{get_note(first)}\n\nMy own word.")
    save_note(second, whole[:9])
    dashboard.Dashboard(storage, name).update(bench.begun())
    assert get_note(first).endswith("My own word.")
    assert get_note(second) == whole


def opened(bench: Bench) -> tuple[Any, str]:
    name = study_name(bench.plan)
    assert name is not None
    return open_storage(bench.run, None), name


def test_without_the_package_the_search_is_the_same(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "find_spec", lambda name: None)
    plain = Bench(bench.dataset, tmp_path / "run", **SEARCH)
    plain.go(at_once=2)
    assert b"dashboard:" not in journal_path(plain.run).read_bytes()
    assert b"dashboard:" in journal_path(bench.run).read_bytes()
    assert [one.params for one in plain.trials] == [one.params for one in bench.trials]
    assert best_path(plain.run).read_text() == best_path(bench.run).read_text()


def test_notes_that_fail_are_told_once_and_end_no_search(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def broken(*_: object) -> str:
        raise AttributeError("no such thing")

    monkeypatch.setattr(dashboard, "trial_note", broken)
    bench = Bench(dataset, tmp_path / "run", configurations=3)
    bench.go(at_once=1)
    assert [one.state.name for one in bench.trials] == ["COMPLETE"] * 3
    told = [one for one in caplog.messages if "optuna-dashboard" in one]
    assert told == [
        "warning: optuna-dashboard gets no further notes and figures: AttributeError: no such thing"
    ]


def test_a_failed_trial_has_a_note_that_says_why(dataset: Dataset, tmp_path: Path) -> None:
    bench = Bench(dataset, tmp_path / "run", over={"strategy": ["random"]})
    job = bench.begun()
    failing = job.plan.examples[0].id
    plant_fault(trajectory_folder(bench.run, failing), ERROR, loop=1, times=100)
    bench.go(at_once=1)
    storage, name = opened(bench)
    study = optuna.load_study(study_name=name, storage=storage)
    note = get_note(Trial(study, bench.trials[0]._trial_id))
    assert note.startswith("## random\n")
    assert f"- fail, without a value: {failing}: the pool is empty" in note
