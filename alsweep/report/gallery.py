"""Which queried patches a report shows, and their pictures."""

import base64
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from matplotlib.figure import Figure

from alsweep.report.slices import rows_figure
from alsweep.report.study import Look, Study
from alsweep.report.volumes import Opened, Volumes
from alsweep.results.records import TrajectoryFolder, query_path, read_query

_MOST_STRATEGIES = 6
_MOST_LOOPS = 3
_PATCHES = 3


@dataclass(frozen=True)
class Picture:
    """A PNG with its description, ready to be embedded."""

    title: str
    png: str


@dataclass(frozen=True)
class Gallery:
    """Pictures, and what to say about them."""

    pictures: tuple[Picture, ...]
    caption: str


def png(figure: Figure) -> bytes:
    """Render a figure; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def gallery(study: Study, datasets: Mapping[str, Opened]) -> Gallery:
    """Draw the first patches of some queries: per strategy one trajectory, few of its loops.

    Args:
        study: Whose queries.
        datasets: By trajectory id.
    """
    shown = list(_shown(study))
    lost = {datasets[t.id].description for _, t in shown if datasets[t.id].volumes is None}
    pictures = []
    for loop_zero, (look, trajectory) in enumerate(shown):
        volumes = datasets[trajectory.id].volumes
        if volumes is not None:
            loops = _loops(trajectory)
            # The starting budget is the same for all strategies of a seed: shown once.
            for loop in loops if loop_zero == 0 else loops[1:]:
                pictures.append(_picture(volumes, look, trajectory, loop))
    return Gallery(tuple(pictures), _caption(shown, sorted(lost), bool(pictures)))


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


def _loops(trajectory: TrajectoryFolder) -> list[int]:
    """The start, then queries from the first to the last, evenly."""
    start, *queries = _existing(trajectory)
    wanted = min(_MOST_LOOPS, len(queries))
    steps = [round(i * (len(queries) - 1) / max(wanted - 1, 1)) for i in range(wanted)]
    return [start, *(queries[step] for step in steps)]


def _picture(volumes: Volumes, look: Look, trajectory: TrajectoryFolder, loop: int) -> Picture:
    assert trajectory.config is not None
    queried = read_query(query_path(trajectory.folder, loop))[:_PATCHES]
    what = "starting budget" if loop == 0 else f"{look.strategy}, query {loop}"
    title = f"{what} · seed {trajectory.config.seed}"
    image = png(rows_figure(volumes, queried, title))
    return Picture(title, base64.b64encode(image).decode())


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
        f"patch, the only ones that the networks saw; faint ones: not annotated by it.{missing}"
    )
