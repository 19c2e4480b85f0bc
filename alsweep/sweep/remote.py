"""Work on any node, for a run or a Dataset that lies in an object store.

A worker brings a trajectory's few kilobytes to its node's disk, works there, and each durable write
goes to the store at once. What it trains goes there by key. The driver reads what is in the store.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsweep.errors import AlsweepError, LostError, StoreAwayError, StoreError
from alsweep.layout import (
    config_path,
    labels_folder,
    log_path,
    mirror_mark,
    plugins_folder,
    progress_path,
    query_path,
    record_path,
    trajectory_folder,
)
from alsweep.results.loops import LoopRecord
from alsweep.storage.client import Store
from alsweep.storage.credentials import Secrets, secrets_of_workers
from alsweep.storage.mirror import Mirror, SupersededError, mark, mirror_at
from alsweep.storage.place import is_remote
from alsweep.storage.rooms import home_of, to_train_in
from alsweep.trajectory.progress import OnProgress, Progress

if TYPE_CHECKING:
    from alsweep.config.trajectory import TrajectoryConfig
    from alsweep.sweep.plan import Plan
    from alsweep.sweep.work import Stepper, Work

_SECONDS_BETWEEN_SIGNS = 30.0
_SECONDS_FOR_A_SIGN = 2.0

_log = logging.getLogger(__name__)


class WorkerStopsError(LostError):
    """A worker cannot go on here; another try may, so that this fails no trajectory."""


def elsewhere(work: Work, run: Path, plan: Plan) -> Work:
    """The same work, fit for object storage where the run or a Dataset lies in one.

    Args:
        work: Has a run folder ``run``.
        run: The run folder, or what mirrors it; its driver holds it.
        plan: What is to be made.
    """
    mirror = mirror_at(run)
    every = (*plan.trajectories, *plan.examples)
    if mirror is None and not any(_reaches_a_store(one.config) for one in every):
        return work
    if mirror is None or mirror.number is None:
        return _Informed(work, secrets_of_workers())
    return _Elsewhere(work, secrets_of_workers(), mirror.store.url, mirror.number)


def _reaches_a_store(config: TrajectoryConfig) -> bool:
    """Whether a trajectory reads a Dataset, or another trajectory, in an object store."""
    specs = (config.strategy, config.starting_budget.strategy)
    named = (value for spec in specs for value in spec.parameters.values())
    return is_remote(config.dataset) or any(isinstance(v, str) and is_remote(v) for v in named)


@dataclass(frozen=True)
class _Informed:
    """Work that reads from an object store: workers know how to reach it.

    Attributes:
        work: The work.
        secrets: What reaches the store; it goes to workers in memory and is written nowhere.
    """

    work: Any
    secrets: Secrets

    def trajectory(
        self, config: TrajectoryConfig, folder: Path, on_progress: OnProgress
    ) -> Stepper:
        """See :class:`Work`."""
        self.secrets.take()
        stepper: Stepper = self.work.trajectory(config, folder, on_progress)
        return stepper

    def prepare_start(self, config: TrajectoryConfig, on_progress: OnProgress) -> None:
        """See :class:`Work`."""
        self.secrets.take()
        self.work.prepare_start(config, on_progress)

    def full_data(self, config: TrajectoryConfig, on_progress: OnProgress) -> None:
        """See :class:`Work`."""
        self.secrets.take()
        self.work.full_data(config, on_progress)

    def repeat_start(self, config: TrajectoryConfig, repeat: int, on_progress: OnProgress) -> None:
        """See :class:`Work`."""
        self.secrets.take()
        self.work.repeat_start(config, repeat, on_progress)


@dataclass(frozen=True)
class _Elsewhere(_Informed):
    """Work whose run lies in an object store.

    Attributes:
        url: Of the run.
        number: Of the driver.
    """

    url: str
    number: int

    def trajectory(
        self, config: TrajectoryConfig, folder: Path, on_progress: OnProgress
    ) -> Stepper:
        """See :class:`Work`; ``folder`` is on this node alone, and gets log and signs of life."""
        with _worker():
            node, mirror = self._here(config)
            own = trajectory_folder(node, folder.name)
            mirror.fetch(own.relative_to(node).as_posix())
            if not log_path(folder).exists() and log_path(own).exists():
                log_path(folder).write_bytes(log_path(own).read_bytes())
            signs = _Signs(on_progress, mirror, own)
            stepper = replace(self.work, run=node).trajectory(config, own, signs)
            return _Published(stepper, mirror, own, folder)

    def prepare_start(self, config: TrajectoryConfig, on_progress: OnProgress) -> None:
        """See :class:`Work`."""
        with _worker():
            node, _ = self._here(config)
            replace(self.work, run=node).prepare_start(config, on_progress)

    def full_data(self, config: TrajectoryConfig, on_progress: OnProgress) -> None:
        """See :class:`Work`."""
        with _worker():
            node, _ = self._here(config)
            replace(self.work, run=node).full_data(config, on_progress)

    def repeat_start(self, config: TrajectoryConfig, repeat: int, on_progress: OnProgress) -> None:
        """See :class:`Work`."""
        with _worker():
            node, _ = self._here(config)
            replace(self.work, run=node).repeat_start(config, repeat, on_progress)

    def where(self, run: Path) -> Path:
        """Where on this node a worker leaves its log and its signs of life.

        Args:
            run: The driver's folder, which is that of the display on the driver's node.
        """
        if mirror_mark(run).exists():
            return run
        there = home_of(self.url) / run.name
        mark(there, self.url, None)  # so that what is told of it names what it mirrors
        return there

    def _here(self, config: TrajectoryConfig) -> tuple[Path, Mirror]:
        """The folder of this node, with the plug-ins that a config needs."""
        self.secrets.take()
        node = to_train_in(self.url, self.number)
        mirror = mirror_at(node)
        assert mirror is not None, "made just now"
        mirror.refuse_if_superseded()
        specs = (config.strategy, config.starting_budget.strategy)
        if any(spec.plugins for spec in specs):
            mirror.fetch(plugins_folder(node).name)
        return node, mirror


def folder_here(work: Work, run: Path) -> Path:
    """Where a worker keeps log and signs of life of a run: in its folder, if this node sees it."""
    return work.where(run) if isinstance(work, _Elsewhere) else run


@contextmanager
def _worker() -> Iterator[None]:
    """A store that is away, or a driver that took over, is no fault of a trajectory.

    Raises:
        WorkerStopsError: So it was.
    """
    try:
        yield
    except (StoreError, StoreAwayError, SupersededError) as error:
        raise WorkerStopsError(str(error)) from error


@dataclass
class _Signs:
    """Signs of life that also go to the store, seldom; nobody's work waits for that."""

    on_progress: OnProgress
    mirror: Mirror
    folder: Path
    clock: Callable[[], float] = time.monotonic
    _next: float = field(default=float("-inf"), init=False)

    def __call__(self, progress: Progress) -> None:
        self.on_progress(progress)
        if self.clock() >= self._next:
            self._tell(progress)
            self._next = self.clock() + _SECONDS_BETWEEN_SIGNS

    def _tell(self, progress: Progress) -> None:
        from alsweep.sweep.heartbeat import sign

        with suppress(AlsweepError):
            store = self.mirror.store.hurried(_SECONDS_FOR_A_SIGN)
            store.put(self.mirror.key(progress_path(self.folder)), sign(progress).encode())


@dataclass
class _Published:
    """A trajectory on this node's disk; what it commits is in the store when a step returns.

    Attributes:
        stepper: The trajectory.
        mirror: Of the run, on this node.
        folder: Of the trajectory, in it.
        told: Where its worker logs.
    """

    stepper: Stepper
    mirror: Mirror
    folder: Path
    told: Path

    @property
    def records(self) -> Sequence[LoopRecord]:
        """See :class:`Stepper`."""
        return self.stepper.records

    @property
    def finished(self) -> bool:
        """See :class:`Stepper`."""
        return self.stepper.finished

    def step(self) -> LoopRecord:
        """See :class:`Stepper`."""
        with _worker():
            record = self.stepper.step()
            self._tell_log()
            return record

    def close(self) -> None:
        """See :class:`Stepper`; the view of the labels goes to the store once it is complete."""
        self.stepper.close()
        with _worker():
            if self.finished:
                self.mirror.upload(labels_folder(self.folder))
            _log.info("%s", traffic(self.mirror.store))
            self._tell_log()

    def _tell_log(self) -> None:
        if log_path(self.told).exists():
            key = self.mirror.key(log_path(self.folder))
            self.mirror.store.put(key, log_path(self.told).read_bytes())


def traffic(store: Store) -> str:
    """What this process has asked of a store so far, for its log."""
    asked = ", ".join(f"{n} {kind}" for kind, n in sorted(store.traffic.requests.items()))
    return (
        f"object storage so far: {asked or 'nothing'}; {store.traffic.received} bytes received, "
        f"{store.traffic.sent} sent"
    )


def pull_trajectory(run: Path, folder: Path) -> None:
    """Bring the loops that a trajectory has finished meanwhile to a driver's folder.

    Args:
        run: The run folder; nothing is done unless it mirrors one in an object store.
        folder: Of the trajectory.

    Raises:
        SupersededError: Another driver has taken over.
    """
    mirror = mirror_at(run)
    if mirror is None:
        return
    mirror.refuse_if_superseded()
    if not config_path(folder).exists() and not mirror.pull(config_path(folder)):
        return
    loop = 0
    while record_path(folder, loop).exists() and query_path(folder, loop + 1).exists():
        loop += 1
    if not query_path(folder, 0).exists():
        mirror.pull(query_path(folder, 0))
    while mirror.pull(record_path(folder, loop)) and mirror.pull(query_path(folder, loop + 1)):
        loop += 1
