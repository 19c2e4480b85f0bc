"""The base of all configuration: frozen, closed to unknown keys, identified by its content.

What alsweep wrote means the same for ever, also where a later version has more fields, other
defaults or other presets: see :func:`added` and :data:`STORED`.
"""

import hashlib
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from alsweep.files import canonical_json
from alsweep.storage.place import spelled

STORED = {"stored": True}
"""Pydantic's context for what alsweep wrote itself; without it, a user wrote it."""

Place = Annotated[Path, PlainSerializer(spelled, return_type=str, when_used="json")]
"""A folder, or a place in an object store, which files spell as its URL."""

Name = Annotated[str, Field(pattern=r"^[^./\\\x00][^/\\\x00]*$")]
"""Of a file or folder in a run: as a part of a path it leads nowhere else."""

_NEUTRAL = "neutral"


def added(default: Any, *, neutral: Any, **constraints: Any) -> Any:
    """A field that came after schema 1.

    Identities and member keys leave it out at its neutral value, at which everything is as it was
    before there was the field; and a file that alsweep wrote before then means that value.

    Args:
        default: What a new file means that leaves it out; it may change from version to version.
        neutral: Never changes; a section is meant with what came later in it neutral too.
        constraints: As for pydantic's ``Field``.
    """
    if isinstance(neutral, Frozen):
        neutral = neutral.model_validate(neutral.model_dump(exclude_unset=True), context=STORED)
    return Field(default, json_schema_extra={_NEUTRAL: to_jsonable_python(neutral)}, **constraints)


def is_stored(info: ValidationInfo) -> bool:
    """Whether alsweep wrote what is being validated."""
    return info.context == STORED


class Frozen(BaseModel):
    """A validated value that never changes; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _complete_what_was_stored(cls, value: Any, info: ValidationInfo) -> Any:
        """A stored file lacks the fields that came after it: they are neutral."""
        if not is_stored(info) or not isinstance(value, dict):
            return value
        if cls.model_fields.keys() <= value.keys():
            return value
        missing = {n: _when_missing(f) for n, f in cls.model_fields.items() if n not in value}
        return value | {name: meant for name, meant in missing.items() if meant is not _DEFAULT}

    def plain(self) -> dict[str, Any]:
        """All fields, defaults written out, as JSON values."""
        return self.model_dump(mode="json")

    def identity(self) -> Any:
        """All fields as JSON values, but for those that are :func:`added` and neutral."""
        return self.identity_in(self.plain())

    def identity_in(self, plain: Any) -> Any:
        """The same, given what :meth:`plain` is, which whoever holds a section knows of it."""
        known = type(self).model_fields
        return {
            name: value.identity_in(plain[name]) if isinstance(value, Frozen) else plain[name]
            for name, value in self
            if _neutral(known[name]) != plain[name]
        }


_DEFAULT = object()
"""Neither neutral nor a section: no JSON value equals it."""


def _neutral(field: FieldInfo) -> Any:
    extra = field.json_schema_extra
    return extra.get(_NEUTRAL, _DEFAULT) if isinstance(extra, dict) else _DEFAULT


def _when_missing(field: FieldInfo) -> Any:
    """What a stored file means that lacks a field: a section is completed field by field."""
    neutral = _neutral(field)
    if neutral is not _DEFAULT or field.is_required():
        return neutral
    default = field.get_default(call_default_factory=True, validated_data={})
    if not isinstance(default, Frozen):
        return _DEFAULT
    return default.model_dump(mode="json", exclude_unset=True)


def fingerprint(value: object) -> str:
    """SHA-256 of the canonical JSON of ``value``, as hex digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
