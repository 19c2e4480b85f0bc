"""Workers that do one trajectory after the other: where they may, and what they forget in between.

A new process takes seconds to import what a trajectory needs, which is more than a small one takes.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from alsweep.query.plugin_files import forget_files
from alsweep.sweep.environment import set_back, variables

if TYPE_CHECKING:
    from alsweep.config.sweep import ResourcesConfig
    from alsweep.config.trajectory import TrajectoryConfig

_OUR_LEARNERS = {"monai", "nnunetv2"}
"""They leave nothing behind; a learner of another package may set what it likes in a process."""


def used_again(resources: ResourcesConfig, configs: Iterable[TrajectoryConfig]) -> bool:
    """Whether a worker may do another trajectory after its first.

    Only on CPUs: a card's context, its allocator and what was measured to choose algorithms outlive
    a trajectory, and only the end of the process gives all of its memory back.

    Args:
        resources: Of all of them, so that any worker can take any trajectory.
        configs: Of the trajectories.
    """
    # Without a GPU of its own a worker sees none, but a Mac's is always there.
    cpu = resources.device == "cpu" or (resources.device == "auto" and sys.platform != "darwin")
    ours = all(config.training.learner.name in _OUR_LEARNERS for config in configs)
    return cpu and not resources.gpus and ours


class Slate:
    """What a process was like before its first trajectory, and is made like again after each."""

    def __init__(self) -> None:
        self._environment = variables()
        self._folder = os.getcwd()  # noqa: PTH109 (of the process)
        self._fresh = True
        _give_memory_back()
        gc.freeze()

    def wipe(self) -> None:
        """Forget what a trajectory may have left, as far as a next one could tell.

        The number of threads is each trajectory's own to set, and so are its generators: what is
        set back here is what a strategy in a file of its own may have used nevertheless.
        """
        set_back(self._environment)
        os.chdir(self._folder)
        forget_files()
        _wipe_torch()
        _give_memory_back()
        if self._fresh:
            # What a first trajectory imports stays, and takes 0.3 s to walk through each time; a
            # later one leaves no more of the kind, so that nothing of it is kept for good.
            gc.freeze()
            self._fresh = False


def _wipe_torch() -> None:
    if "torch" not in sys.modules:
        return
    import torch

    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)
    torch.use_deterministic_algorithms(False)
    torch.manual_seed(torch.Generator().initial_seed())  # as in a new process
    if "torch._dynamo" in sys.modules:
        # It compiles a function for so many cases only, and then computes it otherwise.
        torch.compiler.reset()


def _give_memory_back() -> None:
    """Free what refers to itself, and the room that it took in this process."""
    gc.collect()
    # Of glibc alone, which otherwise keeps freed memory for the next trajectory's peak.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
