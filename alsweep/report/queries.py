"""Pictures of one query: an overview, and each patch large."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

from alsweep.errors import RecordError, RunFolderError
from alsweep.files import write_bytes
from alsweep.report.gallery import png
from alsweep.report.slices import overview_figure, patch_figure
from alsweep.report.volumes import DatasetVolumes, Volumes, open_dataset
from alsweep.results.records import TrajectoryFolder, query_path, read_query, read_run

OVERVIEW = "overview.png"


def draw_queries(run: Path, trajectory: str, loop: int, out: Path | None = None) -> list[Path]:
    """Draw the patches annotated just before training ``loop``.

    Args:
        run: Run folder.
        trajectory: Id, or a beginning that only one id has.
        loop: 0 is the starting budget.
        out: Folder to write; RUN/report/queries/ID/loop_KKK if left out.

    Returns:
        The overview and one PNG a patch.

    Raises:
        RunFolderError: ``run`` is no run folder, no or several ids begin so, or ``out`` holds
            something else.
        RecordError: The query has not been made.
        DatasetError: The dataset is gone or has changed.
    """
    chosen = find_trajectory(read_run(run).trajectories, trajectory)
    path = query_path(chosen.folder, loop)
    if chosen.config is None or not path.exists():
        raise RecordError(_no_query(chosen, loop))
    volumes = DatasetVolumes(open_dataset(run, chosen))
    folder = out or run / "report" / "queries" / chosen.id / f"loop_{loop:03d}"
    _check_folder(folder)
    return list(_draw(volumes, path, chosen.id, loop, folder))


def _check_folder(folder: Path) -> None:
    if folder.exists() and not (folder / OVERVIEW).exists() and any(folder.iterdir()):
        raise RunFolderError(
            f"{folder}: holds something else than pictures of queries; choose another --out"
        )


def _draw(volumes: Volumes, path: Path, id_: str, loop: int, folder: Path) -> Iterator[Path]:
    queried = read_query(path)
    if not queried:
        return
    title = f"{id_}, {'starting budget' if loop == 0 else f'query {loop}'}"
    pictures = {OVERVIEW: overview_figure(volumes, queried, title)}
    yield _write(folder / OVERVIEW, png(pictures[OVERVIEW]))
    for index, patch in enumerate(queried):
        figure = patch_figure(volumes, patch, f"{title}, patch {index + 1} of {len(queried)}")
        yield _write(folder / f"patch_{index:03d}.png", png(figure))


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
