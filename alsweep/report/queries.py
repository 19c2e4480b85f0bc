"""Pictures of queries: an overview, each patch large, the class mix; two queries side by side."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from alsweep.config.reveal import Reveal
from alsweep.data.case import Dataset
from alsweep.data.inside import refuse_inside_dataset
from alsweep.errors import RecordError, RunFolderError
from alsweep.files import is_litter, write_bytes
from alsweep.layout import query_path, query_pictures
from alsweep.report.drawing import plain
from alsweep.report.mixes import mix_figure, query_mix
from alsweep.report.slices import Panel, overview_figure, pair_figure, patch_figure
from alsweep.report.stills import png
from alsweep.report.views import Seen
from alsweep.report.volumes import DatasetVolumes, open_dataset
from alsweep.results.mix import ClassMix
from alsweep.results.records import (
    QueriedPatch,
    TrajectoryFolder,
    read_query,
    read_run,
)

OVERVIEW = "overview.png"
MIX = "class_mix.png"
_MOST_IN_A_PAIR = 12


@dataclass(frozen=True)
class Query:
    """One query of a trajectory, and the data that it was made on.

    Attributes:
        run: Run folder.
        trajectory: Has a config.
        loop: The patches are annotated just before this training; 0 is the starting budget.
        dataset: What the trajectory ran on.
        queried: The patches, best first.
    """

    run: Path
    trajectory: TrajectoryFolder
    loop: int
    dataset: Dataset
    queried: Sequence[QueriedPatch]

    @property
    def reveal(self) -> Reveal:
        """What the annotator told of the patches."""
        config = self.trajectory.config
        return "dense" if config is None else config.annotator.reveal

    @property
    def title(self) -> str:
        """For people."""
        which = "starting budget" if self.loop == 0 else f"query {self.loop}"
        return f"{self.trajectory.id}, {which}"


Networks = Callable[[Query], Seen]
"""What the networks that chose a query said in its patches; RunFolderError where they are gone."""


def open_query(run: Path, trajectory: str, loop: int) -> Query:
    """Find a query of a run and open its dataset.

    Args:
        run: Run folder.
        trajectory: Id, or a beginning that only one id has.
        loop: 0 is the starting budget.

    Raises:
        RunFolderError: ``run`` is no run folder, or no or several ids begin so.
        RecordError: The query has not been made.
        DatasetError: The dataset is gone or has changed.
    """
    found = read_run(run)
    chosen = find_trajectory(found.trajectories, trajectory)
    path = query_path(chosen.folder, loop)
    if chosen.config is None or not path.exists():
        raise RecordError(_no_query(chosen, loop))
    return Query(run, chosen, loop, open_dataset(found, chosen), read_query(path))


def draw_queries(
    query: Query, out: Path | None = None, networks: Networks | None = None
) -> list[Path]:
    """Draw the patches of a query, and the classes in it and in those before.

    Args:
        query: What to draw.
        out: Folder to write; RUN/report/queries/ID/loop_KKK if left out.
        networks: Adds prediction and scores; where the networks are gone, the titles say so.

    Returns:
        The overview, the class mix and one PNG a patch.

    Raises:
        RunFolderError: ``out`` holds something else.
        DatasetError: ``out`` lies in a Dataset.
    """
    default = query_pictures(query.run, query.trajectory.id, query.loop)
    folder = out or default
    _check_folder(folder)
    if not query.queried:
        return []
    seen, title = _ask(query, networks)
    return list(_draw(query, seen, title, folder))


def _ask(query: Query, networks: Networks | None) -> tuple[Seen | None, str]:
    """What the networks said, and the title that goes with it."""
    if networks is None or query.loop == 0:
        return None, query.title
    try:
        return networks(query), query.title
    except RunFolderError:
        return (
            None,
            f"{query.title}\n(its networks are not stored any more: no prediction, no scores)",
        )


def draw_pair(query: Query, tried: Panel, seen: Seen, path: Path) -> Path:
    """Draw a query beside one that another strategy would have made.

    Args:
        query: The one that was made.
        tried: The other one.
        seen: What the networks said in the patches of ``query``.
        path: PNG to write.

    Returns:
        ``path``.

    Raises:
        DatasetError: ``path`` lies in a Dataset.
    """
    refuse_inside_dataset(path)
    assert query.trajectory.config is not None
    label = query.trajectory.config.strategy.shown
    made = Panel(f"queried: {label}", query.queried, seen)
    volumes = DatasetVolumes(query.dataset, query.reveal)
    return _write(path, png(pair_figure(volumes, _cut(made), _cut(tried), query.title)))


def _cut(panel: Panel) -> Panel:
    """The first patches of a panel, as many as a picture holds, and how many there are."""
    count = len(panel.queried)
    shown = f"first {_MOST_IN_A_PAIR} of {count}" if count > _MOST_IN_A_PAIR else f"{count}"
    return Panel(
        f"{plain(panel.title)} ({shown} patches)", panel.queried[:_MOST_IN_A_PAIR], panel.seen
    )


def _check_folder(folder: Path) -> None:
    refuse_inside_dataset(folder)
    if folder.exists() and not (folder / OVERVIEW).exists() and _foreign(folder):
        raise RunFolderError(
            f"{folder}: holds something else than pictures of queries; choose another --out"
        )


def _foreign(folder: Path) -> bool:
    return not folder.is_dir() or any(not is_litter(path.name) for path in folder.iterdir())


def _draw(query: Query, seen: Seen | None, title: str, folder: Path) -> Iterator[Path]:
    volumes = DatasetVolumes(query.dataset, query.reveal)
    yield _write(folder / OVERVIEW, png(overview_figure(volumes, query.queried, title, seen)))
    yield _draw_mix(query, volumes, folder / MIX)
    count = len(query.queried)
    for index, patch in enumerate(query.queried):
        figure = patch_figure(volumes, patch, f"{title}, patch {index + 1} of {count}", seen)
        yield _write(folder / f"patch_{index:03d}.png", png(figure))


def _draw_mix(query: Query, volumes: DatasetVolumes, path: Path) -> Path:
    """The classes of this query and of those before it, beside those of the pool."""
    folder = query.trajectory.folder
    mixes = [
        ("start" if k == 0 else f"query {k}", query_mix(volumes, read_query(query_path(folder, k))))
        for k in range(query.loop + 1)
    ]
    dataset = query.dataset
    cases = [dataset.cases[case].class_voxels for case in dataset.pool]
    pool = ClassMix(tuple(map(sum, zip(*cases, strict=True))), ())
    names = ", ".join(dataset.classes[1:])
    title = f"{query.trajectory.id}\nforeground in each query, and in how many patches: {names}"
    return _write(path, png(mix_figure(mixes, pool, dataset.classes, title)))


def _write(path: Path, content: bytes) -> Path:
    write_bytes(path, content)
    return path


def find_trajectory(known: Sequence[TrajectoryFolder], wanted: str) -> TrajectoryFolder:
    """Return the trajectory of that id, or the only one that begins so.

    Raises:
        RunFolderError: There is none or more than one; names the near ones.
    """
    by_id = {trajectory.id: trajectory for trajectory in known}
    if wanted in by_id:
        return by_id[wanted]
    beginning = [id_ for id_ in by_id if id_.startswith(wanted)]
    if len(beginning) == 1:
        return by_id[beginning[0]]
    if beginning:
        raise RunFolderError(f"--trajectory {wanted}: several begin so: {', '.join(beginning)}")
    near = get_close_matches(wanted, by_id, n=3, cutoff=0.3) or list(by_id)[:3]
    raise RunFolderError(f"--trajectory {wanted}: there is none; near ones: {', '.join(near)}")


def _no_query(trajectory: TrajectoryFolder, loop: int) -> str:
    if trajectory.config is None:
        return f"trajectory {trajectory.id} has not begun; run 'alsweep resume' first"
    last = trajectory.config.query.loops - 1
    if loop > last:
        return f"--loop {loop}: trajectory {trajectory.id} has loops 0 to {last}"
    return f"--loop {loop}: trajectory {trajectory.id} has not come to it; run 'alsweep resume'"
