"""Weights & Biases: one run a trajectory, never a second one, whatever is killed."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from alsweep import __version__
from alsweep.config.base import STORED, Frozen, added, fingerprint
from alsweep.config.sweep import WandbConfig
from alsweep.errors import ConfigError
from alsweep.files import write_json
from alsweep.layout import RESULTS, wandb_folder
from alsweep.results.loops import LoopRecord
from alsweep.tracking.analysis import Analysis, QueriedRow, media, queries_table
from alsweep.tracking.base import Level, Tracked
from alsweep.tracking.shown import (
    analysis_id,
    earlier_run_id,
    full_config,
    metrics,
    run_id,
    summary,
)

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


def require_login(who: str = "wandb.mode: online", otherwise: str = "use mode: offline") -> None:
    """Make sure that W&B knows the user; on a terminal its client may ask.

    Args:
        who: What needs it.
        otherwise: What a user who has none may do instead.

    Raises:
        ConfigError: It does not, and there is nobody to ask.
    """
    import wandb

    try:
        known = wandb.login()
    except wandb.errors.UsageError:
        known = False
    if not known:
        raise ConfigError(f"{who} needs a login; run 'wandb login' first, or {otherwise}")


class Mirrored(Frozen):
    """What is known to be in a trajectory's W&B run; written when the run is closed.

    Attributes:
        mode: How it got there.
        folder: Name of the folder of the run's files.
        loops: How many loops the run holds.
        queries: Whether it holds the table of its queries.
    """

    mode: Literal["offline", "online"]
    folder: str
    loops: int
    queries: bool = added(False, neutral=False)


@dataclass
class _OpenRun:
    """A W&B run and the loops that are in it."""

    run: Any
    loops: int
    queries: bool = False


class WandbTracker:
    """Mirrors records to W&B: ``update`` opens a trajectory's run, and its last loop closes it.

    Offline, W&B cannot continue a run: each process writes a folder of its own. So an earlier
    folder that was not synced is removed, and the run rebuilt from the records. Online, the run is
    continued after its last step.

    Args:
        run_folder: W&B's files lie in its ``wandb`` folder.
        config: Mode, project and entity.
        queried: What a finished trajectory has queried, to be shown as a table; asked for once.
    """

    def __init__(
        self,
        run_folder: Path,
        config: WandbConfig,
        queried: Callable[[Tracked], Sequence[QueriedRow]] | None = None,
    ) -> None:
        self._folder = run_folder
        self._config = config
        self._queried = queried
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
            if self._queried is not None:
                opened.run.summary.update({"queries": queries_table(self._queried(tracked))})
                opened.queries = True
            self._finish(tracked.id)

    def analyse(self, analysis: Analysis) -> str:
        """Show what a report says in a run of the sweep's own; what it showed before is replaced.

        All is in the run's summary, since a history can only grow; an artifact that is what it was
        gets no new version.

        Returns:
            Where to look at it.
        """
        import wandb

        self._remove_unsynced(analysis_id(analysis.sweep))
        run = self._init(
            self._folder,
            id=analysis_id(analysis.sweep),
            name=f"{analysis.sweep} (analysis)",
            job_type="analysis",
            tags=[analysis.sweep[:_LONGEST_TAG]],
            config={"sweep": analysis.sweep, "alsweep_version": __version__},
        )
        with tempfile.TemporaryDirectory() as folder:
            run.summary.update({**analysis.numbers, **media(analysis, Path(folder))})
            table = wandb.Artifact(f"{analysis.sweep}-results", type="result-table")
            table.add_file(str(analysis.results), name=RESULTS)
            run.log_artifact(table)
            place = run.url or run.dir
            run.finish()
        return str(place)

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

    def has(self, tracked: Tracked, loops: int) -> bool:
        """Whether W&B's server is known to have so many loops of a trajectory, and its queries."""
        known, total = self._known(self._id(tracked)), tracked.config.query.loops
        if known is None or known.loops < loops or not self._at_server(known):
            return False
        return loops < total or self._queried is None or known.queries

    def _complete(self, tracked: Tracked, total: int) -> bool:
        known = self._known(self._id(tracked))
        if known is None or known.loops < total:
            return False
        if self._queried is not None and not known.queries:
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
        mirrored = Mirrored(
            mode=self._mode, folder=folder, loops=opened.loops, queries=opened.queries
        )
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
