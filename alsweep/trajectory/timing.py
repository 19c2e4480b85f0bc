"""How long the real recipe takes on this machine: some training steps, and one predicted case."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from alsweep.config.strategy import StrategySpec
from alsweep.config.sweep import ResourcesConfig
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.data.case import Dataset
from alsweep.model.device import set_threads
from alsweep.model.learner import TrainingData
from alsweep.model.memory import held_bytes
from alsweep.trajectory.budget import draw_start, is_encoded
from alsweep.trajectory.members import Member
from alsweep.trajectory.steps import Steps
from alsweep.trajectory.timed import Held, TimedCase, TimedSteps

_NO_END = 1_000_000


_GIB = 1 << 30

OnTimed = Callable[[TimedSteps | TimedCase | Held], None]


def time_recipe(
    config: TrajectoryConfig,
    resources: ResourcesConfig,
    epoch: int,
    seconds: float,
    on_timed: OnTimed,
) -> None:
    """Train the first member of a trajectory for a while, as its loop 0 would, then predict a case.

    Nothing is stored. Who wants an end to it however long a step takes must end the process.

    Args:
        config: Resolved.
        resources: Threads and device.
        epoch: Steps between two looks at the clock.
        seconds: When to be done with steps, after two epochs at least.
        on_timed: Hears of no steps when all is ready, then of each epoch and of the case, and on a
            card of its memory.

    Raises:
        PoolExhaustedError: The starting budget does not fit.
        TrajectoryFailedError: The training cannot go on.
    """
    dataset = Dataset.open(config.dataset)
    with TemporaryDirectory(prefix="alsweep-timing-") as models:
        steps = Steps.make(config, dataset, Path(models), resources, "calibration", None)
        _time_steps(steps, epoch, seconds, on_timed)
        _tell_held(steps, on_timed)
        set_threads(resources.threads)
        _time_case(steps, resources.threads, on_timed)
        _tell_held(steps, on_timed)


def _tell_held(steps: Steps, on_timed: OnTimed) -> None:
    device = steps.compute.device
    held = held_bytes(device)
    if held is not None:
        card = torch.cuda.get_device_properties(device)
        on_timed(Held(held / _GIB, card.name, card.total_memory / _GIB))


class _EnoughError(Exception):
    """Time is up."""


class _NoCheckpoint:
    """A training that is thrown away needs none."""

    def load(self) -> dict[str, Any] | None:
        return None

    def due(self) -> bool:
        return False

    def save(self, state: Mapping[str, Any]) -> None: ...


def _time_steps(steps: Steps, epoch: int, seconds: float, on_timed: OnTimed) -> None:
    members = steps.members
    set_threads(members.threads)
    start = draw_start(_known_at_once(steps.config), steps.dataset)
    labels = steps.labels(sorted(one.patch for one in start))
    training = steps.config.training.model_copy(
        update={"epochs": _NO_END, "iterations_per_epoch": epoch}
    )
    compute = replace(members.setup.compute, loaders=members.loaders)
    setup = replace(members.setup, training=training, compute=compute)
    network = members.learner.network(setup, 0)
    on_timed(TimedSteps(0.0, 0, members.threads))
    began = time.monotonic()
    first = began

    def on_epoch(epochs: int) -> None:
        nonlocal first
        now = time.monotonic()
        if epochs == 1:
            first = now
        since, counted = (began, 1) if epochs == 1 else (first, epochs - 1)
        on_timed(TimedSteps(now - since, counted * epoch, members.threads))
        if epochs > 1 and now - began > seconds:
            raise _EnoughError

    with suppress(_EnoughError):
        data = TrainingData(0, labels, labels.cases)
        members.learner.fit(network, setup, data, on_epoch, _NoCheckpoint())


def _known_at_once(config: TrajectoryConfig) -> TrajectoryConfig:
    """With a random start in place of one that it takes a pretraining to know."""
    if not is_encoded(config):
        return config
    start = config.starting_budget.model_copy(update={"strategy": StrategySpec(name="random")})
    return config.model_copy(update={"starting_budget": start})


def _time_case(steps: Steps, threads: int, on_timed: OnTimed) -> None:
    """Predict the case of the pool of middling size, twice: the first time warms up."""
    network = steps.members.learner.network(steps.members.setup, 0).eval()
    pool = sorted(steps.dataset.pool, key=lambda case: steps.dataset.cases[case].voxels)
    case, member = pool[len(pool) // 2], Member("", network, 0.0, cached=False)
    for _ in range(2):
        began = time.monotonic()
        prediction = steps.predict([member], case, steps.config.inference)
        # Read, so that a card has finished.
        for planes in prediction.slabs:
            prediction.part(planes, slice(None)).mean_probs.sum().item()
        on_timed(TimedCase(case, time.monotonic() - began, threads))
