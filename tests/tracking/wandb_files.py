"""Reads what an offline run wrote: its LevelDB-style log of protobuf records."""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2 as pb

_HEADER = 7
_BLOCK = 32768
_FIRST, _FULL, _LAST = 2, 1, 4


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
    names: dict[int, str] = {}
    (file,) = folder.glob("run-*.wandb")
    for record in _records(file.read_bytes()):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run.id, run.name, run.group = (
                record.run.run_id,
                record.run.display_name,
                record.run.run_group,
            )
            run.job_type, run.project = record.run.job_type, record.run.project
            run.sweep_id = record.run.sweep_id
            run.tags = list(record.run.tags)
            run.config |= {
                item.key: json.loads(item.value_json) for item in record.run.config.update
            }
        elif kind == "history":
            run.steps.append(record.history.step.num)
            run.history[record.history.step.num] = _items(record.history.item)
        elif kind == "summary":
            run.summary |= _items(record.summary.update)
        elif kind == "metric":
            metric = record.metric
            names[len(names) + 1] = metric.name or metric.glob_name
            run.step_metrics[metric.name or metric.glob_name] = metric.step_metric or names.get(
                metric.step_metric_index, ""
            )
        elif kind == "alert":
            run.alerts.append((record.alert.title, record.alert.text, record.alert.level))
        elif kind == "exit":
            run.exited = True
    return run


def _items(items: Any) -> dict[str, Any]:
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


def _records(content: bytes) -> Iterator[Any]:
    position, parts = _HEADER, b""
    while position + _HEADER <= len(content):
        left = _BLOCK - position % _BLOCK
        if left < _HEADER:
            position += left
            continue
        _, length, kind = struct.unpack("<IHB", content[position : position + _HEADER])
        if kind == 0:
            position += left
            continue
        data = content[position + _HEADER : position + _HEADER + length]
        position += _HEADER + length
        parts = data if kind in (_FULL, _FIRST) else parts + data
        if kind in (_FULL, _LAST):
            record = pb.Record()
            record.ParseFromString(parts)
            yield record
