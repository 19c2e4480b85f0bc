"""The patches that made a point of a learning curve: which are shown, in planes and in space."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alsweep.errors import DatasetError, RecordError, RunFolderError
from alsweep.geometry import Patch
from alsweep.layout import query_path
from alsweep.report.queries import Query, find_trajectory
from alsweep.report.slices import BOX, CONTOURS, rows_figure
from alsweep.report.stills import embedded
from alsweep.report.study import Study
from alsweep.report.surfaces import surface
from alsweep.report.views import Predict, look
from alsweep.report.volumes import DatasetVolumes, open_dataset
from alsweep.results.records import QueriedPatch, RunFolder, TrajectoryFolder, read_query

Ask = Callable[[Query], tuple[Predict, str]]
"""The networks that chose a query, and what their score is; RunFolderError where they are gone."""

REFERENCE, BEFORE, AFTER = "reference", "before", "after"
LAYERS = {REFERENCE: "Reference", BEFORE: "Predicted before", AFTER: "Predicted after"}
"""What surfaces are of, and their texts."""

_STRATEGIES, _LOOPS = 3, 8
"""Trajectories that are shown unless others are named, and queries of one."""

_PATCHES = 3
_CELL = 1.6
_MOST_BYTES = 12 * 2**20
"""Of pictures and meshes together, before they are written as text."""


@dataclass(frozen=True)
class Chosen:
    """What is asked for.

    Attributes:
        ids: Trajectories, or beginnings that only one has; a few are taken where none is named.
        ask: Asks stored networks, which takes a while; None leaves out what they say.
    """

    ids: tuple[str, ...] = ()
    ask: Ask | None = None


@dataclass(frozen=True)
class Shown:
    """One query in one case.

    Attributes:
        trajectory: Whose.
        loop: The patches are annotated just before this training.
        case: The one that most patches of the query lie in.
        patches: Of the query in it, best first.
        elsewhere: How many patches lie in other cases.
        meshes: Layer to plotly's traces, without boxes.
        boxes: Traces of the patches.
        planes: Layer to a WebP of the first patches, in base64.
        missing: Why layers are not there; empty where all are.
    """

    trajectory: TrajectoryFolder
    loop: int
    case: str
    patches: Sequence[QueriedPatch]
    elsewhere: int
    meshes: Mapping[str, list[dict[str, Any]]]
    boxes: list[dict[str, Any]]
    planes: Mapping[str, str]
    missing: str

    @property
    def value(self) -> str:
        """What it is called where it is chosen."""
        return place_of(self.trajectory, self.loop)

    @property
    def bytes(self) -> int:
        """Roughly, in a page."""
        meshes = sum(
            7 * len(t["x"]) * 3 + 6 * len(t["i"]) * 3 for m in self.meshes.values() for t in m
        )
        return meshes + sum(map(len, self.planes.values()))


def place_of(trajectory: TrajectoryFolder, loop: int) -> str:
    """Name of a query of a trajectory in a page."""
    return f"{trajectory.id}/{loop}"


def explored(study: Study, chosen: Chosen) -> list[Shown]:
    """Return what can be shown, as much as a page can hold.

    Raises:
        RunFolderError: A trajectory that is named is in none of the runs.
    """
    found: list[Shown] = []
    for run, trajectory in _trajectories(study, chosen):
        for one in _queries(run, trajectory, chosen.ask):
            if sum(other.bytes for other in found) + one.bytes > _MOST_BYTES:
                return found
            found.append(one)
    return found


def _trajectories(study: Study, chosen: Chosen) -> list[tuple[RunFolder, TrajectoryFolder]]:
    every = [(run, one) for run in study.runs for one in run.trajectories if one.records]
    if chosen.ids:
        wanted = [find_trajectory([one for _, one in every], id_).id for id_ in chosen.ids]
        by_id = {one.id: (run, one) for run, one in reversed(every)}
        return [by_id[id_] for id_ in dict.fromkeys(wanted)]
    found: dict[str, tuple[RunFolder, TrajectoryFolder]] = {}
    for run, one in every:
        if one.config is not None and one.status == "done":
            found.setdefault(one.config.strategy.shown, (run, one))
    # Who asks nobody is looked at last: a curve that a network made is the one to be explained.
    order = sorted(found, key=lambda label: _baseline(study, label))
    return [found[label] for label in order[:_STRATEGIES]]


def _baseline(study: Study, label: str) -> bool:
    return next(look.baseline for look in study.looks if look.strategy == label)


def _queries(run: RunFolder, trajectory: TrajectoryFolder, ask: Ask | None) -> Iterator[Shown]:
    try:
        dataset = open_dataset(run, trajectory)
    except DatasetError:
        return
    loops = [k for k in range(len(trajectory.records)) if query_path(trajectory.folder, k).exists()]
    for loop in _spread(loops):
        queried = read_query(query_path(trajectory.folder, loop))
        if queried:
            yield _shown(Query(run.path, trajectory, loop, dataset, queried), ask)


def _spread(loops: Sequence[int]) -> list[int]:
    """Evenly from the first to the last, as many as are shown."""
    if len(loops) <= _LOOPS:
        return list(loops)
    return [loops[round(i * (len(loops) - 1) / (_LOOPS - 1))] for i in range(_LOOPS)]


def _shown(query: Query, ask: Ask | None) -> Shown:
    cases = [one.patch.case for one in query.queried]
    case = max(dict.fromkeys(cases), key=cases.count)
    own = [one for one in query.queried if one.patch.case == case]
    volumes = DatasetVolumes(query.dataset)
    predicted, missing = _predicted(query, ask)
    layers = {REFERENCE: volumes.reference(case)}
    layers |= {layer: predict(case)[0] for layer, (predict, _) in predicted.items()}
    classes, spacing = query.dataset.classes, query.dataset.manifest.spacing
    meshes = {layer: list(_meshes(labels, classes, spacing)) for layer, labels in layers.items()}
    title = f"{_what(query.loop)}, {case}"
    planes = {REFERENCE: _picture(volumes, own[:_PATCHES], title, None)}
    planes |= {
        layer: _picture(volumes, own[:_PATCHES], f"{title}: {LAYERS[layer].lower()}", found)
        for layer, found in predicted.items()
    }
    boxes = [_boxes([one.patch for one in own], spacing)]
    elsewhere = len(query.queried) - len(own)
    return Shown(query.trajectory, query.loop, case, own, elsewhere, meshes, boxes, planes, missing)


def _what(loop: int) -> str:
    return "starting budget" if loop == 0 else f"query {loop}"


def _predicted(query: Query, ask: Ask | None) -> tuple[dict[str, tuple[Predict, str]], str]:
    """Layer to the networks before and after the query, each asked once a case."""
    found: dict[str, tuple[Predict, str]] = {}
    if ask is None:
        return found, "predictions are shown of trajectories that are named by --explore"
    missing = ""
    for layer, loop in ((BEFORE, query.loop), (AFTER, query.loop + 1)):
        if loop == 0:
            missing = "nothing was predicted before the starting budget"
            continue
        asked = Query(query.run, query.trajectory, loop, query.dataset, query.queried)
        try:
            predict, score = ask(asked)
        except (RunFolderError, RecordError):
            missing = "some networks are not stored any more"
            continue
        found[layer] = _once(predict), score
    return found, missing


def _once(predict: Predict) -> Predict:
    kept: dict[str, Any] = {}

    def ask(case: str) -> Any:
        if case not in kept:
            kept[case] = predict(case)
        return kept[case]

    return ask


def _picture(
    volumes: DatasetVolumes,
    queried: Sequence[QueriedPatch],
    title: str,
    networks: tuple[Predict, str] | None,
) -> str:
    seen = None
    if networks is not None:
        predict, score = networks
        seen = look([one.patch for one in queried], predict, score)
    return embedded(rows_figure(volumes, queried, title, _CELL, seen))


def _meshes(
    labels: NDArray[Any], classes: Sequence[str], spacing: tuple[float, float, float]
) -> Iterator[dict[str, Any]]:
    """One mesh a class that is there."""
    for label, name in enumerate(classes[1:], start=1):
        found = surface(labels == label, spacing)
        if found is not None:
            z, y, x = np.round(found.points, 1).T.tolist()
            i, j, k = found.triangles.T.tolist()
            yield {
                "type": "mesh3d",
                "name": name,
                **{"x": x, "y": y, "z": z, "i": i, "j": j, "k": k},
                "color": CONTOURS[(label - 1) % len(CONTOURS)],
                "opacity": 0.45,
                "flatshading": False,
                "hoverinfo": "name",
                "showlegend": True,
            }


_CORNERS = ((0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0))
"""Once round the lower face of a box."""


def _boxes(patches: Sequence[Patch], spacing: tuple[float, float, float]) -> dict[str, Any]:
    """The edges of all boxes in one trace, with gaps between."""
    lines: list[tuple[float | None, ...]] = []
    for patch in patches:
        low = np.array(patch.start) - 0.5
        size = np.array(patch.size)
        bottom = [(low + size * np.array(c)) * spacing for c in (*_CORNERS, _CORNERS[0])]
        up = np.array([size[0] * spacing[0], 0, 0])
        top = [corner + up for corner in bottom]
        for line in (bottom, top, *([a, b] for a, b in zip(bottom[:4], top[:4], strict=True))):
            lines += [tuple(np.round(point, 2).tolist()) for point in line]
            lines.append((None, None, None))
    z, y, x = (list(values) for values in zip(*lines, strict=True))
    return {
        "type": "scatter3d",
        "mode": "lines",
        "name": "queried patches",
        **{"x": x, "y": y, "z": z},
        "line": {"color": BOX, "width": 4},
        "hoverinfo": "name",
        "showlegend": True,
    }
