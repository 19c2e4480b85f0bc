"""Trainings beside a run's trajectories, each a task: full-data references, repeats of starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from alsweep.layout import report_folder, report_page, space_path

if TYPE_CHECKING:
    from alsweep.sweep.plan import Plan, Planned
    from alsweep.sweep.work import Work
    from alsweep.trajectory.progress import OnProgress


class Beside(Protocol):
    """A training with a record of its own."""

    @property
    def key(self) -> str:
        """Of its task."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def example(self) -> Planned:
        """One of the trajectories that it is about."""

    def record(self, run: Path) -> Path:
        """Where a run folder has what came of it."""

    def task(self, work: Work) -> Callable[[OnProgress], None]:
        """What makes it."""


OneBeside = TypeVar("OneBeside", bound=Beside)


@contextmanager
def beside_trajectories(
    run: Path, plan: Plan, address: str | None, work: Work | None
) -> Iterator[tuple[Plan, Work]]:
    """Hold a run folder for what is made beside its trajectories; its report shows that then.

    Args:
        run: The run folder, absolute.
        plan: A run that was begun keeps its own: it may hold more than this one asks for.
        address: Of a running Ray cluster, or None.
        work: Makes what is missing; by training, if left out.

    Yields:
        The plan with what was decided in the folder before, and the work as workers get it.
    """
    from alsweep.sweep.remote import elsewhere
    from alsweep.sweep.run_folder import write_space
    from alsweep.sweep.running import at_work, training_in, write_report

    with at_work(run, plan, address) as plan:
        if not space_path(run).exists():
            write_space(run, plan)
        yield plan, elsewhere(work or training_in(run, plan), run, plan)
        if report_page(report_folder(run)).exists():
            write_report(run)


def make_beside(
    missing: Sequence[OneBeside],
    run: Path,
    work: Work,
    plan: Plan,
    on_end: Callable[[OneBeside, str | None], None],
    address: str | None = None,
) -> Mapping[str, str]:
    """Make what is missing, each a task of its own; nothing starts Ray where there is nothing.

    Args:
        missing: What to make.
        run: The run folder, absolute; the caller holds its lock.
        work: Makes them.
        plan: Of the run; says what one worker gets, and which datasets all nodes must have.
        on_end: Called with each that is made, or with why it is not.
        address: Of a running Ray cluster; None starts a private Ray.

    Returns:
        Name to error of those that failed.

    Raises:
        ConfigError: Ray cannot give a worker what it needs.
        RunFolderError: A node of the cluster does not see the run folder.
        DatasetError: A node of the cluster lacks a dataset.
        KeyboardInterrupt: Ctrl-C or SIGTERM; no worker is left, and trained members are safe.
    """
    from alsweep.storage.mirror import bring
    from alsweep.sweep.nodes import check_nodes
    from alsweep.sweep.ray_session import ray_session
    from alsweep.sweep.reuse import used_again
    from alsweep.sweep.tasks import Workers, run_tasks

    if not missing:
        return {}
    failed, by_key = {}, {one.key: one for one in missing}
    tasks = {key: one.task(work) for key, one in by_key.items()}
    resources = plan.sweep.resources
    workers = Workers(resources, used_again(resources, (one.example.config for one in missing)))
    with ray_session(resources, address):
        if address is not None:
            check_nodes(run, plan)
        for ended in run_tasks(tasks, workers, run):
            one = by_key[ended.name]
            bring(run, one.record(run))
            if ended.error is not None:
                failed[one.name] = ended.error
            on_end(one, ended.error)
    return failed
