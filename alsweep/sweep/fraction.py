"""What fraction of a card a worker should have, found by trying; see ``resources.gpus: auto``."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from alsweep.errors import ConfigError
from alsweep.sweep.amounts import Measure
from alsweep.sweep.calibrating import Calibration
from alsweep.sweep.environment import first_visible_card
from alsweep.sweep.forecast import workers
from alsweep.sweep.throughputs import stated_step

if TYPE_CHECKING:
    from alsweep.config.sweep import ResourcesConfig
    from alsweep.sweep.amounts import Recipe
    from alsweep.sweep.plan import Plan
    from alsweep.trajectory.timed import Held

Tell = Callable[[str], None]

SECONDS = 40.0
"""For the calibration, imports apart."""

_USABLE = 0.9
"""Share of a card's memory that workers are given: the rest is for what nobody foresees."""

_FINEST = 10_000
"""Ray counts cards in ten-thousandths."""


@dataclass(frozen=True)
class Worker:
    """What one worker took while it trained and predicted, alone on a card.

    Attributes:
        held: Most memory, and whose it is.
        busy: Share of the time in which the card computed; None where nobody could tell.
    """

    held: Held
    busy: float | None


@dataclass(frozen=True)
class Proposal:
    """How many workers share a card, and why no more.

    Attributes:
        at_once: Workers on one card.
        why: What sets the limit.
    """

    at_once: int
    why: str

    @property
    def gpus(self) -> float:
        """The fraction, such that Ray finds room for just so many."""
        return (_FINEST // self.at_once) / _FINEST


def propose(worker: Worker, there: Mapping[str, int], cards: int) -> Proposal:
    """As many workers as a card takes: none of them waits for memory, CPUs or the card.

    Args:
        worker: One of them, alone.
        there: How many workers this machine can have at once for other reasons, by reason.
        cards: That these are spread over.

    Raises:
        ConfigError: Not even one fits.
    """
    held = worker.held
    if held.gib > held.card_gib:
        raise ConfigError(
            f"resources.gpus: a worker took {held.gib:.1f} GiB, and {held.card} has "
            f"{held.card_gib:.1f}; lower training.patch_size or training.batch_size"
        )
    over = "" if cards == 1 else f" on {cards} cards"
    limits = {f"{why}{over}": -(-count // cards) for why, count in there.items()}
    memory = f"{held.gib:.2f} of {held.card_gib:.0f} GiB each"
    limits[memory] = int(_USABLE * held.card_gib / held.gib)
    if worker.busy is not None:
        # One that keeps half of the card busy leaves room for one more.
        limits[f"{100 * worker.busy:.0f} % of the card's time each"] = round(
            1 / max(worker.busy, 1e-3)
        )
    why, most = min(limits.items(), key=lambda limit: limit[1])
    return Proposal(max(1, most), why)


@dataclass(frozen=True)
class Probe:
    """Looks at the cards of this machine; replaced where there is none.

    Attributes:
        seconds: Between two looks.
    """

    seconds: float = 0.5

    def cards(self) -> int:
        """How many workers could see."""
        import torch

        return torch.cuda.device_count()

    @contextmanager
    def watching(self) -> Iterator[Sequence[float]]:
        """Collect the shares of time in which the card computed, while the block runs."""
        seen: list[float] = []
        stop = threading.Event()

        def look() -> None:
            while not stop.wait(self.seconds):
                with suppress(TypeError, ValueError):
                    seen.append(float(_nvidia_smi("utilization.gpu") or "") / 100)

        thread = threading.Thread(target=look, name="nvidia-smi", daemon=True)
        thread.start()
        try:
            yield seen
        finally:
            stop.set()
            thread.join()


def _nvidia_smi(query: str) -> str | None:
    """What the driver says of the first card that is visible; None where nobody answers."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    seen = first_visible_card()
    of = [] if seen is None else [f"--id={seen}"]
    command = [program, f"--query-gpu={query}", "--format=csv,noheader,nounits", *of]
    with suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return next(iter(said.stdout.splitlines()), None)
    return None


@dataclass(frozen=True)
class Finder:
    """Finds the fraction of a card that each worker of a sweep should have.

    Attributes:
        resources: Of a worker, which is tried alone on a card.
        plugins: Files that strategies are from.
        probe: Looks at the cards.
        trajectories: Of the sweep; None where nobody knows yet.
    """

    resources: ResourcesConfig
    plugins: Sequence[Path] = ()
    probe: Probe = field(default_factory=Probe)
    trajectories: int | None = None

    def worker(self, recipe: Recipe) -> Worker | None:
        """What a worker takes of a card; None where it was not done in time.

        Raises:
            AlsweepError: A training could not begin, as it could not in the run.
        """
        alone = self.resources.model_copy(update={"gpus": 1.0})
        with self.probe.watching() as shares:
            held = Calibration(alone, self.plugins, SECONDS).held(recipe)
        if held is None:
            return None
        # While it starts, a card does nothing.
        working = [share for share in shares if share > 0]
        return Worker(held, median(working) if working else None)

    def __call__(self, recipe: Recipe, tell: Tell) -> ResourcesConfig:
        """The resources with a number for ``gpus``; a line says which and why.

        Raises:
            ConfigError: Not even one worker fits a card.
        """
        if self.resources.device not in ("auto", "cuda"):
            tell(f"resources.gpus: auto: 0, since resources.device is {self.resources.device}")
            return self._with(0.0)
        cards = self.probe.cards()
        if not cards:
            tell("resources.gpus: auto: this machine has no card; all is computed on CPUs")
            return self._with(0.0)
        worker = self.worker(recipe)
        if worker is None:
            tell(
                f"resources.gpus: auto: a worker did not get through {SECONDS:.0f} s of "
                "calibration; each gets a card of its own (gpus: 1)"
            )
            return self._with(1.0)
        found = propose(worker, self._there, cards)
        tell(
            f"resources.gpus: auto: {found.gpus:g}, so that {found.at_once} at once share "
            f"{worker.held.card} ({found.why})"
        )
        return self._with(found.gpus)

    @property
    def _there(self) -> dict[str, int]:
        by_cpus = workers(self.resources)
        found = {f"CPUs for {by_cpus}": by_cpus}
        if self.trajectories is not None:
            found[f"{self.trajectories} trajectories"] = self.trajectories
        return found

    def _with(self, gpus: float) -> ResourcesConfig:
        return self.resources.model_copy(update={"gpus": gpus, "gpus_to_find": False})


def with_gpus(plan: Plan, *, private: bool, tell: Tell, probe: Probe | None = None) -> Plan:
    """The plan with the number that ``gpus: auto`` comes to.

    Raises:
        ConfigError: It is to be made on a cluster, whose cards are not here, or no worker fits one.
    """
    resources = plan.sweep.resources
    if not private:
        raise ConfigError(
            "resources.gpus: auto is found out on the machine that computes; write a number for a "
            "cluster, such as the one that 'alsweep run --dry-run' says on one of its nodes"
        )
    count = None if plan.sweep.search else len(plan.trajectories)
    find = Finder(resources, plan.sweep.plugins, probe or Probe(), count)
    # The most work takes the most of a card.
    recipes = Measure.of(plan).recipes.values()
    largest = max(
        recipes, key=lambda one: stated_step(one.config.training, one.dataset, resources).device
    )
    found = find(largest, tell)
    return replace(plan, sweep=plan.sweep.model_copy(update={"resources": found}))
