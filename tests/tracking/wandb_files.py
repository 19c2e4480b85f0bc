"""Reads what an offline run wrote, as W&B's own reader (``wandb leet inspect --json``) tells it."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.util import get_core_path


@dataclass
class OfflineRun:
    """What W&B would show of a run."""

    id: str = ""
    name: str = ""
    group: str = ""
    job_type: str = ""
    sweep_id: str = ""
    project: str = ""
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    history: dict[int, dict[str, Any]] = field(default_factory=dict)
    steps: list[int] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    step_metrics: dict[str, str] = field(default_factory=dict)
    alerts: list[tuple[str, str, str]] = field(default_factory=list)
    exited: bool = False


def read_offline_run(folder: Path) -> OfflineRun:
    run = OfflineRun()
    (file,) = folder.glob("run-*.wandb")
    for kind, record in _records(file):
        if kind == "run":
            run.id, run.name = record["run_id"], record.get("display_name", "")
            run.group, run.job_type = record.get("run_group", ""), record.get("job_type", "")
            run.project, run.sweep_id = record["project"], record.get("sweep_id", "")
            run.tags = record.get("tags", [])
            run.config |= record["config"]["update"]
        elif kind == "history":
            step = record["step"].get("num", 0)
            run.steps.append(step)
            run.history[step] = record["item"]
        elif kind == "summary":
            run.summary |= record.get("update", {})
        elif kind == "metric":
            name = record.get("name") or record["glob_name"]
            run.step_metrics[name] = record.get("step_metric", "")
        elif kind == "alert":
            run.alerts.append((record["title"], record["text"], record["level"]))
        elif kind == "exit":
            run.exited = True
    return run


def _records(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    # The command itself is the same, but imports all of wandb first.
    command = [get_core_path(), "leet", "inspect", "--json", "--no-observability"]
    done = subprocess.run(
        [*command, "--run-file", str(file), str(file.parent)],
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    for line in done.stdout.splitlines():
        record = json.loads(line)
        yield record["type"], record.get(record["type"], {})
