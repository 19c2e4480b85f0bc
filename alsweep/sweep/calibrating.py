"""Timing recipes on this machine, in a process of its own that is ended when the minute is over."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alsweep.data.ingest.parallel import follow_parent
from alsweep.errors import AlsweepError
from alsweep.sweep.costing import Rates, Timed, window_of
from alsweep.sweep.environment import hide_cards
from alsweep.sweep.throughputs import stated_step
from alsweep.trajectory.timed import Held, TimedCase, TimedSteps

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from alsweep.config.sweep import ResourcesConfig
    from alsweep.config.trajectory import TrajectoryConfig
    from alsweep.sweep.amounts import Recipe

SECONDS = 60.0
"""All recipes together, imports apart."""

_MOST_RECIPES = 3
_SECONDS_TO_BEGIN = 300.0
_STEPS_SHARE = 0.6
"""Of a recipe's time; the rest is for setting up and for the case."""

_SPAWN = multiprocessing.get_context("spawn")


@dataclass
class _Heard:
    """The last that was said of a recipe."""

    steps: TimedSteps | None = None
    case: TimedCase | None = None
    held: Held | None = None


@dataclass(frozen=True)
class Calibration:
    """Times recipes; see :data:`~alsweep.sweep.costing.Calibrate`.

    Attributes:
        resources: Of a worker.
        plugins: Files that strategies are from.
        seconds: For all recipes together.
    """

    resources: ResourcesConfig
    plugins: Sequence[Path] = ()
    seconds: float = SECONDS

    def __call__(self, recipes: Sequence[Recipe]) -> Mapping[int, Timed]:
        """Time the first few recipes; of those without a step in time nothing is told.

        Raises:
            AlsweepError: A training could not begin, as it could not in the run.
        """
        chosen = recipes[:_MOST_RECIPES]
        heard = [self._time(recipe, self.seconds / len(chosen)) for recipe in chosen]
        timed = {place: self._timed(recipes[place], one) for place, one in enumerate(heard)}
        return {place: one for place, one in timed.items() if one is not None}

    def held(self, recipe: Recipe) -> Held | None:
        """What a worker takes of a card's memory; None on a CPU, and where no step was in time.

        Raises:
            AlsweepError: A training could not begin, as it could not in the run.
        """
        return self._time(recipe, self.seconds).held

    def _time(self, recipe: Recipe, seconds: float) -> _Heard:
        """What a process says of a recipe before its time is up."""
        alone = stated_step(recipe.config.training, recipe.dataset, self.resources).alone
        epoch = min(50, max(1, int(0.5 / alone)))
        ours, theirs = _SPAWN.Pipe()
        given = (recipe.config, self.plugins, self.resources, epoch, _STEPS_SHARE * seconds)
        process = _SPAWN.Process(target=_work, args=(theirs, *given), name="calibration")
        process.start()
        theirs.close()
        try:
            return _hear(ours, seconds)
        finally:
            process.kill()
            process.join()
            ours.close()

    def _timed(self, recipe: Recipe, heard: _Heard) -> Timed | None:
        """Seconds of the card or of a core, where the clock's were timed."""
        steps, case = heard.steps, heard.case
        if steps is None:
            return None
        each = steps.seconds / steps.steps
        step = each * self._held(recipe, steps.threads)
        told = f"{steps.steps} training steps of {_shown(each)}"
        if case is None:
            window = window_of(step, recipe)
            return Timed(Rates(step, window, window), "calibration", told)
        how, training = recipe.config.inference, recipe.config.training
        windows = recipe.windows([case.case], how.step, training if how.tta else None)
        window = case.seconds * self._held(recipe, case.threads) / windows
        told += f", case {case.case} predicted by a member in {_shown(case.seconds)}"
        return Timed(Rates(step, window, window), "calibration", told)

    def _held(self, recipe: Recipe, threads: int) -> float:
        """Seconds of a card or of cores that a second of the clock takes."""
        if not self.resources.gpus:
            return threads
        stated = stated_step(recipe.config.training, recipe.dataset, self.resources)
        return stated.device / stated.alone


def _shown(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def _hear(pipe: Connection, seconds: float) -> _Heard:
    """Listen until all is said or the time is up, which begins when all is ready.

    Raises:
        AlsweepError: The training could not begin.
    """
    heard = _Heard()
    deadline = time.monotonic() + _SECONDS_TO_BEGIN
    with suppress(EOFError, ConnectionResetError):
        while pipe.poll(max(0.0, deadline - time.monotonic())):
            said = pipe.recv()
            if isinstance(said, AlsweepError):
                raise said
            if isinstance(said, TimedCase):
                heard.case = said
            elif isinstance(said, Held):
                # Looking at a case forgets what the training held at most.
                heard.held = max(said, heard.held or said, key=lambda one: one.gib)
            elif said.steps:
                heard.steps = said
            else:
                deadline = time.monotonic() + seconds
    return heard


def _work(
    pipe: Connection,
    config: TrajectoryConfig,
    plugins: Sequence[Path],
    resources: ResourcesConfig,
    epoch: int,
    seconds: float,
) -> None:
    """Time a recipe as a worker would run it, and say what comes of it."""
    follow_parent()
    if not resources.gpus:
        hide_cards()
    from alsweep.query.plugin_files import load_files
    from alsweep.trajectory.timing import time_recipe

    load_files(plugins)
    try:
        time_recipe(config, resources, epoch, seconds, pipe.send)
    except AlsweepError as error:
        pipe.send(error)
    pipe.close()
