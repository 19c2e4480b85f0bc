"""What trajectories cost by models that have to see the labels: from query logs and datasets.

What each query costs is kept in the run folder, so that labels are read once.
"""

import hashlib
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from alsweep.config.base import Frozen
from alsweep.costs.base import CostModel, cost_model
from alsweep.data.annotator import ReferenceLabels
from alsweep.data.labels.human import HumanLabels
from alsweep.data.recorded import open_recorded
from alsweep.errors import RecordError
from alsweep.files import write_json
from alsweep.geometry import Patch
from alsweep.layout import costs_path, crops_folder, query_path
from alsweep.results.loops import read_model
from alsweep.results.records import RunFolder, TrajectoryFolder, read_query, read_run

if TYPE_CHECKING:
    import pandas as pd

    from alsweep.config.reveal import Reveal
    from alsweep.types import LabelMap

_log = logging.getLogger(__name__)


class _Stored(Frozen):
    """What the queries of a trajectory cost: model, with its version, to hash of a query to sum."""

    schema_version: Literal[1] = 1
    dataset_fingerprint: str
    costs: dict[str, dict[str, float]]


def with_costs(
    table: "pd.DataFrame", runs: Path | str | Sequence[Path | str], names: Iterable[str]
) -> "pd.DataFrame":
    """Return the table with a column ``cost_<name>`` for each model: cumulative, as at training.

    Args:
        table: The tidy table of the runs, or some of its rows.
        runs: Run folders; their datasets are read where a model has to see labels that it has not
            seen before.
        names: Of cost models, see :func:`alsweep.costs.cost_models`.

    Raises:
        StrategyError: There is no such model.
        RunFolderError: A folder is no run folder.
        RecordError: A trajectory of the table is in none of the runs, or a file is broken.
        DatasetError: A dataset is gone or has changed, or a case has no reference labels.
    """
    models = [cost_model(name) for name in dict.fromkeys(names)]
    for model in models:
        if model.column is not None:
            known = table[model.column].astype(float) if model.column in table else np.nan
            table = table.assign(**{f"cost_{model.name}": known})
    unseen = [model for model in models if model.column is None]
    if not unseen:
        return table
    sums = _sums(table, [runs] if isinstance(runs, str | Path) else runs, unseen)
    for model in unseen:
        values = [
            sums[id_][model.name][loop]
            for id_, loop in zip(table["trajectory"], table["loop"], strict=True)
        ]
        table = table.assign(**{f"cost_{model.name}": np.array(values, dtype=np.float64)})
    return table


def _sums(
    table: "pd.DataFrame", runs: Sequence[Path | str], models: Sequence[CostModel]
) -> dict[str, dict[str, list[float]]]:
    """Trajectory to model to its cumulative cost at each loop of the table."""
    loops = table.groupby("trajectory")["loop"].max().astype(int).to_dict()
    found: dict[str, dict[str, list[float]]] = {}
    for path in runs:
        run = read_run(Path(path))
        for trajectory in run.trajectories:
            if trajectory.id in loops and trajectory.id not in found and trajectory.records:
                last = int(loops[trajectory.id])
                if last < len(trajectory.records):
                    found[trajectory.id] = _trajectory_sums(run, trajectory, last, models)
    lacking = sorted(map(str, set(loops) - set(found)))
    if lacking:
        raise RecordError(
            f"trajectory {lacking[0]} of the table is in none of the runs as far as it goes; name "
            "the run folders that the table is of"
        )
    return found


def _trajectory_sums(
    run: RunFolder, trajectory: TrajectoryFolder, last: int, models: Sequence[CostModel]
) -> dict[str, list[float]]:
    queries = [query_path(trajectory.folder, loop) for loop in range(last + 1)]
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in queries]
    patches = [[queried.patch for queried in read_query(path)] for path in queries]
    stored = _Kept(run, trajectory)
    found = {}
    for model in models:
        costs = [stored.cost(model, hash_, own) for hash_, own in zip(hashes, patches, strict=True)]
        opened = np.array(_opened(patches)) * model.per_case
        found[model.name] = (np.cumsum(costs) + opened).tolist()
    stored.keep()
    return found


def _opened(queries: Iterable[Iterable[Patch]]) -> list[int]:
    """How many cases are opened once each query is annotated."""
    seen: set[str] = set()
    return [len(seen := seen | {patch.case for patch in patches}) for patches in queries]


class _Kept:
    """What the queries of one trajectory cost, as far as it is known; the rest is made."""

    def __init__(self, run: RunFolder, trajectory: TrajectoryFolder) -> None:
        self._run, self._ground = run, run.ground(trajectory)
        self._trajectory = trajectory
        self._path = costs_path(run.path, trajectory.id)
        self._labels: ReferenceLabels | None = None
        self._classes = 0
        print_ = self._ground.dataset_fingerprint
        self._costs: dict[str, dict[str, float]] = {}
        self._new = False
        config = trajectory.config
        self._reveal: Reveal = "dense" if config is None else config.annotator.reveal
        if self._path.exists():
            mend = "delete it, and it is made again"
            stored = read_model(_Stored, self._path, mend)
            if stored.dataset_fingerprint == print_:
                self._costs = {key: dict(values) for key, values in stored.costs.items()}

    def cost(self, model: CostModel, query: str, patches: Sequence[Patch]) -> float:
        """Cost of a query, without that of opening cases."""
        known = self._costs.setdefault(f"{model.name}@{model.version}", {})
        if query not in known:
            of_patch = model.where(self._reveal)
            known[query] = sum(float(of_patch(p, self._crop(p))) for p in patches)
            self._new = True
        return known[query]

    def keep(self) -> None:
        """Store what was made."""
        if not self._new:
            return
        stored = _Stored(dataset_fingerprint=self._ground.dataset_fingerprint, costs=self._costs)
        try:
            self._path.parent.mkdir(exist_ok=True)
            write_json(self._path, stored.plain())
        except OSError as error:
            # A run that somebody else owns can still be asked.
            _log.info("%s is not stored: %s", self._path, error.strerror or error)

    def _crop(self, patch: Patch) -> "LabelMap":
        if self._labels is None:
            ground = self._ground
            dataset = open_recorded(
                ground.dataset, ground.dataset_fingerprint, self._run.path, ground.key
            )
            self._labels, self._classes = ReferenceLabels(dataset), len(dataset.classes)
        config = self._trajectory.config
        if config is not None and config.annotator.kind == "human":
            people = HumanLabels(crops_folder(self._trajectory.folder), self._classes)
            crop = people.reveal(patch.case, patch.start, patch.size).copy()
        else:
            crop = np.array(self._labels.volume(patch.case)[patch.slices])
        crop[crop >= self._classes] = 0
        return crop
