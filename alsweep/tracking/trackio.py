"""trackio: W&B's interface without a server; a sink.

Its database lies where trackio looks for it (TRACKIO_DIR, else in the user's cache), so that
``trackio show --project PROJECT`` finds it. It is written to directly: ``trackio.init`` prints to
the standard output, where results belong, and ends the run that was begun before.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alsweep.results.loops import LoopRecord
from alsweep.tracking.base import Level, Tracked
from alsweep.tracking.shown import full_config, metrics, run_id, summary

_LEVELS = {"INFO": "info", "WARN": "warn", "ERROR": "error"}


class TrackioTracker:
    """Mirrors records to trackio's database: the loops that a run lacks, in one transaction.

    Args:
        run: Not used: the database is the user's, and a trajectory's id is the same in all copies
            of a run.
        project: Of trackio.
    """

    def __init__(self, run: Path, project: str = "alsweep") -> None:
        from trackio.sqlite_storage import SQLiteStorage

        self._storage: Any = SQLiteStorage
        self._project = project

    def update(self, tracked: Tracked, records: Sequence[LoopRecord]) -> None:
        """Log the loops that come after the last one that the database has."""
        id_, total = run_id(tracked), tracked.config.query.loops
        last = self._storage.get_last_step(self._project, run_id=id_)
        missing = records[0 if last is None else last + 1 :]
        if not missing:
            return
        rows = [metrics(record) for record in missing]
        if len(records) == total:
            rows[-1] |= {f"summary/{key}": v for key, v in summary(records, total).items()}
        self._storage.bulk_log(
            self._project,
            tracked.id,
            rows,
            steps=[record.loop for record in missing],
            config={**full_config(tracked, records[0]), "_Group": records[0].setting},
            run_id=id_,
        )

    def alert(self, sweep: str, title: str, text: str, level: Level) -> None:
        """Alert in the project, under the sweep's name."""
        self._storage.bulk_alert(self._project, sweep, [title], [text], [_LEVELS[level]], [None])

    def close(self) -> None:
        """Do nothing: every update is durable."""
