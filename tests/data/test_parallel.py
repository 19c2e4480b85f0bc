import os
import signal

import pytest

from alsweep.data.ingest.parallel import CasePool, WorkerLostError


def _square(number):
    return number * number


def _die(number):
    os.kill(os.getpid(), signal.SIGKILL)


def _fail(number):
    raise ValueError(f"task {number}")


def _process(_):
    return os.getpid()


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_tasks(workers):
    seen = []
    with CasePool(workers) as pool:
        assert pool.map(_square, range(7), seen.append) == [n * n for n in range(7)]
        assert pool.map(_square, [3], seen.append) == [9]
    assert seen == [1, 2, 3, 4, 5, 6, 7, 1]


def test_one_worker_is_this_process_and_two_are_others():
    with CasePool(1) as pool:
        assert pool.map(_process, [0], lambda done: None) == [os.getpid()]
    with CasePool(2) as pool:
        assert os.getpid() not in pool.map(_process, [0, 1], lambda done: None)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_work_reaches_the_caller(workers):
    with CasePool(workers) as pool, pytest.raises(ValueError, match="task"):
        pool.map(_fail, range(3), lambda done: None)


def test_a_killed_worker_is_told_and_the_exit_code_says_the_run_failed():
    with CasePool(2) as pool, pytest.raises(WorkerLostError, match="want of memory") as error:
        pool.map(_die, range(2), lambda done: None)
    assert error.value.exit_code == 1
