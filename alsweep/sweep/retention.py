"""Which stored members a run still needs, and removing the others.

A member can be made again from its config and its patches, so that what goes costs time at most.
Records, queries and evaluations never go, and of a member only the weights: who trained it and how
long that took is told by what stays beside them.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from alsweep.files import own_entries, read_json
from alsweep.layout import meta_path, models_folder, training_folder, weights_path
from alsweep.results.fulldata import read_references
from alsweep.results.records import RunFolder, TrajectoryFolder, read_run
from alsweep.storage.standins import with_networks
from alsweep.sweep.keep import Keep
from alsweep.sweep.run_folder import driver_lock

_START, _REFERENCE = "start-", "fulldata-"
"""How the owners of shared starts and of full-data references begin."""


@dataclass(frozen=True)
class Garbage:
    """Files of a run that nobody needs.

    Attributes:
        weights: Of members.
        remains: Checkpoints of trainings that are over.
        kept: How many members stay.
        bytes: What weights and remains take up.
    """

    weights: tuple[Path, ...]
    remains: tuple[Path, ...]
    kept: int
    bytes: int


def garbage(run: Path, keep: Keep = Keep.last) -> Garbage:
    """What :func:`collect` would remove; nothing is written.

    Raises:
        RunFolderError: ``run`` is no run folder.
        RecordError: A file in it is broken; nothing is decided on half of what is known.
    """
    with with_networks(run):
        return _garbage(run, keep)


def _garbage(run: Path, keep: Keep) -> Garbage:
    needs = _Needs.of(read_run(run), keep)
    stored = sorted(f for f in own_entries(models_folder(run)) if weights_path(f).is_file())
    unneeded = [folder for folder in stored if not needs.member(folder)]
    weights = tuple(map(weights_path, unneeded))
    remains = tuple(_remains(run, needs, {folder.name for folder in stored}))
    return Garbage(weights, remains, len(stored) - len(unneeded), _bytes([*weights, *remains]))


def collect(run: Path, keep: Keep = Keep.last) -> Garbage:
    """Remove what nobody needs, while nobody is at work in the run; returns what went.

    Raises:
        RunFolderError: ``run`` is no run folder, or somebody is at work in it.
        RecordError: A file in it is broken; nothing is removed.
    """
    read_run(run)
    with driver_lock(run):
        return collect_held(run, keep)


def collect_held(run: Path, keep: Keep) -> Garbage:
    """As :func:`collect`, for a caller who holds the run's lock and whose workers are gone."""
    with with_networks(run) as remove:
        found = _garbage(run, keep)
        paths = (*found.weights, *found.remains)
        for path in paths:
            path.unlink(missing_ok=True)
        remove(paths)
    return found


@dataclass(frozen=True)
class _Needs:
    """What is needed of a run's store.

    Attributes:
        keep: The policy.
        keys: Members that stay by name.
        known: Members that a record names.
        going: Ids of trajectories that are not finished.
        starts: Whether one of these has not finished its first loop.
    """

    keep: Keep
    keys: frozenset[str]
    known: frozenset[str]
    going: frozenset[str]
    starts: bool

    @classmethod
    def of(cls, run: RunFolder, keep: Keep) -> _Needs:
        """Read off the trajectories and the full-data references of a run."""
        ended = [one for one in run.trajectories if one.status in ("done", "truncated")]
        going = [one for one in run.trajectories if one.status not in ("done", "truncated")]
        found = read_references([run]).values()
        references = {key for records in found for record in records for key in record.members}
        keys = set(_members(going))
        if keep is not Keep.none:
            keys |= {key for one in ended for record in one.records[-1:] for key in record.members}
            keys |= references
        return cls(
            keep,
            frozenset(keys),
            frozenset({*_members(run.trajectories), *references}),
            frozenset(one.id for one in going),
            any(not one.records for one in going),
        )

    def member(self, folder: Path) -> bool:
        """Whether the member in an entry of the store is needed.

        One that no record names is that of a loop which is not finished; whose, its owner tells.
        """
        if self.keep is Keep.all or folder.name in self.keys:
            return True
        return folder.name not in self.known and self.wants(_owner(folder))

    def wants(self, owner: str | None) -> bool:
        """Whether somebody who is not finished trained it: trajectory, start or reference."""
        if owner is None:
            return bool(self.going)
        if owner.startswith(_START):
            return self.starts
        return owner in self.going or owner.startswith(_REFERENCE)


def _members(trajectories: Iterable[TrajectoryFolder]) -> set[str]:
    return {key for one in trajectories for record in one.records for key in record.members}


def _remains(run: Path, needs: _Needs, stored: set[str]) -> Iterable[Path]:
    """Checkpoints of members that are there, or of a run that has nothing left to train."""
    for path in sorted(own_entries(training_folder(models_folder(run)))):
        if path.stem in stored or path.stem in needs.known or not needs.going:
            yield path


def _owner(folder: Path) -> str | None:
    """Who trained a member; None where that cannot be read."""
    try:
        return str(read_json(meta_path(folder))["owner"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _bytes(paths: Iterable[Path]) -> int:
    total = 0
    for path in paths:
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total
