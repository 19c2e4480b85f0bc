"""Runs as far as W&B has them: what tables and reports need, without queries and networks."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from alsweep.config.base import STORED
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.errors import RecordError
from alsweep.files import write_json
from alsweep.layout import space_path, trajectory_folder
from alsweep.results.begun import Begun, Ground
from alsweep.results.loops import LoopRecord, SurfaceScores
from alsweep.results.records import RunFolder, TrajectoryFolder
from alsweep.tracking.reading import MirroredRun, read_runs

_log = logging.getLogger(__name__)

_COUNTS = (
    *("annotated_patches", "annotated_voxels", "foreground_voxels", "annotated_cases"),
    *("cached_members", "threads"),
)
_SECONDS = ("train_seconds", "evaluate_seconds", "query_seconds")


def runs_at_wandb(path: str, folder: Path) -> list[RunFolder]:
    """Read the sweeps of a project, each as a run.

    Args:
        path: ``ENTITY/PROJECT``.
        folder: An empty one; each sweep's sweep.yaml is written into a folder in it.

    Raises:
        ConfigError: ``path`` is none.
        RecordError: W&B does not answer, or the project holds no trajectory of alsweep.
    """
    by_sweep: dict[str, list[MirroredRun]] = defaultdict(list)
    for run in read_runs(path):
        if "trajectory" in run.config and "sweep" in run.config:
            by_sweep[str(run.config["sweep"])].append(run)
    if not by_sweep:
        raise RecordError(
            f"--from-wandb {path}: no run of an alsweep trajectory in it; name another project"
        )
    return [_run(folder / name, name, runs) for name, runs in by_sweep.items()]


def _run(path: Path, name: str, runs: Sequence[MirroredRun]) -> RunFolder:
    read = {run.name: found for run in runs if (found := _trajectory(path, run)) is not None}
    kept = [run for run in runs if run.name in read]
    begun = Begun(name, tuple(read), tuple(_grounds(kept)))
    _write_space(path, begun)
    return RunFolder(path, begun, tuple(read.values()))


def _grounds(runs: Iterable[MirroredRun]) -> Iterator[Ground]:
    """One for each named setting and dataset."""
    groups: dict[tuple[str | None, str, str], list[str]] = defaultdict(list)
    for run in runs:
        key = (run.config.get("setting_name"), run.config["dataset"])
        groups[*key, run.config["dataset_fingerprint"]].append(run.name)
    for (setting, dataset, print_), ids in groups.items():
        place = "dataset" if setting is None else f"settings.{setting}.dataset"
        yield Ground(setting, place, Path(dataset), print_, frozenset(ids))


def _write_space(path: Path, begun: Begun) -> None:
    """What sections of a report read of a sweep.yaml; JSON is YAML."""
    provenance = {"version": "0", "trajectories": list(begun.ids)}
    first = begun.grounds[0]
    raw = {"name": begun.name, "dataset": str(first.dataset)}
    provenance["dataset_fingerprint"] = first.dataset_fingerprint
    write_json(space_path(path), raw | {"provenance": provenance})


def _trajectory(run: Path, mirrored: MirroredRun) -> TrajectoryFolder | None:
    """A trajectory as far as W&B has it; None, with a warning, where that is not ours."""
    known = mirrored.config
    try:
        fields = {k: v for k, v in known.items() if k in TrajectoryConfig.model_fields}
        config = TrajectoryConfig.model_validate(fields, context=STORED)
        records = tuple(_records(mirrored))
    except (KeyError, TypeError, ValidationError) as error:
        reason = " ".join(str(error).split())[:200]
        _log.warning("skipped: run %s at W&B is not as alsweep logs it: %s", mirrored.id, reason)
        return None
    if config.trajectory_id(known["dataset_fingerprint"]) != mirrored.name:
        _log.warning("skipped: run %s at W&B has the config of another trajectory", mirrored.id)
        return None
    status = "done" if len(records) == config.query.loops else "running"
    folder = trajectory_folder(run, mirrored.name)
    return TrajectoryFolder(mirrored.name, folder, config, records, status, None)  # type: ignore[arg-type]


def _records(mirrored: MirroredRun) -> Iterator[LoopRecord]:
    """Loops from 0 to the first that is missing; of a loop that is there twice the last counts."""
    lines = {int(line["loop"]): line for line in mirrored.history if line.get("loop") is not None}
    twice = sum(line.get("loop") is not None for line in mirrored.history) - len(lines)
    if twice:
        _log.warning("warning: run %s at W&B has %d loops twice", mirrored.id, twice)
    for loop in range(len(lines)):
        if loop not in lines:
            _log.warning("warning: run %s at W&B lacks loop %d", mirrored.id, loop)
            return
        yield _record(loop, _shown(lines[loop]), mirrored.config)


def _shown(line: Mapping[str, Any]) -> dict[str, Any]:
    return {k.removeprefix("al/"): v for k, v in line.items() if k.startswith("al/")}


def _record(loop: int, shown: Mapping[str, Any], config: Mapping[str, Any]) -> LoopRecord:
    """A record less what is not mirrored: values of single cases, and keys of members."""
    test = shown.get("test_mean_dice")
    return LoopRecord(
        loop=loop,
        dataset=config["dataset_name"],
        setting=config["setting"],
        start_hash=config["start_hash"],
        foreground_fraction=shown.get("foreground_fraction"),
        mean_dice=shown.get("mean_dice"),
        dice=_by_class("dice", shown, config),
        case_dice={},
        surface=_surface(shown, config),
        test=None if test is None else {"mean_dice": test, "dice": {}, "case_dice": {}},
        device=config.get("device", "unknown"),
        precision=config.get("precision", "unknown"),
        members=(),
        version=config.get("alsweep_version"),
        numerics=config.get("numerics"),
        **{name: int(shown.get(name, 0)) for name in _COUNTS},
        **{name: float(shown[name]) for name in _SECONDS},
    )


def _by_class(
    metric: str, shown: Mapping[str, Any], config: Mapping[str, Any]
) -> dict[str, float | None]:
    """A metric of each class; classes in the dataset's order, as far as that was told."""
    there = [k.removeprefix(f"{metric}/") for k in shown if k.startswith(f"{metric}/")]
    names = dict.fromkeys([*config.get("classes", ()), *sorted(there)])
    return {name: shown.get(f"{metric}/{name}") for name in names}


def _surface(shown: Mapping[str, Any], config: Mapping[str, Any]) -> SurfaceScores | None:
    if "surface_dice" not in shown and "hd95" not in shown:
        return None
    return SurfaceScores(
        surface_dice=shown.get("surface_dice"),
        hd95=shown.get("hd95"),
        class_surface_dice=_by_class("surface_dice", shown, config),
        class_hd95=_by_class("hd95", shown, config),
        case_surface_dice={},
        case_hd95={},
    )
