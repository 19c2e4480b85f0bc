"""What stands in a run already beside what would be made: other numerics, other threads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alsweep import __version__
from alsweep.errors import RunFolderError
from alsweep.layout import trajectory_folder
from alsweep.results.records import read_records
from alsweep.trajectory.made_with import has_these_numerics
from alsweep.trajectory.numerics import NUMERICS

if TYPE_CHECKING:
    from alsweep.config.sweep import ResourcesConfig
    from alsweep.config.trajectory import TrainingConfig
    from alsweep.results.loops import LoopRecord
    from alsweep.sweep.plan import Plan, Planned
    from alsweep.sweep.taking_over import TakenOver

Records = tuple["LoopRecord", ...]


@dataclass(frozen=True)
class Stored:
    """The finished loops of a plan, read once; those that it is going to take over are among them.

    Attributes:
        run: The run folder.
        plan: What is going to be made of it; what it has stopped is not.
        records: Of each trajectory, by id.
        trained: Whether they are of real trainings, so that members' keys tell their numerics.
    """

    run: Path
    plan: Plan
    records: Mapping[str, Records]
    trained: bool

    @classmethod
    def read(
        cls, run: Path, plan: Plan, *, taken: Iterable[TakenOver] = (), trained: bool = True
    ) -> Stored:
        """Read the records of all trajectories of a plan, and of what they take over."""
        records = {
            one.id: read_records(trajectory_folder(run, one.id), loops=one.config.query.loops)
            for one in plan.trajectories
        }
        records |= {one.planned.id: read_records(one.source)[: one.loops] for one in taken}
        return cls(run, plan, records, trained)

    @property
    def unfinished(self) -> list[Planned]:
        """Trajectories that lack a loop and are not stopped."""
        return [
            planned
            for planned in self.plan.trajectories
            if planned.id not in self.plan.stopped
            and len(self.records[planned.id]) < planned.config.query.loops
        ]

    def of_other_numerics(self, planned: Planned) -> list[LoopRecord]:
        """Finished loops of a trajectory with other numerics than this alsweep's.

        A record of before records told them has those that its members' keys are of; of several
        such records the last one speaks, since it is made of the others.
        """
        records = self.records[planned.id]
        others = _telling(records)
        untold = [record for record in records if record.numerics is None]
        if untold and self.trained:
            folder, last = trajectory_folder(self.run, planned.id), untold[-1].loop
            others += [] if has_these_numerics(planned.config, folder, last) else untold
        return others


def refuse_mixing(stored: Stored) -> None:
    """Refuse to go on with trajectories whose finished loops have other numerics.

    One that is finished or has not begun is none of them.

    Raises:
        RunFolderError: There are such trajectories; says how many, and the mends.
    """
    found = {one.id: stored.of_other_numerics(one) for one in stored.unfinished}
    mixed = {id_: records for id_, records in found.items() if records}
    if not mixed:
        return
    first = next(iter(mixed))
    what = f"trajectory {first} has" if len(mixed) == 1 else f"{len(mixed)} trajectories have"
    others = _made_with(record for records in mixed.values() for record in records)
    raise RunFolderError(
        f"{stored.run}: {what} loops to do and finished ones of {others}, whose numbers are not "
        f"those of this {_words(__version__, NUMERICS)}; go on with that alsweep, begin anew with "
        "another --out, or mix them with --mix-numerics (in Python mix_numerics=True)"
    )


def on_stored(stored: Stored) -> Iterator[str]:
    """Warn of what makes loops that come now unlike those that are there, in whichever trajectory.

    Nothing is said where nothing is left to do.
    """
    if stored.unfinished:
        yield from _other_numerics(stored)
        yield from _other_threads(stored)


def _other_numerics(stored: Stored) -> Iterator[str]:
    others: list[LoopRecord] = []
    asked = False
    for planned in stored.plan.trajectories:
        records = stored.records[planned.id]
        # Those that do not tell were made by one alsweep, as a rule: one is asked for all.
        others += _telling(records) if asked else stored.of_other_numerics(planned)
        asked = asked or any(record.numerics is None for record in records)
    if others:
        yield (
            f"warning: this run has loops of {_made_with(others)}; what is made now is of "
            f"{_words(__version__, NUMERICS)}, whose numbers are others: a difference between the "
            "two need not be one between strategies"
        )


def _other_threads(stored: Stored) -> Iterator[str]:
    then: dict[str, None] = {}
    now: dict[str, None] = {}
    for planned in stored.plan.trajectories:
        wanted = _threads(stored.plan.sweep.resources, planned.config.training)
        for record in stored.records[planned.id]:
            # An older record does not say on how many its members were trained.
            known = (record.threads, record.training_threads or wanted[1])
            if known != wanted:
                then[_threads_text(*known)] = None
                now[_threads_text(*wanted)] = None
    if then:
        yield (
            f"warning: resources.cpus and members_at_once give {' or '.join(now)}, but finished "
            f"loops were computed on {' or '.join(then)}: sums in another order end in other last "
            "digits, so that what follows is not bit for bit what it would have been; write them "
            "as they were to have it so"
        )


def _threads(resources: ResourcesConfig, training: TrainingConfig) -> tuple[int, int]:
    """Threads of a trajectory and of each of its trainings, as records tell them."""
    at_once = min(resources.members_at_once, training.members)
    alone = training.ensemble == "snapshots"
    return resources.threads, resources.training_threads(1 if alone else at_once)


def _threads_text(threads: int, training: int) -> str:
    text = f"{threads} thread{'' if threads == 1 else 's'}"
    return text if training == threads else f"{text} ({training} for each training)"


def _telling(records: Iterable[LoopRecord]) -> list[LoopRecord]:
    """Those that say that they are of other numerics."""
    return [record for record in records if record.numerics not in (None, NUMERICS)]


def _made_with(records: Iterable[LoopRecord]) -> str:
    return " and ".join(dict.fromkeys(_words(one.version, one.numerics) for one in records))


def _words(version: str | None, numerics: int | None) -> str:
    if numerics is None:
        return "an alsweep of before records told their version"
    return f"alsweep {version} (numerics {numerics})"
