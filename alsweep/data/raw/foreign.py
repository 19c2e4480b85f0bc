"""JSON and paths that others wrote: read with bounds, believed only after a check."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from alsweep.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Model = TypeVar("Model", bound=BaseModel)

_MOST_JSON_BYTES = 1 << 26
_TYPES = ("int", "list[int]")
_EXPECTED = {
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be an object, {...}",
    "model_type": "must be an object, {...}",
    "string_type": "must be a text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
}
"""JSON's words in place of Python's."""

_LONGEST_NAME = 200
"""Bytes; with what is appended to it a name must stay below the 255 of a file system."""


class Foreign(BaseModel):
    """JSON that others write: keys that we do not know are theirs."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def read_foreign(path: Path, missing: str = "name a file that is there") -> Any:
    """The content of a JSON file, in any encoding that JSON may have.

    Args:
        path: The file.
        missing: What to do if there is none.

    Raises:
        IngestError: It is missing, no regular file, too large, or no JSON.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise IngestError(f"{path}: is not a regular file; put the JSON itself there")
        if status.st_size > _MOST_JSON_BYTES:
            raise IngestError(
                f"{path}: has {status.st_size} bytes, more than any description needs; mend it"
            )
        return json.loads(path.read_bytes(), object_pairs_hook=_without_repeats)
    except (FileNotFoundError, NotADirectoryError):
        raise IngestError(f"{path}: is missing; {missing}") from None
    except OSError as error:
        raise IngestError(
            f"{path}: cannot be read ({error.strerror}); mend its permissions"
        ) from None
    except json.JSONDecodeError as error:
        raise IngestError(f"{path}: is not valid JSON: {_told(error)}") from None
    except UnicodeDecodeError as error:
        raise IngestError(
            f"{path}: is not valid JSON: byte {error.start + 1} is no {error.encoding.upper()}; "
            "save it as UTF-8"
        ) from None
    except (ValueError, RecursionError) as error:
        reason = str(error).split(":")[0]
        raise IngestError(f"{path}: is not valid JSON ({reason}); mend it") from None


def _told(error: json.JSONDecodeError) -> str:
    """What is wrong with a text and where; for a comma too many, Python may point behind it."""
    text, found, mend = error.doc, error, "mend it there"
    comma = error.pos if "trailing comma" in error.msg else len(text[: error.pos].rstrip()) - 1
    if text[comma : comma + 1] == "," and text[comma + 1 :].lstrip().startswith(("}", "]")):
        found = json.JSONDecodeError("a comma before the closing bracket", text, comma)
        mend = "remove it"
    return f"{found.msg} in line {found.lineno}, column {found.colno}; {mend}"


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; JSON allows a key twice, and one of the two values would be lost unseen."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"key {twice[:60]!r} occurs twice")
    return found


def parsed(model: type[Model], raw: Any, name: str) -> Model:
    """``raw`` as a model.

    Raises:
        IngestError: It does not fit; names the file ``name`` and the key.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        # A value that may be of two types is named after the type as well.
        keys = [str(key) for key in detail["loc"] if key not in _TYPES]
        place = ".".join(keys)[:_LONGEST_NAME]
        at = f"'{place}': " if place else ""
        if detail["type"] == "missing":
            raise IngestError(f"{name}: {at}is missing; add it") from None
        expected = _EXPECTED.get(detail["type"], detail["msg"].lower())
        raise IngestError(
            f"{name}: {at}{expected}, got {str(detail['input'])[:60]!r}; mend it"
        ) from None
    except RecursionError:
        raise IngestError(f"{name}: is nested too deeply; mend it") from None


def inside(root: Path, path: Path, *, follow_links: bool = False) -> None:
    """Check that a path lies in the raw dataset, links followed, or may lie elsewhere.

    Args:
        root: Of the raw dataset.
        path: Relative to it, or absolute.
        follow_links: Whether it may lie elsewhere.

    Raises:
        IngestError: The path or a link leads out of it, or it cannot be a path.
    """
    try:
        target = (root / path).resolve()
    except (OSError, RuntimeError):
        raise IngestError(
            f"{root / path}: is a link in a circle; put the file itself there"
        ) from None
    except ValueError as error:
        raise IngestError(f"{root}: {str(path)[:60]!r} cannot be a path ({error})") from None
    if not follow_links and not target.is_relative_to(root.resolve()):
        raise IngestError(
            f"{root / path}: leads out of the dataset, to {target}; put the file itself there, or "
            "allow it with --follow-links"
        )


def check_names(names: Sequence[str], place: str) -> None:
    """Check that names can be printed, and be part of a file name or a column.

    Raises:
        IngestError: One cannot.
    """
    for name in names:
        if not name.strip() or not name.isprintable():
            raise IngestError(f"{place}: {name[:60]!r} is not a printable name; rename it")
        if len(name.encode()) > _LONGEST_NAME:
            raise IngestError(
                f"{place}: '{name[:60]}...' is longer than {_LONGEST_NAME} bytes; shorten it"
            )
