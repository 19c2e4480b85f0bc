"""What W&B's server has of trajectories, through its public API: page by page, to the end."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from alsweep.errors import ConfigError, RecordError

_RUNS_A_PAGE = 50
_STEPS_A_PAGE = 500
_AT_ONCE = 8


@dataclass(frozen=True)
class MirroredRun:
    """A trajectory's run.

    Attributes:
        id: At W&B.
        name: As W&B shows it; the trajectory's id.
        config: See :func:`alsweep.tracking.shown.full_config`.
        history: Lines with what was logged at each step, in the order of steps.
    """

    id: str
    name: str
    config: dict[str, Any]
    history: tuple[dict[str, Any], ...]


def read_runs(path: str) -> Iterator[MirroredRun]:
    """Read all trajectories of a project, the oldest first, with whole histories.

    Args:
        path: ``ENTITY/PROJECT``.

    Raises:
        ConfigError: ``path`` is none.
        RecordError: W&B does not answer, does not know the user, or there is no such project.
    """
    import wandb

    if path.count("/") != 1 or not all(path.split("/")):
        raise ConfigError(f"--from-wandb {path}: expected ENTITY/PROJECT, as in lab/alsweep")
    try:
        found = wandb.Api(timeout=60).runs(
            path,
            filters={"jobType": "trajectory"},
            order="+created_at",
            per_page=_RUNS_A_PAGE,
            lazy=False,
        )
        runs = list(found)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for run, history in zip(runs, pool.map(_history, runs), strict=True):
                yield MirroredRun(run.id, str(run.name), dict(run.config), history)
    except (wandb.errors.Error, ValueError) as error:
        said = " ".join(str(error).split())
        raise RecordError(
            f"--from-wandb {path}: {said}; name a project that exists, and run 'wandb login' "
            "where it is not public"
        ) from None


def _history(run: Any) -> tuple[dict[str, Any], ...]:
    """All lines; a scan, unlike a run's history, samples nothing."""
    lines = run.scan_history(page_size=_STEPS_A_PAGE, use_cache=False)
    return tuple(dict(line) for line in lines)
