"""The query log: which patches were annotated before which training. It is a trajectory's state."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alsweep.config.trajectory import TrajectoryConfig
from alsweep.errors import RunFolderError
from alsweep.files import read_json, write_json
from alsweep.geometry import Patch, QueriedPatch
from alsweep.layout import config_path, pending_path, query_path, wanted_path
from alsweep.results.loops import read_query, write_query
from alsweep.results.records import read_config


@dataclass(frozen=True)
class QueryLog:
    """The query files of one trajectory folder, beside the config that they belong to.

    Attributes:
        folder: The folder ``RUN/trajectories/ID``.
    """

    folder: Path

    def claim(self, config: TrajectoryConfig) -> None:
        """Write config.json, or check that the one there is of the same trajectory.

        Raises:
            RunFolderError: The folder belongs to another trajectory.
        """
        path = config_path(self.folder)
        if path.exists():
            stored = read_config(self.folder)
            if stored == config:
                return
            # The dataset may lie elsewhere and the label may change; what results follow from may
            # not.
            if stored.identity_on("") != config.identity_on(""):
                raise RunFolderError(f"{path}: is of another trajectory; choose another folder")
        write_json(path, config.plain())

    def has(self, loop: int) -> bool:
        """Whether the patches for training ``loop`` are committed."""
        return query_path(self.folder, loop).exists()

    @property
    def committed(self) -> int:
        """How many trainings, from the first on, have their patches."""
        loop = 0
        while self.has(loop):
            loop += 1
        return loop

    def suspend(self, loop: int, queried: Sequence[QueriedPatch]) -> None:
        """Keep a query until its patches are labelled; it is no part of the log yet."""
        write_query(pending_path(self.folder, loop), loop, queried)

    @property
    def pending(self) -> list[QueriedPatch]:
        """The query that waits to be the log's next; empty where there is none."""
        path = pending_path(self.folder, self.committed)
        return read_query(path) if path.exists() else []

    def ask(self, loop: int, patches: int) -> None:
        """Let the query for training ``loop`` have another number of patches than the config."""
        write_json(wanted_path(self.folder, loop), {"patches": patches})

    def wanted(self, loop: int) -> int | None:
        """How many patches were asked for, for training ``loop``; None: as the config says."""
        path = wanted_path(self.folder, loop)
        return int(read_json(path)["patches"]) if path.exists() else None

    def commit(self, loop: int, queried: list[QueriedPatch]) -> None:
        """Append one loop's patches: the commit point of the loop before."""
        write_query(query_path(self.folder, loop), loop, queried)

    def patches(self, loop: int) -> tuple[Patch, ...]:
        """All patches annotated when training ``loop`` begins, in the order of the log."""
        return tuple(
            queried.patch
            for k in range(loop + 1)
            for queried in read_query(query_path(self.folder, k))
        )
