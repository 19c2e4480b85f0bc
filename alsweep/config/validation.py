"""One line from pydantic's complaints: the key path, what is wrong and the nearest key."""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from alsweep.config.base import STORED
from alsweep.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)

_MOST_ERRORS = 5
_RANGE = re.compile(r"([0-9]{1,9}) *(?:\.{2,3}|-|:) *([0-9]{1,9})")
_LONGEST_RANGE = 20


def validated(
    model: type[Model],
    raw: Any,
    places: Mapping[str, str],
    elsewhere: str = "",
    *,
    stored: bool = False,
) -> Model:
    """Validate ``raw``.

    Args:
        model: The pydantic class.
        raw: Plain values.
        places: For a dotted key of ``raw``, where the user wrote it (for messages).
        elsewhere: What stands before the keys that ``places`` does not know.
        stored: Whether alsweep wrote it, so that what is missing is neutral.

    Raises:
        ConfigError: One line that names each faulty key path, what is wrong and the nearest key.
    """
    for dotted, value in () if stored else _booleans(model, raw):
        raise ConfigError(f"{_place(dotted, places, elsewhere)}: expected a number, got {value!r}")
    try:
        return model.model_validate(raw, context=STORED if stored else None)
    except ValidationError as error:
        details = error.errors(include_url=False)
        words = {
            _location(d): d["ctx"]["expected"] for d in details if d["type"] == "literal_error"
        }
        by_place = {
            _location(d): _describe(model, d, places, elsewhere, words.get(_location(d)))
            for d in reversed(details)
        }
        lines = [line for place, line in reversed(by_place.items()) if not _deeper(place, by_place)]
        shown = "; ".join(lines[:_MOST_ERRORS])
        if stored and any(detail["type"] == "extra_forbidden" for detail in details):
            # That a newer alsweep wrote it is likelier than that somebody changed it.
            shown += "; if a newer alsweep wrote the file, upgrade this one"
        more = f"; and {len(lines) - _MOST_ERRORS} more" if len(lines) > _MOST_ERRORS else ""
        raise ConfigError(shown + more) from None


def _booleans(model: type[BaseModel], raw: Any, above: str = "") -> Iterator[tuple[str, bool]]:
    """Dotted keys and booleans where numbers belong, for which Python and pydantic take them."""
    for key, value in raw.items() if isinstance(raw, dict) else ():
        field = model.model_fields.get(key) if isinstance(key, str) else None
        if field is None:
            continue
        kinds = {*_kinds(field.annotation)}
        several = isinstance(value, list | tuple)
        listed = {f"{key}.{i}": one for i, one in enumerate(value)} if several else {key: value}
        if {int, float} & kinds and not {bool, Any, dict} & kinds:
            yield from ((above + k, one) for k, one in listed.items() if isinstance(one, bool))
        for inner in kinds:
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                for place, one in listed.items():
                    yield from _booleans(inner, one, f"{above}{place}.")


def _kinds(annotation: Any) -> Iterator[Any]:
    """All that an annotation is made of, such as ``tuple`` and ``int`` of ``tuple[int, ...]``."""
    yield get_origin(annotation) or annotation
    for inner in get_args(annotation):
        yield from _kinds(inner)


def _location(detail: ErrorDetails) -> tuple[str, ...]:
    """Key path without pydantic's tags for the members of a union, such as ``literal['whole']``."""
    parts = map(str, detail["loc"])
    return tuple(
        p for p in parts if "[" not in p and p != "int" and not p.startswith("constrained")
    )


def _deeper(place: tuple[str, ...], places: Iterable[tuple[str, ...]]) -> bool:
    """Whether another error says more exactly what is wrong inside ``place``."""
    return any(len(other) > len(place) and other[: len(place)] == place for other in places)


def _describe(
    model: type[BaseModel],
    detail: ErrorDetails,
    places: Mapping[str, str],
    elsewhere: str,
    words: str | None,
) -> str:
    """One complaint; ``words`` is what may stand there in place of a list."""
    keys = list(_location(detail))
    place = _place(".".join(keys), places, elsewhere)
    if detail["type"] == "extra_forbidden":
        place = _place_above(".".join(keys), places) or place
        known = _keys_at(model, keys[:-1])
        near = get_close_matches(keys[-1], known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(known)}"
        return f"{place}: unknown key; {hint}"
    if detail["type"] == "missing" and isinstance(detail["loc"][-1], int):
        above = _place(".".join(keys[:-1]), places, elsewhere)
        return f"{above}: the list is too short, got {detail['input']!r}"
    if detail["type"] == "missing":
        return f"{place}: is required"
    message = _message(detail)
    if words is not None and message.startswith("expected a list"):
        message = f"{message}, or {words}"
    value = detail["input"]
    got = f", got {value!r}" if isinstance(value, (str, int, float, bool, list)) else ""
    return f"{f'{place}: ' if place else ''}{message[:1].lower()}{message[1:]}{got}"


def _message(detail: ErrorDetails) -> str:
    """What is wrong, in the words of YAML and not of Python."""
    kind, value = detail["type"], detail["input"]
    if kind == "tuple_type":
        # One form of several, such as 'whole' or [8, 8, 8], has no example in what came.
        one_form = len(_location(detail)) < len(detail["loc"])
        return "expected a list" if one_form else f"write a list, e.g. [{_example(value)}]"
    if kind == "too_short":
        return "the list is empty; write at least one value"
    if kind == "too_long":
        return f"expected a list of {detail['ctx']['max_length']} values"
    if kind in ("path_type", "string_type"):
        text = "a path" if kind == "path_type" else "text"
        # 1e3, 007, true, null and 2026-01-31 mean something else in YAML.
        return (
            f"expected {text}" if isinstance(value, (dict, list)) else f"expected {text}, in quotes"
        )
    message = detail["msg"].removeprefix("Value error, ").replace("valid dictionary", "mapping")
    return message.split(" or instance of ")[0]


def _example(value: object) -> str:
    """What a list of ``value`` holds; ``0..3`` is no range in YAML, and is written out."""
    numbers = _RANGE.fullmatch(value) if isinstance(value, str) else None
    if numbers is None:
        return str(value) if isinstance(value, (str, int, float)) else "..."
    first, last = sorted(map(int, numbers.groups()))
    return ", ".join(map(str, range(first, min(last, first + _LONGEST_RANGE) + 1)))


def _place(dotted: str, places: Mapping[str, str], elsewhere: str) -> str:
    for key, place in places.items():
        if dotted == key or dotted.startswith(f"{key}."):
            return place + dotted[len(key) :]
    return elsewhere + dotted


def _place_above(dotted: str, places: Mapping[str, str]) -> str | None:
    """Where a key stands of which only a part was written, as ``trainin`` in ``trainin.epochs``."""
    below = (
        place[: len(dotted) - len(k)] for k, place in places.items() if k.startswith(f"{dotted}.")
    )
    return next(below, None)


def _keys_at(model: type[BaseModel], keys: list[str]) -> list[str]:
    """Field names of the model that the key path leads to."""
    for key in keys:
        field = model.model_fields.get(key)
        if field is None:
            return []
        inner = [
            option
            for option in (field.annotation, *get_args(field.annotation))
            if isinstance(option, type) and issubclass(option, BaseModel)
        ]
        if not inner:
            return []
        model = inner[0]
    return list(model.model_fields)
