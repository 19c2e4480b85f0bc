"""decisions.jsonl: what was decided while a sweep ran, one line each, in the order of deciding.

From it follow the trajectories that a run has beside those of its sweep.yaml, and which are stopped
before their last loop. A line is there once it ends; what a crash tore off counts as never written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError, model_validator

from alsweep.config.base import STORED, Frozen, Name
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.errors import RecordError
from alsweep.files import append_lines, canonical_json, whole_lines
from alsweep.layout import decisions_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Action = Literal["suggested", "added", "stopped", "overruled"]


class Decision(Frozen):
    """One decision. When it was made is left out: what follows from the log must not depend on it.

    Attributes:
        action: ``suggested``: to be thought about, nothing follows; ``added``: belongs to the run;
            ``stopped``: does no further loops; ``overruled``: goes on after all.
        trajectory: Its id.
        by: Who decided.
        why: For people.
        loop: Finished loops that it was decided on; None where that is not the matter.
        config: Resolved; of what is added, of what is suggested where it is known, and of what is
            stopped before it began, since nothing else in the run says what it would have been.
        against: Of what is stopped: label of the strategy that it was dropped for, if for any.
        setting: Of what is added: name of the setting that it was made for, where settings have
            names.
    """

    schema_version: Literal[1] = 1
    action: Action
    trajectory: Name
    by: str
    why: str
    loop: int | None = None
    config: TrajectoryConfig | None = None
    against: str | None = None
    setting: str | None = None

    @model_validator(mode="after")
    def _added_with_a_config(self) -> Decision:
        if self.action == "added" and self.config is None:
            raise ValueError("what is added needs a config")
        return self


@dataclass(frozen=True)
class Decided:
    """What follows from a log.

    Attributes:
        added: Id to config, in the order in which they were added.
        stops: Id to the decision by which it does no further loops.
        settings: Id to the name of the setting of what was added, where that is known.
    """

    added: Mapping[str, TrajectoryConfig]
    stops: Mapping[str, Decision]
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def stopped(self) -> frozenset[str]:
        """Ids of those that do no further loops."""
        return frozenset(self.stops)


def append_decisions(run: Path, decisions: Iterable[Decision]) -> None:
    """Append to a run's log; when this returns they outlive a crash and a power cut.

    Raises:
        DiskFullError: There is no room; what was decided before is there still.
    """
    append_lines(decisions_path(run), [canonical_json(one.plain()).encode() for one in decisions])


def read_decisions(run: Path) -> tuple[Decision, ...]:
    """Return the log of a run, in order; empty where nothing was decided.

    Raises:
        RecordError: A line is none of alsweep's.
    """
    path = decisions_path(run)
    return tuple(_read(line, f"{path}: line {n}") for n, line in enumerate(whole_lines(path), 1))


def _read(line: bytes, place: str) -> Decision:
    try:
        return Decision.model_validate_json(line, context=STORED)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        what = f"{where}: {first['msg']}" if where else first["msg"]
        raise RecordError(
            f"{place}: {what}; restore the file: what the run has done follows from it"
        ) from None


def read_decided(run: Path) -> Decided:
    """Return what follows from the log of a run.

    Raises:
        RecordError: A line is none of alsweep's.
    """
    return decided(read_decisions(run))


def decided(decisions: Iterable[Decision]) -> Decided:
    """What follows from decisions: the first word on what is added, and the last on what stops."""
    added: dict[str, TrajectoryConfig] = {}
    stops: dict[str, Decision] = {}
    settings: dict[str, str] = {}
    for one in decisions:
        if one.action == "added" and one.config is not None:
            added.setdefault(one.trajectory, one.config)
            if one.setting is not None:
                settings.setdefault(one.trajectory, one.setting)
        elif one.action == "stopped":
            stops[one.trajectory] = one
        elif one.action == "overruled":
            stops.pop(one.trajectory, None)
    return Decided(added, stops, settings)
