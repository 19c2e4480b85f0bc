"""Weights & Biases: one run a trajectory, never a second one, whatever is killed."""

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from alsweep.config.base import STORED, Frozen, fingerprint
from alsweep.config.sweep import WandbConfig
from alsweep.errors import ConfigError
from alsweep.files import write_json
from alsweep.layout import wandb_folder
from alsweep.results.loops import LoopRecord
from alsweep.tracking.base import Level, Tracked

_LONGEST_TAG = 64
_SYNCED = ".synced"

WHICH_RUN = tuple(
    f"WANDB_{name}"
    for name in (
        *("SWEEP_ID", "SWEEP_PARAM_PATH", "LAUNCH", "LAUNCH_CONFIG_PATH"),
        *("RUN_ID", "RESUME", "RESUME_FROM", "FORK_FROM", "DIR", "ROOT_DIR"),
        *("NAME", "RUN_NAME", "RUN_GROUP", "JOB_TYPE", "RUN_JOB_TYPE", "TAGS", "RUN_TAGS"),
    )
)
"""Variables that tell W&B's client which run a process feeds. A sweep feeds one a trajectory, which
a client that heeded them would merge or double: whoever makes a tracker unsets them first."""


def require_login() -> None:
    """Make sure that W&B knows the user; on a terminal its client may ask.

    Raises:
        ConfigError: It does not, and there is nobody to ask.
    """
    import wandb

    try:
        known = wandb.login()
    except wandb.errors.UsageError:
        known = False
    if not known:
        raise ConfigError(
            "wandb.mode: online needs a login; run 'wandb login' first, or use mode: offline"
        )


class Mirrored(Frozen):
    """What is known to be in a trajectory's W&B run; written when the run is closed.

    Attributes:
        mode: How it got there.
        folder: Name of the folder of the run's files.
        loops: How many loops the run holds.
    """

    mode: Literal["offline", "online"]
    folder: str
    loops: int


@dataclass
class _OpenRun:
    """A W&B run and the loops that are in it."""

    run: Any
    loops: int


class WandbTracker:
    """Mirrors records to W&B: ``update`` opens a trajectory's run, and its last loop closes it.

    Offline, W&B cannot continue a run: each process writes a folder of its own. So an earlier
    folder that was not synced is removed, and the run rebuilt from the records. Online, the run is
    continued after its last step.

    Args:
        run_folder: W&B's files lie in its ``wandb`` folder.
        config: Mode, project and entity.
    """

    def __init__(self, run_folder: Path, config: WandbConfig) -> None:
        self._folder = run_folder
        self._config = config
        self._open: dict[str, _OpenRun] = {}
        self._alerts: Any = None

    def update(self, tracked: Tracked, records: Sequence[LoopRecord]) -> None:
        """Log the loops that the trajectory's run lacks."""
        total = tracked.config.query.loops
        if tracked.id not in self._open:
            if self._complete(tracked, total):
                return
            self._open[tracked.id] = self._begin(tracked, records)
        opened = self._open[tracked.id]
        for record in records[opened.loops :]:
            opened.run.log(metrics(record), step=record.loop)
        opened.loops = len(records)
        opened.run.summary.update(summary(records, total))
        if len(records) == total:
            self._finish(tracked.id)

    def alert(self, sweep: str, title: str, text: str, level: Level) -> None:
        """Alert through a run of the sweep's own, since a trajectory's may be closed long ago.

        Its files lie apart, in ``wandb/alerts``: what lies beside them is one run a trajectory.
        """
        if self._alerts is None:
            id_ = fingerprint({"alerts": sweep})[:32]
            what = {
                "name": f"{sweep} (alerts)",
                "job_type": "alerts",
                "tags": [sweep[:_LONGEST_TAG]],
            }
            self._alerts = self._init(self._files / "alerts", id=id_, **what)
        self._alerts.alert(title=title, text=text, level=level)

    def close(self) -> None:
        """Close all runs; those of unfinished trajectories are rebuilt or continued later."""
        for id_ in list(self._open):
            self._finish(id_)
        if self._alerts is not None:
            self._alerts.finish()

    def _complete(self, tracked: Tracked, total: int) -> bool:
        known = self._known(self._id(tracked))
        if known is None or known.loops < total:
            return False
        return self._at_server(known) or (
            self._config.mode == "offline" and (self._files / known.folder).exists()
        )

    def _begin(self, tracked: Tracked, records: Sequence[LoopRecord]) -> _OpenRun:
        id_ = self._id(tracked)
        known = self._known(id_)
        sent = known.loops if known is not None and self._at_server(known) else 0
        self._remove_unsynced(id_)
        online = self._config.mode == "online"
        run = self._init(
            self._folder,
            id=id_,
            name=tracked.id,
            group=tracked.setting or records[0].setting,
            job_type="trajectory",
            tags=[
                tag[:_LONGEST_TAG]
                for tag in (tracked.label, f"seed-{tracked.config.seed}", tracked.sweep)
            ],
            config=full_config(tracked, records[0]),
        )
        run.define_metric("loop")
        run.define_metric("al/*", step_metric="loop")
        run.define_metric("al/mean_dice", step_metric="loop", summary="last")
        return _OpenRun(run, run.starting_step if online else sent)

    def _init(self, folder: Path, **what: Any) -> Any:
        """A run in this tracker's project, with its files in a folder named wandb in this one."""
        import wandb

        wandb_folder(folder).mkdir(parents=True, exist_ok=True)
        return wandb.init(
            project=self._config.project,
            entity=self._config.entity,
            dir=str(folder),
            mode=self._config.mode,
            resume="allow" if self._config.mode == "online" else None,
            reinit="create_new",
            settings=wandb.Settings(
                console="off",
                silent=True,
                x_disable_stats=True,
                x_disable_meta=True,
                disable_git=True,
                sagemaker_disable=True,  # it would call all trajectories by one id
                save_code=False,
            ),
            **what,
        )

    def _finish(self, id_: str) -> None:
        opened = self._open.pop(id_)
        folder = Path(opened.run.dir).parent.name
        opened.run.finish()
        mirrored = Mirrored(mode=self._mode, folder=folder, loops=opened.loops)
        write_json(self._marker(opened.run.id), mirrored.plain())

    @property
    def _mode(self) -> Literal["offline", "online"]:
        return "online" if self._config.mode == "online" else "offline"

    @property
    def _files(self) -> Path:
        return wandb_folder(self._folder)

    def _id(self, tracked: Tracked) -> str:
        """The run's id; a run that an earlier version began here keeps the one that it has."""
        earlier = earlier_run_id(tracked)
        begun = self._marker(earlier).exists() or any(self._files.glob(f"*run-*-{earlier}"))
        return earlier if begun else run_id(tracked)

    def _marker(self, id_: str) -> Path:
        return self._files / "mirrored" / f"{id_}.json"

    def _known(self, id_: str) -> Mirrored | None:
        try:
            return Mirrored.model_validate_json(self._marker(id_).read_bytes(), context=STORED)
        except (FileNotFoundError, ValueError):
            return None  # then the run is rebuilt from the records, which is always right

    def _at_server(self, known: Mirrored) -> bool:
        return known.mode == "online" or _synced(self._files / known.folder)

    def _remove_unsynced(self, id_: str) -> None:
        for folder in self._files.glob(f"offline-run-*-{id_}"):
            if not _synced(folder):
                shutil.rmtree(folder)


def _synced(folder: Path) -> bool:
    """Whether ``wandb sync`` has sent an offline run; it leaves a marker beside the run's file."""
    return any(folder.glob(f"*{_SYNCED}"))


def run_id(tracked: Tracked) -> str:
    """A trajectory's id at W&B, 32 hex digits: the same on every machine.

    Each sweep has its own, told by its name: a run that two of them fed would have every step
    twice, and the tags of whichever came last.
    """
    return fingerprint({**_trajectory(tracked), "sweep": tracked.sweep})[:32]


def earlier_run_id(tracked: Tracked) -> str:
    """The id that alsweep 0.1 gave to a trajectory in every sweep."""
    return fingerprint(_trajectory(tracked))[:32]


def _trajectory(tracked: Tracked) -> dict[str, Any]:
    identity = tracked.config.identity_on(tracked.dataset_fingerprint)
    return {"trajectory": tracked.id, "identity": identity}


def full_config(tracked: Tracked, first: LoopRecord) -> dict[str, Any]:
    """The resolved config, and what pairs and reproduces the run."""
    return {
        **tracked.config.plain(),
        "strategy_label": tracked.label,
        "trajectory": tracked.id,
        "sweep": tracked.sweep,
        "setting": first.setting,
        "setting_name": tracked.setting,
        "start_hash": first.start_hash,
        "dataset_name": first.dataset,
        "dataset_fingerprint": tracked.dataset_fingerprint,
        "alsweep_version": first.version,
        "numerics": first.numerics,
    }


def metrics(record: LoopRecord) -> dict[str, float | int]:
    """What a run shows of a loop; what is not defined is left out, not plotted as 0."""
    values = {
        "mean_dice": record.mean_dice,
        **{f"dice/{name}": dice for name, dice in record.dice.items()},
        "test_mean_dice": None if record.test is None else record.test.mean_dice,
        "surface_dice": None if record.surface is None else record.surface.surface_dice,
        "hd95": None if record.surface is None else record.surface.hd95,
        "annotated_patches": record.annotated_patches,
        "annotated_voxels": record.annotated_voxels,
        "foreground_voxels": record.foreground_voxels,
        "foreground_fraction": record.foreground_fraction,
        "annotated_cases": record.annotated_cases,
        "train_seconds": record.train_seconds,
        "evaluate_seconds": record.evaluate_seconds,
        "query_seconds": record.query_seconds,
        "cached_members": record.cached_members,
    }
    shown = {f"al/{key}": value for key, value in values.items() if value is not None}
    return {"loop": record.loop, **shown}


def summary(records: Sequence[LoopRecord], total: int) -> dict[str, float | int | bool]:
    """What W&B's table of runs is filtered by; results only where the trajectory is finished."""
    finished = len(records) == total
    values: dict[str, float | int | bool | None] = {
        "n_patches": records[-1].annotated_patches,
        "finished": finished,
    }
    if finished:
        values |= {"final_dice": records[-1].mean_dice, "aubc": _aubc(records)}
    return {key: value for key, value in values.items() if value is not None}


def _aubc(records: Sequence[LoopRecord]) -> float | None:
    """Area under the budget curve as reports give it; None where it is not defined."""
    import pandas as pd

    from alsweep.results.metrics import aubc

    one = {"setting": "", "strategy": "", "seed": 0, "status": "done"}
    columns = ("loop", "annotated_patches", "mean_dice")
    rows = [one | record.model_dump(include=set(columns)) for record in records]
    area = float(aubc(pd.DataFrame(rows).astype({"mean_dice": float}))["aubc"].iloc[0])
    return None if math.isnan(area) else area
