"""What fraction of a card a worker should have, found by trying; see ``resources.gpus: auto``."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from alsweep.errors import ConfigError
from alsweep.sweep.amounts import Measure
from alsweep.sweep.calibrating import Calibration
from alsweep.sweep.forecast import workers
from alsweep.sweep.throughputs import stated_step

if TYPE_CHECKING:
    from alsweep.config.sweep import ResourcesConfig
    from alsweep.sweep.amounts import Recipe
    from alsweep.sweep.plan import Plan

Tell = Callable[[str], None]

SECONDS = 40.0
"""For the calibration, imports apart."""

_USABLE = 0.9
"""Share of a card's memory that workers are given: the rest is for what nobody foresees."""

_FINEST = 10_000
"""Ray counts cards in ten-thousandths."""


@dataclass(frozen=True)
class Card:
    """A card of this machine.

    Attributes:
        name: As its maker has it.
        gib: Of its memory.
    """

    name: str
    gib: float


@dataclass(frozen=True)
class Worker:
    """What one worker took while it trained and predicted, alone on a card.

    Attributes:
        gib: Most memory.
        busy: Share of the time in which the card computed; None where nobody could tell.
    """

    gib: float
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


def propose(card: Card, worker: Worker, by_cpus: int) -> Proposal:
    """As many workers as card and CPUs take: none of them waits for memory, CPUs or the card.

    Args:
        card: That they share.
        worker: One of them, alone.
        by_cpus: Workers that the machine's CPUs take.

    Raises:
        ConfigError: Not even one fits.
    """
    if worker.gib > card.gib:
        raise ConfigError(
            f"resources.gpus: a worker took {worker.gib:.1f} GiB, and {card.name} has "
            f"{card.gib:.1f}; lower training.patch_size or training.batch_size"
        )
    limits = {
        f"{worker.gib:.2f} of {card.gib:.0f} GiB each": int(_USABLE * card.gib / worker.gib),
        f"CPUs for {by_cpus}": by_cpus,
    }
    if worker.busy is not None:
        # One that keeps half of the card busy leaves room for one more.
        limits[f"{100 * worker.busy:.0f} % of the card's time each"] = round(
            1 / max(worker.busy, 1e-3)
        )
    why, most = min(limits.items(), key=lambda limit: limit[1])
    return Proposal(max(1, most), why)


@dataclass(frozen=True)
class Probe:
    """Looks at the card of this machine; replaced where there is none.

    Attributes:
        seconds: Between two looks.
    """

    seconds: float = 0.5

    def card(self) -> Card | None:
        """The first card; None where there is none."""
        found = _nvidia_smi("name,memory.total")
        if found is None:
            return None
        name, mib = found.rsplit(",", 1)
        return Card(name.strip(), float(mib) / 1024)

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
    """The first card's answer; None where nobody answers."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    command = [program, f"--query-gpu={query}", "--format=csv,noheader,nounits"]
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
        probe: Looks at the card.
    """

    resources: ResourcesConfig
    plugins: Sequence[Path] = ()
    probe: Probe = field(default_factory=Probe)

    def worker(self, recipe: Recipe) -> Worker | None:
        """What a worker takes of a card; None where it was not done in time.

        Raises:
            AlsweepError: A training could not begin, as it could not in the run.
        """
        alone = self.resources.model_copy(update={"gpus": 1.0})
        with self.probe.watching() as shares:
            gib = Calibration(alone, self.plugins, SECONDS).held_gib(recipe)
        if gib is None:
            return None
        # While it starts, a card does nothing.
        working = [share for share in shares if share > 0]
        return Worker(gib, median(working) if working else None)

    def __call__(self, recipe: Recipe, tell: Tell) -> ResourcesConfig:
        """The resources with a number for ``gpus``; a line says which and why.

        Raises:
            ConfigError: Not even one worker fits a card.
        """
        card = self.probe.card()
        if card is None:
            tell("resources.gpus: auto: this machine has no card; all is computed on CPUs")
            return self._with(0.0)
        worker = self.worker(recipe)
        if worker is None:
            tell(
                f"resources.gpus: auto: a worker did not get through {SECONDS:.0f} s of "
                f"calibration on {card.name}; each gets a card of its own (gpus: 1)"
            )
            return self._with(1.0)
        found = propose(card, worker, workers(self.resources))
        tell(
            f"resources.gpus: auto: {found.gpus:g}, so that {found.at_once} at once share "
            f"{card.name} ({found.why})"
        )
        return self._with(found.gpus)

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
    find = Finder(resources, plan.sweep.plugins, probe or Probe())
    # The most work takes the most of a card.
    recipes = Measure.of(plan).recipes.values()
    largest = max(
        recipes, key=lambda one: stated_step(one.config.training, one.dataset, resources).device
    )
    found = find(largest, tell)
    return replace(plan, sweep=plan.sweep.model_copy(update={"resources": found}))
