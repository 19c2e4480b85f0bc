"""mishaps/: what went wrong while a sweep ran, one line each; no result follows from it.

Whoever drives, and each worker without a driver, writes a line when a worker or machine is lost,
and when an error is raised that is none of alsweep's own. Each has a file of its own: many may be
at a run, and in an object store nobody can append to what others write. How often either happened
is counted from all of them; what a run makes is the same with and without them.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from pydantic import AwareDatetime, ValidationError

from alsweep.config.base import STORED, Frozen
from alsweep.errors import DiskFullError, StoreAwayError
from alsweep.files import canonical_json, whole_lines, write_bytes
from alsweep.layout import mishaps_folder, mishaps_path, old_mishaps_path

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


def _new_writer() -> str:
    """A name that nobody else has; by name, files are in the order in which they were begun."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"


@dataclass
class Notebook:
    """What one process notes down of a run: all of it is written again with each mishap.

    So what a full disk or a store that is away did not take is not lost: the next one brings it.

    Attributes:
        writer: Names the file.
    """

    writer: str = field(default_factory=_new_writer)
    _lines: list[bytes] = field(default_factory=list, init=False)

    def note(self, run: Path, mishap: Mishap) -> None:
        """Note it down, on the disk too if that goes."""
        self._lines.append(canonical_json(mishap.plain()).encode() + b"\n")
        with suppress(DiskFullError, StoreAwayError):
            write_bytes(mishaps_path(run, self.writer), b"".join(self._lines))


def mishap_files(run: Path) -> list[Path]:
    """The files in which mishaps of a run stand."""
    paths = [old_mishaps_path(run), *sorted(mishaps_folder(run).glob("[!.]*.jsonl"))]
    return [path for path in paths if path.is_file()]


def read_mishaps(run: Path) -> tuple[Mishap, ...]:
    """What all have noted down of a run, by time, without lines that nobody can read."""
    found = (mishap for path in mishap_files(run) for mishap in _read(path))
    return tuple(sorted(found, key=lambda one: one.time))


def _read(path: Path) -> Iterator[Mishap]:
    for line in whole_lines(path):
        with suppress(ValidationError):
            yield Mishap.model_validate_json(line, context=STORED)
