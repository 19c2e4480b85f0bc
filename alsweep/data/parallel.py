"""The same work on many cases, on as many processes as pay off."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import TypeVar

from alsweep.errors import IngestError

Task = TypeVar("Task")
Result = TypeVar("Result")


class WorkerLostError(IngestError):
    """A worker process was killed from outside, most often for want of memory."""

    exit_code = 1


def map_cases(
    work: Callable[[Task], Result],
    tasks: Sequence[Task],
    workers: int,
    on_done: Callable[[int], None],
) -> list[Result]:
    """Apply ``work`` to every task.

    Args:
        work: A function of a module, since processes import it.
        tasks: Its arguments.
        workers: Processes; with one the work is done in this process.
        on_done: Called with the number of finished tasks.

    Returns:
        Results in the order of the tasks.

    Raises:
        WorkerLostError: A process was killed from outside.
    """
    if workers <= 1 or len(tasks) <= 1:
        results = []
        for task in tasks:
            results.append(work(task))
            on_done(len(results))
        return results
    pool = ProcessPoolExecutor(
        min(workers, len(tasks)), multiprocessing.get_context("spawn"), _follow_parent
    )
    try:
        futures = [pool.submit(work, task) for task in tasks]
        for done, future in enumerate(as_completed(futures), start=1):
            future.result()
            on_done(done)
        return [future.result() for future in futures]
    except BrokenProcessPool:
        raise WorkerLostError(
            "ingest: a worker process was killed, most often for want of memory; "
            "free memory and run it again"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _follow_parent() -> None:
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
