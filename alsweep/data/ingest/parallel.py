"""The same work on many cases, on as many processes as pay off."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from types import TracebackType
from typing import TypeVar

from alsweep.errors import IngestError

Task = TypeVar("Task")
Result = TypeVar("Result")


class WorkerLostError(IngestError):
    """A worker process was killed from outside, most often for want of memory."""

    exit_code = 1


class CasePool:
    """Processes that work on cases; a context manager, so that several passes share them.

    Args:
        workers: Number of processes; with one the work is done in this process.
    """

    def __init__(self, workers: int) -> None:
        self._pool = (
            ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), follow_parent)
            if workers > 1
            else None
        )

    def __enter__(self) -> "CasePool":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def map(
        self,
        work: Callable[[Task], Result],
        tasks: Sequence[Task],
        on_done: Callable[[int], None],
    ) -> list[Result]:
        """Apply ``work`` to every task.

        Args:
            work: A function of a module, since processes import it.
            tasks: Its arguments.
            on_done: Called with the number of finished tasks.

        Returns:
            Results in the order of the tasks.

        Raises:
            WorkerLostError: A process was killed from outside.
        """
        if self._pool is None:
            return [_told(work(task), done, on_done) for done, task in enumerate(tasks, start=1)]
        futures = [self._pool.submit(work, task) for task in tasks]
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                _told(future.result(), done, on_done)
        except BrokenProcessPool:
            raise WorkerLostError(
                "ingest: a worker process was killed, most often for want of memory; "
                "free memory and run it again"
            ) from None
        return [future.result() for future in futures]


def _told(result: Result, done: int, on_done: Callable[[int], None]) -> Result:
    on_done(done)
    return result


def follow_parent() -> None:
    """Leave Ctrl-C to the parent, and end with it even if it is killed: orphans would write on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    sentinel = parent.sentinel

    def end() -> None:
        wait([sentinel])
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()
