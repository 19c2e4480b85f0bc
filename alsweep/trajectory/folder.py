"""The folder of one trajectory: where its query log, records and view of labels lie, and what is finished."""

from dataclasses import dataclass
from pathlib import Path

from alsweep.config.trajectory import TrajectoryConfig
from alsweep.errors import RunFolderError
from alsweep.files import read_json, write_json
from alsweep.geometry import Patch
from alsweep.results.records import LoopRecord, QueriedPatch, read_query, read_records, write_query


@dataclass(frozen=True)
class TrajectoryFolder:
    """Reads and writes one trajectory's files; the query log in it is the trajectory's state.

    Attributes:
        root: The folder ``RUN/trajectories/ID``.
    """

    root: Path

    @property
    def labels(self) -> Path:
        """The labels.zarr that people and viewers open."""
        return self.root / "labels.zarr"

    def query_path(self, loop: int) -> Path:
        """The file of the patches annotated before training ``loop``."""
        return self.root / "queries" / f"loop_{loop:03d}.json"

    def claim(self, config: TrajectoryConfig) -> None:
        """Write config.json, or check that the one there is of the same trajectory.

        Raises:
            RunFolderError: The folder belongs to another trajectory.
        """
        path = self.root / "config.json"
        if path.exists():
            stored = TrajectoryConfig.model_validate(read_json(path))
            # The place of the dataset and the label may change; what the results follow from may not.
            if stored.identity("") | {"dataset": ""} != config.identity("") | {"dataset": ""}:
                raise RunFolderError(
                    f"{path}: belongs to another trajectory; choose another folder"
                )
            if stored == config:
                return
        write_json(path, config.plain())

    def has_query(self, loop: int) -> bool:
        """Whether the patches for training ``loop`` are committed."""
        return self.query_path(loop).exists()

    def commit_query(self, loop: int, queried: list[QueriedPatch]) -> None:
        """Append one loop's patches to the query log: the commit point of the loop before."""
        write_query(self.query_path(loop), loop, queried)

    def queried(self, loop: int) -> list[QueriedPatch]:
        """The patches annotated before training ``loop`` that were not before training ``loop - 1``."""
        return read_query(self.query_path(loop))

    def patches(self, loop: int) -> tuple[Patch, ...]:
        """All patches annotated when training ``loop`` begins, in log order."""
        return tuple(q.patch for k in range(loop + 1) for q in self.queried(k))

    def finished(self, loops: int) -> tuple[LoopRecord, ...]:
        """Records of the finished loops: those whose record and next query both exist."""
        records = read_records(self.root)
        return tuple(r for r in records if r.loop == loops - 1 or self.has_query(r.loop + 1))
