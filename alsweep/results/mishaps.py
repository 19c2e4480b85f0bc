"""mishaps.jsonl: what went wrong while a sweep ran, one line each; nothing follows from it.

Whoever drives writes a line when a worker or machine is lost, and when an error is raised that is
none of alsweep's own. How often either happened is counted from here; what a run makes is the same
with and without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import AwareDatetime, ValidationError

from alsweep.config.base import STORED, Frozen
from alsweep.errors import DiskFullError, StoreAwayError
from alsweep.files import append_lines, canonical_json, whole_lines
from alsweep.layout import mishaps_path

if TYPE_CHECKING:
    from pathlib import Path


class Mishap(Frozen):
    """One of them.

    Attributes:
        kind: ``lost``: a worker, its machine or the store; ``error``: raised by the work itself.
        name: Id of the trajectory, or the key of what was made for several.
        loop: In which it happened, where that is known.
        phase: Of the loop, where that is known.
        what: For people.
        time: When.
    """

    schema_version: Literal[1] = 1
    kind: Literal["lost", "error"]
    name: str
    loop: int | None = None
    phase: str | None = None
    what: str
    time: AwareDatetime


@dataclass(frozen=True)
class Counts:
    """How often something went wrong.

    Attributes:
        lost: Workers and machines.
        errors: Raised by the work itself.
    """

    lost: int = 0
    errors: int = 0

    @classmethod
    def of(cls, mishaps: Iterable[Mishap]) -> Counts:
        """Count them."""
        kinds = [one.kind for one in mishaps]
        return cls(kinds.count("lost"), kinds.count("error"))

    def __str__(self) -> str:
        lost = "worker or machine" if self.lost == 1 else "workers or machines"
        errors = "error" if self.errors == 1 else "errors"
        return f"{self.lost} {lost} lost, {self.errors} {errors} raised"


def counts_by_name(mishaps: Iterable[Mishap]) -> Mapping[str, Counts]:
    """What went wrong with each trajectory, and with what was made for several."""
    names: dict[str, list[Mishap]] = {}
    for one in mishaps:
        names.setdefault(one.name, []).append(one)
    return {name: Counts.of(mine) for name, mine in names.items()}


def note_mishap(run: Path, mishap: Mishap) -> None:
    """Append to a run's log; a full disk and a store that is away take not even that."""
    with suppress(DiskFullError, StoreAwayError):
        append_lines(mishaps_path(run), [canonical_json(mishap.plain()).encode()])


def read_mishaps(run: Path) -> tuple[Mishap, ...]:
    """Return the log of a run, in order, without lines that nobody can read."""
    found = []
    for line in whole_lines(mishaps_path(run)):
        with suppress(ValidationError):
            found.append(Mishap.model_validate_json(line, context=STORED))
    return tuple(found)
