"""Online, against what of W&B's server its client talks to: no step twice, whatever happens."""

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import wandb

from alsweep import load_results
from alsweep.cli.main import app
from alsweep.config.sweep import WandbConfig
from alsweep.errors import ConfigError, RecordError, RunFolderError
from alsweep.layout import record_path, trajectory_folder
from alsweep.results.table import frame
from alsweep.sweep.from_wandb import runs_at_wandb
from alsweep.sweep.run_folder import driver_lock
from alsweep.sweep.syncing import sync_run, tracked
from alsweep.testing.runs import write_run
from alsweep.tracking.reading import read_runs
from alsweep.tracking.shown import full_config, metrics
from alsweep.tracking.wandb import WandbTracker
from alsweep.tracking.workspace import make_workspace, save_workspace, spec
from tests.report.pages import undrawn
from tests.tracking.conftest import TrackedOf
from tests.tracking.wandb_server import KEY, ServedRun, Server, serve

REPOSITORY = Path(__file__).parents[2]
ONLINE = WandbConfig(mode="online", project="al")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serve() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        monkeypatch.setenv("WANDB_SILENT", "true")
        for name in ("CONFIG", "CACHE", "DATA"):
            monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / "home"))
        wandb.teardown()
        yield server
        wandb.teardown()
        assert server.unknown == []


def mirror(run: Path, tracked_of: TrackedOf, loops: int) -> None:
    tracked, records = tracked_of(seed=0)
    tracker = WandbTracker(run, ONLINE)
    tracker.update(tracked, records[:loops])
    tracker.close()


def test_a_killed_process_is_continued_after_the_last_step_of_the_server(
    server: Server, tmp_path: Path, tracked_of: TrackedOf
) -> None:
    code = f"""
import time
from pathlib import Path
from alsweep.config.sweep import WandbConfig
from alsweep.tracking.wandb import WandbTracker
from tests.tracking.conftest import make_tracked
tracked, records = make_tracked(seed=0)
config = WandbConfig(mode="online", project="al")
WandbTracker(Path({str(tmp_path)!r}), config).update(tracked, records[:2])
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY)
    end = time.monotonic() + 120
    while not any(run.steps for run in server.runs.values()):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (run,) = server.runs.values()
    before = run.steps
    mirror(tmp_path, tracked_of, 3)
    assert before in ([0], [0, 1])
    assert run.steps == [0, 1, 2]
    assert run.summary["finished"] is True
    assert run.config["strategy_label"] == "random"
    asked = len(server.operations)
    mirror(tmp_path, tracked_of, 3)
    assert len(server.operations) == asked  # what is there is not even asked for


def test_an_answer_that_is_lost_doubles_no_step(
    server: Server, tmp_path: Path, tracked_of: TrackedOf
) -> None:
    lost: list[int] = []

    def lose(request: dict[str, object]) -> None:
        if request.get("files") and len(lost) < 2:
            lost.append(1)
            raise ConnectionError

    server.interrupt = lose
    mirror(tmp_path, tracked_of, 3)
    (run,) = server.runs.values()
    assert len(lost) == 2
    assert run.steps == [0, 1, 2]


def test_a_run_is_synced_once_however_often_and_whatever_was_sent_before(
    server: Server, phantom_run: Path
) -> None:
    settings = WandbConfig(mode="offline", project="al")
    first = _run(phantom_run).trajectories[0]
    offline = WandbTracker(phantom_run, settings)
    offline.update(tracked(_run(phantom_run), first), first.records[:2])
    offline.close()
    wandb.teardown()
    (folder,) = (phantom_run / "wandb").glob("offline-run-*")
    # As a user does; its marker is lost, as where it was killed, so that W&B would send all again.
    subprocess.run(
        [sys.executable, "-m", "wandb", "sync", "--yes", folder], check=True, timeout=120
    )
    for marker in folder.glob("*.sync*"):
        marker.unlink()
    said: list[str] = []
    done = sync_run(phantom_run, settings, said.append)
    assert (done.trajectories, done.sent) == (4, 4)
    by_kind = {kind: _of_kind(server, kind) for kind in ("trajectory", "analysis")}
    assert [run.steps for run in by_kind["trajectory"]] == [[0, 1, 2]] * 4
    names = {run.fields["displayName"] for run in by_kind["trajectory"]}
    assert names == {t.id for t in _run(phantom_run).trajectories}
    _check_queries(server, by_kind["trajectory"][0])
    (analysis,) = by_kind["analysis"]
    _check_analysis(server, analysis)
    versions = {name: list(one["versions"]) for name, one in server.artifacts.items()}
    again = sync_run(phantom_run, settings, said.append)
    assert (again.trajectories, again.sent) == (4, 0)
    assert [run.steps for run in _of_kind(server, "trajectory")] == [[0, 1, 2]] * 4
    assert len(_of_kind(server, "analysis")) == 1
    assert {name: one["versions"] for name, one in server.artifacts.items()} == versions
    assert os.environ["WANDB_MODE"] != "online"


def _run(path: Path):  # type: ignore[no-untyped-def]
    from alsweep.results.records import read_run

    return read_run(path)


def _of_kind(server: Server, kind: str) -> list[ServedRun]:
    return [run for run in server.runs.values() if run.fields.get("jobType") == kind]


def _check_queries(server: Server, run: ServedRun) -> None:
    """One table with a row a patch, and a picture in each."""
    shown = run.summary["queries"]
    assert (shown["_type"], shown["nrows"], shown["ncols"]) == ("table-file", 18, 12)
    (held,) = (c for path, c in server.stored.items() if _is(path, run))
    table = json.loads(held)
    row = dict(zip(table["columns"], table["data"][0], strict=True))
    assert (row["loop"], row["rank"], row["dz"]) == (0, 0, 8)
    assert row["slices"]["_type"] == "image-file"
    assert (row["slices"]["height"], row["slices"]["width"]) == (96, 296)


def _is(path: str, run: ServedRun) -> bool:
    """Whether a stored file is the table of queries of a run."""
    artifact = base64.b64decode(path.split("/")[2]).decode()
    return path.endswith("/queries.table.json") and f"run-{run.name}-queries" in artifact


def _check_analysis(server: Server, run: ServedRun) -> None:
    assert run.steps == []  # a history could only grow
    assert run.summary["table_win_matrix"]["_type"] == "table-file"
    assert run.summary["table_comparisons"]["_type"] == "table-file"
    assert run.summary["picture_win_matrix"]["_type"] == "image-file"
    figure = json.loads(run.files[run.summary["figure_win_matrix"]["path"]])
    assert [trace["type"] for trace in figure["data"]] == ["heatmap"]
    curves = json.loads(run.files[run.summary["figure_learning_curves"]["path"]])
    assert "switch" not in json.dumps(curves)
    assert run.summary["trajectories_done"] == 4
    held = [content for path, content in server.stored.items() if path.endswith("results.parquet")]
    assert held[0][:4] == b"PAR1"


def test_the_tidy_table_comes_back_as_it_was(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undrawn(monkeypatch)
    write_run(tmp_path / "run", patch_sizes=((8, 8, 8), (4, 8, 8)), seeds=(0, 1))
    for record in tmp_path.glob("run/trajectories/random-p4x8x8-s1-*/records/loop_003.json"):
        record.unlink()
    run = _run(tmp_path / "run")
    _serve_run(server, run)
    (back,) = runs_at_wandb("lab/al", tmp_path / "back")
    pd.testing.assert_frame_equal(frame(back), frame(run), check_exact=True)
    app(
        ["report", "--from-wandb", "lab/al", "--out", str(tmp_path / "out")],
        standalone_mode=False,
    )
    table = load_results(tmp_path / "out" / "results.parquet")
    pd.testing.assert_frame_equal(table, frame(run), check_exact=True)
    assert (tmp_path / "out" / "index.html").exists()


def _serve_run(server: Server, run) -> None:  # type: ignore[no-untyped-def]
    """Put into the server what the client sends, as the tests above have seen it arrive."""
    for trajectory in run.trajectories:
        shown = tracked(run, trajectory)
        served = ServedRun("al", f"w-{trajectory.id}", complete=True)
        config = full_config(shown, trajectory.records[0])
        plain = {key: {"value": value} for key, value in config.items()}
        served.fields = {
            "displayName": trajectory.id,
            "jobType": "trajectory",
            "config": json.dumps(plain),
        }
        lines = [metrics(r) | {"_step": r.loop} for r in trajectory.records]
        served.lines["wandb-history.jsonl"] = dict(enumerate(map(json.dumps, lines)))
        server.runs[served.name] = served


def test_neither_runs_nor_steps_end_at_a_page(server: Server) -> None:
    for index in range(102):
        run = ServedRun("al", f"r{index}", {"jobType": "trajectory", "displayName": f"t{index}"})
        steps = range(1200 if index == 60 else 1)
        run.lines["wandb-history.jsonl"] = {
            step: json.dumps({"_step": step, "loop": step, "al/mean_dice": step / 1200})
            for step in steps
        }
        server.runs[run.name] = run
    server.runs["other"] = ServedRun("al", "other", {"jobType": "analysis"})
    found = list(read_runs("lab/al"))
    assert [run.name for run in found] == [f"t{index}" for index in range(102)]
    assert [line["loop"] for line in found[60].history] == list(range(1200))
    assert {len(run.history) for run in found} == {1, 1200}


def test_what_cannot_be_read_is_said_in_one_line(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected ENTITY/PROJECT"):
        list(read_runs("alsweep"))
    with pytest.raises(RecordError, match="no run of an alsweep trajectory in it"):
        runs_at_wandb("lab/al", tmp_path)


def test_a_run_at_work_is_not_synced(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    with driver_lock(tmp_path / "run"), pytest.raises(RunFolderError, match="is at work in it"):
        sync_run(tmp_path / "run", ONLINE, print)


def test_a_view_is_built_without_a_server_and_replaced_when_saved_again(
    server: Server, tmp_path: Path
) -> None:
    workspace = make_workspace("tiny", "lab", "al", ["organ", "lesion"])
    said = json.loads(spec(workspace))
    sections = said["section"]["panelBankConfig"]["sections"]
    plots = [panel["config"] for panel in sections[0]["panels"]]
    assert [plot["metrics"] for plot in plots] == [
        *(["al/mean_dice"], ["al/dice/organ"], ["al/dice/lesion"])
    ]
    assert {plot["xAxis"] for plot in plots} == {"al/annotated_patches"}
    assert "figure_win_matrix" in json.dumps(sections[1])
    runs = said["section"]["runSets"][0]
    assert [key["name"].split(".")[0] for key in runs["grouping"]] == ["setting", "strategy_label"]
    assert "tiny" in json.dumps(runs["filters"])
    assert server.operations == []
    for _ in range(2):
        save_workspace(tmp_path, ONLINE, "tiny", ["organ"])
    (view,) = server.views.values()
    assert view["displayName"] == "alsweep: tiny"
    assert view["entityName"] == "lab"


def test_a_record_more_is_sent_alone(server: Server, tmp_path: Path) -> None:
    write_run(tmp_path / "run", strategies={"random": 0.4}, seeds=(0,))
    (one,) = _run(tmp_path / "run").trajectories
    last = record_path(trajectory_folder(tmp_path / "run", one.id), 3)
    content = last.read_bytes()
    last.unlink()
    sync_run(tmp_path / "run", ONLINE, lambda text: None, queries=False)
    (run,) = _of_kind(server, "trajectory")
    assert (run.steps, run.summary["finished"]) == ([0, 1, 2], False)
    assert _of_kind(server, "analysis") == []
    last.write_bytes(content)
    done = sync_run(tmp_path / "run", ONLINE, lambda text: None, queries=False)
    assert (run.steps, run.summary["finished"]) == ([0, 1, 2, 3], True)
    assert done.sent == 1
