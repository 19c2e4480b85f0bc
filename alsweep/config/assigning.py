"""Setting dotted keys in nested mappings."""

from collections.abc import Mapping
from typing import Any

from alsweep.errors import ConfigError


def copied(value: Any) -> Any:
    """Return nested mappings anew; what is in them is nobody's to change."""
    return {k: copied(v) for k, v in value.items()} if isinstance(value, dict) else value


def with_rest(values: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a cell; one that is a section keeps what it does not name of that in base."""
    return {key: _merged(key, value, base.get(key)) for key, value in values.items()}


def _merged(key: str, value: Any, rest: Any) -> Any:
    section = key != "strategy" and isinstance(value, dict) and isinstance(rest, dict)
    return {**rest, **value} if section else value


def assign_all(
    target: dict[str, Any], values: Mapping[str, Any], places: Mapping[str, str] | None = None
) -> None:
    """Set dotted keys; whole sections come first, whatever the order in which they were written.

    Args:
        target: Changed in place.
        values: Dotted key to value.
        places: Where each key was written, for the message; its own name where it is not there.

    Raises:
        ConfigError: A key goes through something that is no mapping.
    """
    for key in sorted(values, key=lambda key: key.count(".")):
        _assign(target, key, copied(values[key]), (places or {}).get(key, key))


def _assign(target: dict[str, Any], dotted: str, value: Any, place: str) -> None:
    """Set ``target[a][b] = value`` for the key ``a.b``, making mappings on the way."""
    *parents, last = dotted.split(".")
    for parent in parents:
        inner = target.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{place}: '{parent}' is not a mapping in base; write it as one")
        target = inner
    target[last] = value
