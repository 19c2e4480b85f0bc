"""Which queried patches a report shows, and their pictures."""

from collections.abc import Iterable, Iterator, Mapping

from matplotlib.figure import Figure

from alsweep.layout import query_path
from alsweep.report.section import Block, Caption, Material, Picture, Pictures, Section
from alsweep.report.slices import overview_figure, rows_figure
from alsweep.report.stills import embedded
from alsweep.report.study import Look, Study
from alsweep.report.volumes import Opened, Volumes
from alsweep.results.records import TrajectoryFolder, read_query

_MOST_STRATEGIES = 6
_MOST_LOOPS = 3
_PATCHES = 3
_START_PATCHES = 12


def _blocks(material: Material) -> Iterator[Block]:
    """Draw the first patches of some queries: per strategy one trajectory, few of its loops."""
    shown, datasets = list(exemplars(material.study)), material.datasets
    lost = {datasets[t.id].description for _, t in shown if datasets[t.id].volumes is None}
    groups = [group for group in _groups(material.study, shown, datasets) if group.pictures]
    yield Caption(_caption(shown, sorted(lost), bool(groups)))
    yield from groups


def _groups(
    study: Study,
    shown: Iterable[tuple[Look, TrajectoryFolder]],
    datasets: Mapping[str, Opened],
) -> Iterator[Pictures]:
    started = False
    for look, trajectory in shown:
        volumes = datasets[trajectory.id].volumes
        if volumes is not None:
            # One is enough: strategies of a setting and seed mostly share it.
            if not started:
                yield _start(volumes, trajectory, _whose(study, trajectory))
            started = True
            yield _queries(volumes, look, trajectory)


def exemplars(study: Study) -> Iterable[tuple[Look, TrajectoryFolder]]:
    """The first trajectory of each strategy that has a query."""
    for look in study.looks[:_MOST_STRATEGIES]:
        for trajectory in study.trajectories:
            config = trajectory.config
            assert config is not None
            label = config.strategy.shown
            if label == look.strategy and _existing(trajectory):
                yield look, trajectory
                break


def _existing(trajectory: TrajectoryFolder) -> list[int]:
    assert trajectory.config is not None
    loops = range(trajectory.config.query.loops)
    return [loop for loop in loops if query_path(trajectory.folder, loop).exists()]


def _whose(study: Study, trajectory: TrajectoryFolder) -> str:
    """Whose start that of a trajectory is: that of all strategies, if their hashes agree."""
    assert trajectory.config is not None
    own = study.table[study.table["trajectory"] == trajectory.id]
    here = study.table[study.table["setting"].isin(own["setting"])]
    hashes = here.loc[here["seed"] == trajectory.config.seed, "start_hash"]
    shared = hashes.nunique() == 1 and len(study.looks) > 1
    return "shared by all strategies" if shared else f"of {trajectory.config.strategy.shown}"


def _start(volumes: Volumes, trajectory: TrajectoryFolder, whose: str) -> Pictures:
    assert trajectory.config is not None
    queried = read_query(query_path(trajectory.folder, 0))
    title = f"starting budget, seed {trajectory.config.seed}"
    shown = queried[:_START_PATCHES]
    pictures = (_picture(overview_figure(volumes, shown, title), title),) if shown else ()
    which = (
        f"{len(shown)} of {len(queried)} patches" if len(shown) < len(queried) else "all patches"
    )
    heading = f"Starting budget, {whose} ({which}, axial)"
    return Pictures(heading, pictures, wide=True)


def _queries(volumes: Volumes, look: Look, trajectory: TrajectoryFolder) -> Pictures:
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
    return Pictures(f"{look.name}, seed {trajectory.config.seed}", tuple(pictures))


def _picture(figure: Figure, title: str) -> Picture:
    return Picture(title, embedded(figure))


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


SECTION = Section(id="patches", title="Queried patches", place=80, blocks=_blocks)
