import pytest
import typer
from typer.testing import CliRunner

from alsweep.cli.report import report
from alsweep.errors import RunFolderError
from alsweep.testing.runs import write_run
from tests.report.pages import undrawn


@pytest.fixture(autouse=True)
def quick_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    undrawn(monkeypatch)


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    app = typer.Typer()
    app.command("report")(report)
    return app


def test_the_place_of_the_page_goes_to_stdout(app, tmp_path):
    write_run(tmp_path / "run", loops=2)
    result = CliRunner().invoke(app, [str(tmp_path / "run"), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0
    assert result.stdout.strip() == f"report: {tmp_path / 'out' / 'index.html'}"
    assert (tmp_path / "out" / "ranking.csv").exists()


def test_a_folder_that_is_no_run_is_a_users_error(app, tmp_path):
    result = CliRunner().invoke(app, [str(tmp_path)])
    assert isinstance(result.exception, RunFolderError)
    assert not list(tmp_path.iterdir())


def test_stray_files_beside_runs_and_in_the_report_are_passed_over(app, tmp_path):
    for name in ("a", "b"):
        write_run(tmp_path / name, loops=2)
        (tmp_path / name / "trajectories" / "notes.txt").write_text("mine")
    (tmp_path / "c.txt").write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".DS_Store").write_text("")
    given = [*map(str, sorted(tmp_path.glob("[abc]*"))), "--out", str(tmp_path / "out")]
    told = CliRunner().invoke(app, given)
    assert told.exit_code == 0
    assert told.stderr == f"skipped: {tmp_path / 'c.txt'} is a file, not a run folder\n"
    assert isinstance(CliRunner().invoke(app, [str(tmp_path / "c.txt")]).exception, RunFolderError)


def test_watching_writes_anew_as_loops_end_and_stops_with_the_driver(app, tmp_path, monkeypatch):
    run, written, sleeps = tmp_path / "run", [], []
    write_run(run, loops=2)
    last = sorted(run.glob("trajectories/*/records/loop_001.json"))[-1]
    content = last.read_bytes()
    last.unlink()

    def pause(seconds):
        sleeps.append(seconds)
        if len(sleeps) == 2:  # the second look finds nothing new
            last.write_bytes(content)

    monkeypatch.setattr("time.sleep", pause)
    monkeypatch.setattr(
        "alsweep.sweep.run_folder.active_driver", lambda _: "pid 1" if len(sleeps) < 3 else None
    )

    def write(runs, out, published, *, refresh, chosen, pictures):
        assert published is None
        assert pictures is (refresh is None)
        done = len(list(runs[0].glob("trajectories/*/records/loop_001.json")))
        written.append((len(sleeps), refresh, done))
        return runs[0] / "report" / "index.html"

    monkeypatch.setattr("alsweep.report.write_report", write)
    result = CliRunner().invoke(app, [str(run), "--watch", "--every", "7"])
    assert result.exit_code == 0, result.output
    assert written == [(0, 7, 5), (2, 7, 6), (3, None, 6)]
    assert sleeps == [7, 7, 7]
    assert CliRunner().invoke(app, [str(run), "--every", "7"]).exit_code == 2


def test_help_has_an_example(app):
    assert "Example: alsweep report" in CliRunner().invoke(app, ["--help"]).stdout
