"""The base of all configuration: frozen, closed to unknown keys, identified by its content."""

import hashlib
from typing import Any

from pydantic import BaseModel, ConfigDict

from alsweep.files import canonical_json


class Frozen(BaseModel):
    """A validated value that never changes; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def plain(self) -> dict[str, Any]:
        """All fields, defaults written out, as JSON values."""
        return self.model_dump(mode="json")


def fingerprint(value: object) -> str:
    """SHA-256 of the canonical JSON of ``value``, as hex digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
