"""YAML to configuration; errors name the file, the key path and the nearest key."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from alsweep.config.sweep import SweepConfig
from alsweep.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)

_MOST_ERRORS = 5


def load_sweep(path: Path, overrides: Iterable[str] = ()) -> SweepConfig:
    """Read and validate a search space, its ``PATH=VALUE`` overrides and its trajectories.

    Raises:
        ConfigError: The file cannot be read, is no YAML mapping, or breaks the schema.
    """
    raw = _read_mapping(path)
    for override in overrides:
        apply_override(raw, override)
    try:
        sweep = validated(SweepConfig, raw, {})
        sweep.trajectories()
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return sweep


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; name a search space (YAML)") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as text ({error})") from None
    try:
        raw = YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        line = "" if mark is None else f", line {mark.line + 1}"
        raise ConfigError(f"{path}{line}: not valid YAML: {error.problem}") from None
    except YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected a mapping with name, dataset, base, got {_kind(raw)}")
    return raw


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def apply_override(raw: dict[str, Any], override: str) -> None:
    """Set one key of the raw YAML from ``PATH=VALUE``; the value is parsed as YAML.

    Raises:
        ConfigError: There is no ``=``, the value is no YAML, or the path runs through a scalar.
    """
    dotted, equals, text = override.partition("=")
    if not equals or not dotted:
        raise ConfigError(f"--set {override}: write PATH=VALUE, e.g. base.training.epochs=2")
    try:
        value = YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        raise ConfigError(f"--set {override}: the value is not valid YAML; quote it") from None
    *parents, last = _override_keys(raw, dotted)
    target = raw
    for parent in parents:
        inner = target.get(parent)
        if inner is None:
            inner = target[parent] = {}
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {override}: '{parent}' is not a mapping")
        target = inner
    target[last] = value


def _override_keys(raw: Mapping[str, Any], dotted: str) -> list[str]:
    """Split a path at its dots; below ``grid`` the rest is one key, being dotted itself."""
    first, _, rest = dotted.partition(".")
    return [first, rest] if first == "grid" and rest else dotted.split(".")


def validated(model: type[Model], raw: Any, places: Mapping[str, str]) -> Model:
    """Validate ``raw``.

    Args:
        model: The pydantic class.
        raw: Plain values.
        places: For a dotted key of ``raw``, where the user wrote it (for messages).

    Raises:
        ConfigError: One line that names each faulty key path, what is wrong and the nearest key.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        details = error.errors(include_url=False)
        by_place = {_location(d): _describe(model, d, places) for d in reversed(details)}
        lines = [line for place, line in reversed(by_place.items()) if not _deeper(place, by_place)]
        shown = "; ".join(lines[:_MOST_ERRORS])
        more = f"; and {len(lines) - _MOST_ERRORS} more" if len(lines) > _MOST_ERRORS else ""
        raise ConfigError(shown + more) from None


def _location(detail: ErrorDetails) -> tuple[str, ...]:
    """Key path without pydantic's tags for the members of a union, such as ``literal['whole']``."""
    parts = map(str, detail["loc"])
    return tuple(
        p for p in parts if "[" not in p and p != "int" and not p.startswith("constrained")
    )


def _deeper(place: tuple[str, ...], places: Iterable[tuple[str, ...]]) -> bool:
    """Whether another error says more exactly what is wrong inside ``place``."""
    return any(len(other) > len(place) and other[: len(place)] == place for other in places)


def _describe(model: type[BaseModel], detail: ErrorDetails, places: Mapping[str, str]) -> str:
    keys = list(_location(detail))
    place = _place(".".join(keys), model, places)
    if detail["type"] == "extra_forbidden":
        known = _keys_at(model, keys[:-1])
        near = get_close_matches(keys[-1], known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(known)}"
        return f"{place}: unknown key; {hint}"
    if detail["type"] == "missing":
        return f"{place}: is required"
    message = detail["msg"].removeprefix("Value error, ").replace("valid dictionary", "mapping")
    message = message.split(" or instance of ")[0]
    value = detail["input"]
    got = f", got {value!r}" if isinstance(value, (str, int, float, bool, list)) else ""
    return f"{place}: {message[:1].lower()}{message[1:]}{got}"


def _place(dotted: str, model: type[BaseModel], places: Mapping[str, str]) -> str:
    for key, place in places.items():
        if dotted == key or dotted.startswith(f"{key}."):
            return place + dotted[len(key) :]
    top_level = model is SweepConfig or dotted.split(".")[0] in ("dataset", "seed")
    return dotted if top_level else f"base.{dotted}"


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
