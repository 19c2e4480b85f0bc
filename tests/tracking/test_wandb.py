import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import wandb

from alsweep.config.sweep import WandbConfig
from alsweep.config.trajectory import FIRST_PRESETS, PRESETS
from alsweep.errors import ConfigError
from alsweep.sweep.environment import unset_which_run
from alsweep.tracking.shown import metrics, run_id, summary
from alsweep.tracking.wandb import WHICH_RUN, WandbTracker, require_login
from tests.tracking.conftest import TrackedOf, record
from tests.tracking.wandb_files import read_offline_run

REPOSITORY = Path(__file__).parents[2]
OFFLINE = WandbConfig(mode="offline", project="al")


@pytest.fixture(autouse=True)
def _stop_the_service() -> Iterator[None]:
    yield
    next_process()


def next_process() -> None:
    """Stop W&B's service: what follows meets a new one, as another process would."""
    import wandb

    wandb.teardown()


def offline_folders(run: Path) -> list[Path]:
    return sorted((run / "wandb").glob("offline-run-*"))


def test_id_is_of_trajectory_and_sweep_and_allowed(tracked_of: TrackedOf) -> None:
    first, other = run_id(tracked_of(seed=0)[0]), run_id(tracked_of(seed=0, sweep="second")[0])
    assert first != other
    assert first == run_id(tracked_of(seed=0)[0])
    assert first != run_id(tracked_of(seed=1)[0])
    assert len(first) == 32
    assert set(first) <= set("0123456789abcdef")


def test_an_offline_run_holds_everything_once(tmp_path: Path, tracked_of: TrackedOf) -> None:
    tracked, records = tracked_of(seed=3)
    tracker = WandbTracker(tmp_path, OFFLINE)
    for count in (1, 2, 2, 3):
        tracker.update(tracked, records[:count])
    tracker.close()
    (folder,) = offline_folders(tmp_path)
    run = read_offline_run(folder)
    assert (run.id, run.name, run.project) == (run_id(tracked), tracked.id, "al")
    assert (run.group, run.job_type) == (records[0].setting, "trajectory")
    assert run.tags == ["random", "seed-3", "tiny"]
    assert run.config["dataset_fingerprint"] == "f00d"
    # What made the loop, not what mirrors it.
    assert (run.config["alsweep_version"], run.config["numerics"]) == ("0.0.9", 5)
    assert run.config["start_hash"] == "0123456789ab"
    assert run.config["training"]["learning_rate"] == PRESETS["small"]["learning_rate"]
    assert run.steps == [0, 1, 2]
    assert [run.history[k].get("al/mean_dice") for k in range(3)] == [0.25, None, 0.5]
    assert [run.history[k]["loop"] for k in range(3)] == [0, 1, 2]
    assert run.history[2]["al/annotated_patches"] == 18
    assert run.step_metrics["al/*"] == "loop"
    assert run.summary["final_dice"] == 0.5
    assert run.summary["n_patches"] == 18
    assert run.summary["finished"] is True
    assert run.exited


def test_a_named_setting_is_the_group(tmp_path: Path, tracked_of: TrackedOf) -> None:
    tracked, records = tracked_of(seed=3)
    tracker = WandbTracker(tmp_path, OFFLINE)
    tracker.update(replace(tracked, setting="amos-low"), records)
    (folder,) = offline_folders(tmp_path)
    run = read_offline_run(folder)
    assert run.group == run.config["setting_name"] == "amos-low"
    # Its name is for people: the run is the same.
    assert run.id == run_id(tracked)


def test_alerts_are_in_a_run_of_the_sweeps_own(
    tmp_path: Path, tracked_of: TrackedOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What W&B's client was asked for, since its offline files do not hold every alert.
    asked: list[tuple[str, str, str, str]] = []

    def alert(run: wandb.Run, title: str, text: str, level: str) -> None:
        asked.append((run.id, title, text, level))

    monkeypatch.setattr(wandb.Run, "alert", alert)
    tracked, records = tracked_of(seed=3)
    tracker = WandbTracker(tmp_path, OFFLINE)
    tracker.update(tracked, records[:1])
    tracker.alert("tiny", "tiny: trajectory failed", "no room", "ERROR")
    tracker.update(tracked, records)
    tracker.alert("tiny", "tiny: all done", "trajectories: 1 done", "INFO")
    tracker.close()
    assert len(offline_folders(tmp_path)) == 1
    (alerts,) = offline_folders(tmp_path / "wandb" / "alerts")
    # The client's own process may still be writing.
    for _ in range(100):
        run = read_offline_run(alerts)
        if run.exited:
            break
        time.sleep(0.1)
    assert asked == [
        (run.id, "tiny: trajectory failed", "no room", "ERROR"),
        (run.id, "tiny: all done", "trajectories: 1 done", "INFO"),
    ]
    assert (run.name, run.job_type, run.project) == ("tiny (alerts)", "alerts", "al")
    assert run.exited


def kill_while_mirroring(run: Path) -> None:
    """Mirror a loop of the trajectory of seed 0 in a process that is killed before it closes it."""
    code = f"""
import os, signal
from pathlib import Path
from alsweep.config.sweep import WandbConfig
from alsweep.tracking.wandb import WandbTracker
from tests.tracking.conftest import make_tracked
tracked, records = make_tracked(seed=0)
WandbTracker(Path({str(run)!r}), WandbConfig(mode="offline")).update(tracked, records[:1])
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, timeout=60)
    assert done.returncode == -signal.SIGKILL


def test_interrupted_offline_runs_are_rebuilt_and_never_doubled(
    tmp_path: Path, tracked_of: TrackedOf
) -> None:
    tracked, records = tracked_of(seed=0)
    kill_while_mirroring(tmp_path)
    assert len(offline_folders(tmp_path)) == 1
    stopped = WandbTracker(tmp_path, OFFLINE)
    stopped.update(tracked, records[:2])
    stopped.close()
    assert len(offline_folders(tmp_path)) == 1
    next_process()
    last = WandbTracker(tmp_path, OFFLINE)
    last.update(tracked, records)
    (folder,) = offline_folders(tmp_path)
    assert read_offline_run(folder).steps == [0, 1, 2]
    again = WandbTracker(tmp_path, OFFLINE)
    again.update(tracked, records)
    assert again._open == {}
    assert offline_folders(tmp_path) == [folder]


@pytest.mark.parametrize("left", ["marker", "offline-run-20260101_000000-{}", "run-20260101-{}"])
def test_a_run_that_an_earlier_version_began_keeps_its_id(
    tmp_path: Path, tracked_of: TrackedOf, left: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alsweep.config.trajectory.PRESETS", FIRST_PRESETS)
    tracked, _ = tracked_of(seed=0)
    # What the earlier version called it: written down, since a run on a server bears it.
    earlier = "62c4092ac0996edcaec23b5b08343607"
    begun = tmp_path / "wandb" / left.format(earlier)
    if left == "marker":
        begun = tmp_path / "wandb" / "mirrored" / f"{earlier}.json"
    begun.mkdir(parents=True)
    tracker = WandbTracker(tmp_path, OFFLINE)
    assert tracker._id(tracked) == earlier
    assert tracker._id(tracked_of(seed=1)[0]) == run_id(tracked_of(seed=1)[0])


def test_what_the_environment_says_of_a_run_is_not_heeded(
    tmp_path: Path, tracked_of: TrackedOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracked, records = tracked_of(seed=0)
    for name in WHICH_RUN:
        monkeypatch.setenv(name, str(tmp_path / "theirs") if name.endswith("DIR") else "theirs")
    assert unset_which_run(WandbConfig(mode="disabled")) is None
    assert "warning: WANDB_SWEEP_ID, " in str(unset_which_run(OFFLINE))
    tracker = WandbTracker(tmp_path / "run", OFFLINE)
    tracker.update(tracked, records)
    (folder,) = offline_folders(tmp_path / "run")
    run = read_offline_run(folder)
    assert (run.id, run.name, run.project) == (run_id(tracked), tracked.id, "al")
    assert (run.group, run.job_type) == (records[0].setting, "trajectory")
    assert run.tags == ["random", "seed-0", "tiny"]
    assert run.sweep_id == ""
    assert run.steps == [0, 1, 2]
    assert not (tmp_path / "theirs").exists()
    assert unset_which_run(OFFLINE) is None


def test_what_was_synced_is_kept_and_only_later_loops_follow(
    tmp_path: Path, tracked_of: TrackedOf
) -> None:
    tracked, records = tracked_of(seed=0)
    first = WandbTracker(tmp_path, OFFLINE)
    first.update(tracked, records[:2])
    first.close()
    next_process()
    (synced,) = offline_folders(tmp_path)
    time.sleep(1.1)  # W&B names folders by the second
    (synced / f"run-{run_id(tracked)}.wandb.synced").touch()
    second = WandbTracker(tmp_path, OFFLINE)
    second.update(tracked, records)
    assert synced.exists()
    (new,) = set(offline_folders(tmp_path)) - {synced}
    assert read_offline_run(new).steps == [2]


def test_online_continues_after_the_last_step_of_the_server(
    tmp_path: Path, tracked_of: TrackedOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wandb

    logged: list[int] = []
    asked: dict[str, object] = {}
    run = SimpleNamespace(
        id="x",
        dir=str(tmp_path / "wandb" / "run-x" / "files"),
        starting_step=2,
        summary={},
        define_metric=lambda *_, **__: None,
        log=lambda values, step: logged.append(step),
        finish=lambda: None,
    )

    def init(**options: object) -> SimpleNamespace:
        asked.update(options)
        return run

    monkeypatch.setattr(wandb, "init", init)
    tracked, records = tracked_of(seed=0)
    tracker = WandbTracker(tmp_path, WandbConfig(mode="online", project="al"))
    tracker.update(tracked, records)
    assert logged == [2]
    assert (asked["resume"], asked["mode"], asked["id"]) == ("allow", "online", run_id(tracked))


def test_online_without_a_login_is_refused_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import wandb

    monkeypatch.setattr(wandb, "login", lambda: False)
    with pytest.raises(ConfigError, match="run 'wandb login' first"):
        require_login()
    with pytest.raises(
        ConfigError, match=r"^sync needs a login; run 'wandb login' first, or set WANDB_API_KEY$"
    ):
        require_login("sync", "set WANDB_API_KEY")


def test_what_is_not_defined_is_left_out() -> None:
    values = metrics(record(0, None))
    assert "al/mean_dice" not in values
    assert "al/dice/lesion" not in values
    assert values["al/foreground_fraction"] == 0.125


def test_summary_has_the_whole_curve_only_when_it_is_whole() -> None:
    records = [record(0, 0.2), record(1, 0.4), record(2, 0.8)]
    assert summary(records[:2], total=3) == {"n_patches": 12, "finished": False}
    whole = summary(records, total=3)
    assert whole["final_dice"] == 0.8
    assert whole["aubc"] == pytest.approx((0.3 + 0.6) / 2)


def test_importing_the_tracker_imports_no_wandb() -> None:
    code = "import alsweep.tracking.wandb, sys; sys.exit('wandb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
