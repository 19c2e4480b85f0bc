"""What a worker that does one task after the other keeps of the one before: nothing."""

import os
from pathlib import Path

import pytest
import torch

from alsweep.errors import PoolExhaustedError
from alsweep.sweep.tasks import Worker, _do_and_forget
from alsweep.trajectory.progress import OnProgress


def leave_traces() -> None:
    os.environ["OF_A_TASK"] = "1"
    torch.set_default_dtype(torch.float64)


def fine(tell: OnProgress) -> None:
    leave_traces()


def refused(tell: OnProgress) -> None:
    leave_traces()
    raise PoolExhaustedError("the pool is empty")


def broken(tell: OnProgress) -> None:
    leave_traces()
    raise ZeroDivisionError("a bug")


def test_nothing_of_a_task_is_there_in_the_next_however_it_ended(tmp_path: Path) -> None:
    worker = Worker(tmp_path, tmp_path / "log.txt", 240)
    assert _do_and_forget(fine, worker)[0] is None
    assert "OF_A_TASK" not in os.environ
    assert torch.get_default_dtype() == torch.float32
    assert _do_and_forget(refused, worker)[0] == "the pool is empty"
    assert "OF_A_TASK" not in os.environ
    with pytest.raises(ZeroDivisionError):
        _do_and_forget(broken, worker)
    assert "OF_A_TASK" not in os.environ
    assert torch.get_default_dtype() == torch.float32
