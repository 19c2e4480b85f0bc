import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from alsweep.cli.status import _live_table, _table
from alsweep.config.load import load_sweep
from alsweep.data.phantom import write_phantom
from alsweep.results.decisions import Decision, append_decisions
from alsweep.results.records import read_run
from alsweep.sweep.plan import make_plan
from alsweep.sweep.planning import stored_plan
from alsweep.sweep.run_folder import write_space
from alsweep.sweep.status import read_status
from alsweep.sweep.tries import Setback, Tries
from tests.cli.test_run import SPACE, call
from tests.sweep.test_missing import do_loops


@pytest.fixture
def run(tmp_path: Path) -> Path:
    dataset = write_phantom(tmp_path / "dataset", cases=4, shape=(24, 24, 24))
    space = tmp_path / "tiny.yaml"
    space.write_text(SPACE.format(dataset=dataset.path))
    plan = make_plan(load_sweep(space), dataset)
    write_space(tmp_path / "run", plan)
    do_loops(tmp_path / "run", plan, index=0, loops=3)
    do_loops(tmp_path / "run", plan, index=1, loops=1)
    return tmp_path / "run"


def test_status_for_people(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert call(monkeypatch, "status", run) == 0
    text = capsys.readouterr().out
    assert "1 done, 0 running, 0 failed, 3 waiting" in text
    assert text.splitlines()[-1] == f"nobody is at work; go on with: alsweep resume {run}"


def test_settings_are_shown_where_there_are_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    dataset = write_phantom(tmp_path / "dataset", cases=4, shape=(24, 24, 24))
    (tmp_path / "tiny.yaml").write_text(
        SPACE.format(dataset=dataset.path).replace("grid:", "grid:\n  training.epochs: [3, 4]")
    )
    write_space(tmp_path / "run", make_plan(load_sweep(tmp_path / "tiny.yaml"), dataset))
    monkeypatch.setenv("COLUMNS", "160")
    assert call(monkeypatch, "status", tmp_path / "run") == 0
    text = capsys.readouterr().out
    assert text.count("training.epochs 3 ") == text.count("training.epochs 4 ") == 4


def test_status_quotes_the_path_and_admits_that_the_time_left_is_unknown(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    odd = run.rename(run.parent / "r ün1")
    assert call(monkeypatch, "status", odd) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[-1].endswith(f"alsweep resume '{odd}'")
    assert "3 waiting; time left unknown" in text


def test_status_shows_labels_as_they_were_written(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    space = run / "sweep.yaml"
    text = space.read_text()
    assert "label: predictive_entropy" in text
    space.write_text(text.replace("label: predictive_entropy", "label: '[/x]'"))
    monkeypatch.setenv("COLUMNS", "120")
    assert call(monkeypatch, "status", run) == 0
    assert "[/x]" in capsys.readouterr().out


@pytest.mark.parametrize(("width", "named"), [(120, True), (40, False)])
def test_a_table_looks_alike_whether_it_is_drawn_at_once_or_row_by_row(
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    width: int,
    named: bool,
) -> None:
    space = run / "sweep.yaml"
    odd = r'label: "[b]\nä :x:"'
    space.write_text(space.read_text().replace("label: predictive_entropy", odd))
    monkeypatch.setenv("COLUMNS", str(width))
    assert call(monkeypatch, "status", run) == 0
    found, rows = read_status(run), Console(file=StringIO(), width=width)
    rows.print(_table(found, found.trajectories))
    assert capsys.readouterr().out.startswith(rows.file.getvalue())
    assert ("[b] ä :x:" in rows.file.getvalue()) == named


def test_status_ends_with_what_was_lost_and_what_raised(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    tries, (one, other) = Tries(), [p.id for p in stored_plan(run).trajectories[:2]]
    for name, error in ((one, None), (other, None), (other, "bug:7"), ("ray", None)):
        tries.again(run, name, Setback("what", error=error), 1)
    assert call(monkeypatch, "status", run) == 0
    (line,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith("mishaps: ")]
    assert line == (
        "mishaps: 3 workers or machines lost, 1 error raised; what is lost is tried again; most "
        f"often {other}: 1 worker or machine lost, 1 error raised"
    )


def test_status_for_machines(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert call(monkeypatch, "status", run, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    states = {"done": 1, "running": 0, "failed": 0, "truncated": 0, "waiting": 3}
    assert found["counts"] == states
    assert [one["loops_done"] for one in found["trajectories"]] == [3, 1, 0, 0]


def test_status_and_dry_run_of_a_run_in_which_something_was_decided(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    config = stored_plan(run).trajectories[0].config.model_copy(update={"seed": 7})
    id_ = config.trajectory_id(read_run(run).begun.grounds[0].dataset_fingerprint)
    stops = [
        Decision(action="stopped", trajectory=one.id, by="race", why="it loses")
        for one in stored_plan(run).trajectories
    ]
    more = Decision(action="added", trajectory=id_, by="search", why="is new", config=config)
    append_decisions(run, [*stops, more])
    assert call(monkeypatch, "status", run) == 0
    assert "1 done, 0 running, 0 failed, 3 truncated, 1 waiting" in capsys.readouterr().out
    assert call(monkeypatch, "run", run / "sweep.yaml", "--out", run, "--dry-run") == 0
    said = capsys.readouterr()
    assert "5 trajectories, 1 done, 4 to do with 11 loops" in said.out
    assert id_ in said.out
    assert "warning: 3 trajectories (" in said.err
    append_decisions(run, [more.model_copy(update={"action": "stopped"})])
    assert call(monkeypatch, "status", run) == 0
    assert [one["action"] for one in read_status(run).plain()["decisions"]] == [
        *("stopped", "stopped", "stopped", "stopped"),
        *("added", "stopped"),
    ]
    # Nobody needs to go on: what is not done was stopped.
    assert "alsweep resume" not in capsys.readouterr().out


def test_status_of_what_is_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert call(monkeypatch, "status", tmp_path) == 2
    assert "no sweep.yaml in it" in capsys.readouterr().err


def test_watching_ends_when_nobody_is_at_work_and_leaves_a_page(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    page = run.parent / "status.html"
    drivers = iter(["process 1 on a", "process 1 on a", None])

    def active(_: Path) -> str | None:
        do_loops(run, stored_plan(run), index=2, loops=1)
        return next(drivers)

    monkeypatch.setattr("alsweep.sweep.status.active_driver", active)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    assert call(monkeypatch, "status", run, "--watch", "--html", page) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" loops; ")[0] for line in lines[:3]] == ["5", "6", "7"]
    assert lines[-1] == f"nobody is at work; go on with: alsweep resume {run}"
    assert "2 done" in lines[2]
    assert "7 of 12 loops" in page.read_text()


def test_ctrl_c_ends_watching_quietly(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("alsweep.sweep.status.active_driver", lambda _: "process 1 on a")
    monkeypatch.setattr("time.sleep", interrupt)
    assert call(monkeypatch, "status", run, "--watch") == 0
    assert capsys.readouterr().err == ""


def test_a_live_table_shows_who_runs_first_and_counts_the_rest(run: Path) -> None:
    found = read_status(run)
    table = _live_table(found, most=2)
    assert list(map(str, table.columns[2].cells)) == ["waiting", "waiting"]
    assert str(table.caption).startswith("and 2 more; 1 done, ")


def test_a_capped_run_says_how_to_go_on(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    space = run / "sweep.yaml"
    # Four loops of 1.75 s each.
    space.write_text(space.read_text().replace("gpu_hours: null", "gpu_hours: 0.0019"))
    assert call(monkeypatch, "status", run) == 0
    *_, cap, last = capsys.readouterr().out.splitlines()
    assert cap == "caps.gpu_hours: 0.00194 of 0.0019"
    assert last.endswith(f"alsweep run {space} --out {run} --set caps.gpu_hours=...")
    assert call(monkeypatch, "status", run, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["caps"] == [{"name": "gpu_hours", "used": 4 * 1.75 / 3600, "bound": 0.0019}]


def test_a_users_file_is_not_written_over(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (run.parent / "mine.html").write_text("mine")
    assert call(monkeypatch, "status", run, "--html", run.parent / "mine.html") == 2
    assert "choose another --html" in capsys.readouterr().err
    assert (run.parent / "mine.html").read_text() == "mine"
    assert call(monkeypatch, "status", run, "--json", "--watch") == 2
    assert "leave --watch out" in capsys.readouterr().err
