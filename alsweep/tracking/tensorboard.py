"""TensorBoard: one folder of event files a trajectory, in RUN/tensorboard; a sink."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alsweep.config.base import STORED, Frozen
from alsweep.files import canonical_json, write_json
from alsweep.layout import tensorboard_folder
from alsweep.results.loops import LoopRecord
from alsweep.tracking.base import Level, Tracked
from alsweep.tracking.shown import full_config, metrics, summary


class _Mirrored(Frozen):
    """How many loops the event files of a trajectory hold; written when they are closed."""

    loops: int


class TensorBoardTracker:
    """Mirrors records as scalars over loops.

    Event files cannot be mended, so that those of a process that was killed are made again from
    the records, which is cheap; those that were closed are left as they are.

    Args:
        run: Run folder.
        project: Not used: a log folder is whatever lies in it.
    """

    def __init__(self, run: Path, project: str = "") -> None:
        self._folder = tensorboard_folder(run)
        self._open: dict[str, tuple[Any, int]] = {}

    def update(self, tracked: Tracked, records: Sequence[LoopRecord]) -> None:
        """Write the loops that the trajectory's event files lack."""
        total = tracked.config.query.loops
        if tracked.id not in self._open:
            if self._written(tracked.id) >= len(records):
                return
            self._open[tracked.id] = (self._begin(tracked, records[0]), 0)
        writer, written = self._open[tracked.id]
        for record in records[written:]:
            for name, value in metrics(record).items():
                if name != "loop":
                    writer.add_scalar(name, value, record.loop)
        if len(records) == total:
            for name, value in summary(records, total).items():
                writer.add_scalar(f"summary/{name}", float(value), total - 1)
        writer.flush()
        self._open[tracked.id] = (writer, len(records))
        if len(records) == total:
            self._finish(tracked.id)

    def alert(self, sweep: str, title: str, text: str, level: Level) -> None:
        """Do nothing: TensorBoard alerts nobody."""

    def close(self) -> None:
        """Close all files; what is unfinished is made again later."""
        for id_ in list(self._open):
            self._finish(id_)

    def _begin(self, tracked: Tracked, first: LoopRecord) -> Any:
        from tensorboardX import SummaryWriter

        folder = self._folder / tracked.id
        self._marker(tracked.id).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        writer = SummaryWriter(str(folder))
        writer.add_text("config", f"    {canonical_json(full_config(tracked, first))}", 0)
        return writer

    def _finish(self, id_: str) -> None:
        writer, loops = self._open.pop(id_)
        writer.close()
        write_json(self._marker(id_), _Mirrored(loops=loops).plain())

    def _marker(self, id_: str) -> Path:
        return self._folder / "mirrored" / f"{id_}.json"

    def _written(self, id_: str) -> int:
        try:
            content = self._marker(id_).read_bytes()
            return _Mirrored.model_validate_json(content, context=STORED).loops
        except (FileNotFoundError, ValueError):
            return 0
