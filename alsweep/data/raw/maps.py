"""Maps of names and numbers in ``dataset.json`` that are written in another format's way.

nnU-Net v2 maps the name of a class to its number, the Decathlon and nnU-Net v1 a number to the
name, and all three a number to the name of a channel. Where it is plain what was meant, the error
says what to write.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from alsweep.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MOST_DIGITS = 6
_LONGEST_SHOWN = 300

Map = dict[str, Any]


def check_names_by_number(raw: Mapping[str, Any], key: str, place: str) -> None:
    """Check that a map of ``dataset.json`` does not give numbers to names.

    Raises:
        IngestError: It does, or writes the numbers otherwise than ``"0"``.
    """
    _check(raw, key, place, "give a name to each number", _by_number)


def check_numbers_by_name(raw: Mapping[str, Any], key: str, place: str) -> None:
    """Check that a map of ``dataset.json`` does not give names to numbers.

    Raises:
        IngestError: It does, or is a list of names.
    """
    _check(raw, key, place, "give a number to each name", _by_name)


def _check(
    raw: Mapping[str, Any], key: str, place: str, task: str, meant_by: Callable[[Any], Map | None]
) -> None:
    value = raw.get(key)
    meant = meant_by(value)
    # The first of two equal keys would be lost.
    if meant is not None and len(meant) == len(raw[key]):
        raise IngestError(f"{place}: '{key}': must {task}; write {_shown(meant)}")


def _by_number(value: Any) -> Map | None:
    """What was meant to be ``{"0": name}``; None where that is right or not plain."""
    if isinstance(value, list):
        return {str(n): name for n, name in enumerate(value)} if _texts(value) else None
    if not isinstance(value, dict) or not value:
        return None
    keys, values = [_number(key) for key in value], [_number(v) for v in value.values()]
    if None not in keys:
        plain = {str(key): name for key, name in zip(keys, value.values(), strict=True)}
        return plain if _texts(value.values()) and list(plain) != list(value) else None
    if None not in values:
        return {str(n): name for name, n in zip(value, values, strict=True)}
    # Of several names without a number the order would be a guess.
    (name, *others) = value.values()
    return {"0": name} if not others and isinstance(name, str) else None


def _by_name(value: Any) -> Map | None:
    """What was meant to be ``{name: 0}``; None where that is right or not plain."""
    if isinstance(value, list):
        return {name: n for n, name in enumerate(value)} if _texts(value) else None
    if not isinstance(value, dict) or not value or not _texts(value.values()):
        return None
    keys = [_number(key) for key in value]
    if None in keys or None not in [_number(name) for name in value.values()]:
        return None
    return {name: n for n, name in zip(keys, value.values(), strict=True)}


def _texts(values: Any) -> bool:
    return bool(values) and all(isinstance(value, str) for value in values)


def _number(value: object) -> int | None:
    """The number that a key or a value is, however it is written."""
    if isinstance(value, bool) or (isinstance(value, str) and len(value) > _MOST_DIGITS):
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return value if isinstance(value, int) else None


def _shown(value: Map) -> str:
    text = json.dumps(value, ensure_ascii=False)
    if not text.isprintable():
        text = json.dumps(value)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."
