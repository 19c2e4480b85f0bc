"""What an ingest has finished, kept beside its cases, so that a killed one can be gone on with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import ValidationError

from alsweep.config.base import Frozen, fingerprint
from alsweep.files import read_json, write_json

Value = TypeVar("Value", bound=Frozen)

FOLDER = "notes"


@dataclass(frozen=True)
class Notes:
    """Results of single cases, each under the hash of all that it follows from.

    Attributes:
        root: The folder in which the Dataset is being made.
    """

    root: Path

    def known(
        self, kind: Literal["facts", "case"], case: str, key: object, model: type[Value]
    ) -> Value | None:
        """The result of an earlier attempt, if it followed from the same ``key``."""
        try:
            note = read_json(self._path(kind, case))
            return model.model_validate(note["value"]) if note["key"] == fingerprint(key) else None
        except (OSError, ValueError, KeyError, TypeError, RecursionError, ValidationError):
            # Torn or foreign: as good as none.
            return None

    def keep(self, kind: Literal["facts", "case"], case: str, key: object, value: Frozen) -> None:
        """Note a result durably."""
        write_json(self._path(kind, case), {"key": fingerprint(key), "value": value.plain()})

    def _path(self, kind: str, case: str) -> Path:
        return self.root / FOLDER / kind / f"{case}.json"
