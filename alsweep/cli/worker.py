"""``alsweep worker``: do trajectories of a planned run, without Ray."""

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from alsweep.layout import space_path
from alsweep.storage.place import absolute

if TYPE_CHECKING:
    from alsweep.results.loops import LoopRecord
    from alsweep.sweep.worker import Shift

INTERRUPTED = 130


def worker(
    run: Annotated[Path, typer.Argument(help="Run folder, planned by 'alsweep run --plan-only'.")],
    max_loops: Annotated[
        int | None, typer.Option("--max-loops", min=1, help="Do so many loops at most.")
    ] = None,
) -> int:
    """Claim trajectories of a run one at a time and do them, until nothing is left.

    Any number of workers may be at one run, in a folder or in object storage, on any machines that
    see it: as tasks of a job array, say. What one that was killed had claimed is free again at
    once, or after a minute where that was on another machine. The last one writes results and
    report.

    Example: alsweep worker runs/hippocampus-low --max-loops 5
    """
    from alsweep.cli.run import tell
    from alsweep.storage.rooms import to_share

    try:
        with to_share(run) as folder:
            if _has_become_worker(folder):
                _renew(run, max_loops)
            from alsweep.sweep.worker import run_worker

            shift = run_worker(folder, _tell_loop, most=max_loops, tell=tell)
            if not shift.renew:
                return _tell_end(folder, shift)
    except KeyboardInterrupt:
        tell(f"interrupted; what was finished is saved. Go on with: {_again(run)}")
        return INTERRUPTED
    return _renew(run, None if max_loops is None else max_loops - shift.loops)


def _has_become_worker(run: Path) -> bool:
    """Set what numerical libraries read when they are loaded; whether they have to be anew."""
    from alsweep.config.load import load_sweep
    from alsweep.errors import RunFolderError
    from alsweep.storage.rooms import shown
    from alsweep.sweep.environment import prepare_worker, refuse_cards_without_gpus

    if not space_path(run).exists():
        raise RunFolderError(
            f"{run}: no sweep.yaml in it; plan the run first: alsweep run SPACE.yaml --out "
            f"{shlex.quote(str(shown(run)))} --plan-only"
        )
    resources = load_sweep(space_path(run)).resources
    refuse_cards_without_gpus(resources)
    return prepare_worker(resources)


def _renew(run: Path, most: int | None) -> NoReturn:
    """Go on as a new process with the same number, which signals and claims know.

    It imports nothing from the working directory, which may be the run.
    """
    words = [sys.executable, "-P", "-m", "alsweep", "worker", str(run)]
    sys.stdout.flush()
    os.execv(words[0], words + ([] if most is None else ["--max-loops", str(most)]))


def _again(run: Path) -> str:
    from alsweep.storage.rooms import shown

    return f"alsweep worker {shlex.quote(str(shown(absolute(run))))}"


def _tell_loop(id_: str, record: "LoopRecord") -> None:
    from alsweep.cli.run import tell
    from alsweep.sweep.monitor import dice_text

    tell(f"{id_} loop {record.loop}: Dice {dice_text(record.mean_dice)}")


def _tell_end(run: Path, shift: "Shift") -> int:
    from alsweep.cli.failures import tell_failures
    from alsweep.cli.run import tell, tell_report
    from alsweep.storage.rooms import shown

    if not shift.left:
        tell_report(run)
    else:
        tell(f"{shift.left} trajectories left; go on with: {_again(run)}")
    if shift.capped is not None:
        tell(f"stopped at {shift.capped}: {shift.left} trajectories left")
    total = shift.done + len(shift.failed)
    space, out = (shlex.quote(str(shown(path))) for path in (space_path(run), run))
    mend = f"try again with: alsweep run {space} --out {out} --plan-only"
    return tell_failures(shift.failed, total, "trajectories", mend)
