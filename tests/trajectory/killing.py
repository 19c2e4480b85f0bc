"""Learners that die in the middle of a training, and processes to die in."""

import errno
import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from alsweep.model.monai_learner import MonaiLearner


@dataclass(frozen=True)
class Noted(MonaiLearner):
    """Writes down each epoch that it trains, and kills its process after some of them, once each.

    Attributes:
        notes: A folder; each epoch becomes a line ``member epoch`` in ``epochs``.
        deaths: Pairs of member and epoch.
    """

    notes: Path
    deaths: tuple[tuple[int, int], ...] = ()

    def fit(self, network, setup, training_data, on_epoch, checkpoint):
        def noted(epochs: int) -> None:
            on_epoch(epochs)
            with (self.notes / "epochs").open("a", encoding="utf-8") as file:
                file.write(f"{training_data.member} {epochs}\n")
            mark = self.notes / f"died-{training_data.member}-{epochs}"
            if (training_data.member, epochs) in self.deaths and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)

        return super().fit(network, setup, training_data, noted, checkpoint)

    def epochs(self, member: int) -> list[int]:
        """The epochs that were trained of a member, in order, over all tries."""
        lines = (self.notes / "epochs").read_text(encoding="utf-8").splitlines()
        return [int(line.split()[1]) for line in lines if int(line.split()[0]) == member]


class OutOfRoom(MonaiLearner):
    """Meets a full disk in each training, as some library that it uses would tell it."""

    def fit(self, network, setup, training_data, on_epoch, checkpoint):
        raise OSError(errno.ENOSPC, "No space left on device")


def in_child(work: Callable[[], object]) -> int | None:
    """Run ``work`` in a forked process; return its exit code, negative for a signal."""
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(60)
    return process.exitcode
