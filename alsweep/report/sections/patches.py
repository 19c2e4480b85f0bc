"""Which queried patches a report shows, and their pictures."""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from matplotlib.figure import Figure

from alsweep.report.slices import overview_figure, rows_figure
from alsweep.report.stills import png
from alsweep.report.study import Look, Study
from alsweep.report.volumes import Opened, Volumes
from alsweep.results.records import TrajectoryFolder, query_path, read_query

_MOST_STRATEGIES = 6
_MOST_LOOPS = 3
_PATCHES = 3
_START_PATCHES = 12


@dataclass(frozen=True)
class Picture:
    """A PNG with its description, ready to be embedded."""

    title: str
    png: str


@dataclass(frozen=True)
class Group:
    """Pictures under one heading."""

    heading: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Gallery:
    """Pictures, and what to say about them."""

    groups: tuple[Group, ...]
    caption: str


def gallery(study: Study, datasets: Mapping[str, Opened]) -> Gallery:
    """Draw the first patches of some queries: per strategy one trajectory, few of its loops.

    Args:
        study: Whose queries.
        datasets: By trajectory id.
    """
    shown = list(_shown(study))
    lost = {datasets[t.id].description for _, t in shown if datasets[t.id].volumes is None}
    groups: list[Group] = []
    for look, trajectory in shown:
        volumes = datasets[trajectory.id].volumes
        if volumes is not None:
            # The starting budget is the same for all strategies of a seed: shown once.
            groups += [] if groups else [_start(volumes, trajectory)]
            groups.append(_queries(volumes, look, trajectory))
    filled = tuple(group for group in groups if group.pictures)
    return Gallery(filled, _caption(shown, sorted(lost), bool(filled)))


def _shown(study: Study) -> Iterable[tuple[Look, TrajectoryFolder]]:
    """The first trajectory of each strategy that has a query."""
    for look in study.looks[:_MOST_STRATEGIES]:
        for trajectory in study.trajectories:
            config = trajectory.config
            assert config is not None
            label = config.strategy.label or config.strategy.name
            if label == look.strategy and _existing(trajectory):
                yield look, trajectory
                break


def _existing(trajectory: TrajectoryFolder) -> list[int]:
    assert trajectory.config is not None
    loops = range(trajectory.config.query.loops)
    return [loop for loop in loops if query_path(trajectory.folder, loop).exists()]


def _start(volumes: Volumes, trajectory: TrajectoryFolder) -> Group:
    assert trajectory.config is not None
    queried = read_query(query_path(trajectory.folder, 0))
    title = f"starting budget, seed {trajectory.config.seed}"
    shown = queried[:_START_PATCHES]
    pictures = (_picture(overview_figure(volumes, shown, title), title),) if shown else ()
    which = (
        f"{len(shown)} of {len(queried)} patches" if len(shown) < len(queried) else "all patches"
    )
    return Group(f"Starting budget, shared by all strategies ({which}, axial)", pictures)


def _queries(volumes: Volumes, look: Look, trajectory: TrajectoryFolder) -> Group:
    """Some queries of one trajectory, evenly from the first to the last."""
    assert trajectory.config is not None
    loops = [loop for loop in _existing(trajectory) if loop > 0]
    wanted = min(_MOST_LOOPS, len(loops))
    steps = [round(i * (len(loops) - 1) / max(wanted - 1, 1)) for i in range(wanted)]
    pictures = []
    for loop in (loops[step] for step in steps):
        queried = read_query(query_path(trajectory.folder, loop))[:_PATCHES]
        if queried:
            figure = rows_figure(volumes, queried, f"query {loop}")
            pictures.append(_picture(figure, f"{look.strategy}, query {loop}"))
    return Group(f"{look.name}, seed {trajectory.config.seed}", tuple(pictures))


def _picture(figure: Figure, title: str) -> Picture:
    return Picture(title, base64.b64encode(png(figure)).decode())


def _caption(shown: list[tuple[Look, TrajectoryFolder]], lost: list[str], pictures: bool) -> str:
    if not shown:
        return "There is no query yet."
    if not pictures:
        return f"No pictures: the dataset is {'; '.join(lost)}."
    missing = f" Some are left out: the dataset is {'; '.join(lost)}." if lost else ""
    return (
        f"The first {_PATCHES} patches of some queries, one trajectory a strategy; every other one "
        "is drawn by 'alsweep queries'. Axial, coronal and sagittal slice through the centre of "
        "the patch, first channel. Yellow: the patch. Bold contours: reference labels inside the "
        f"patch, which the next training sees; faint contours: those outside of it.{missing}"
    )
