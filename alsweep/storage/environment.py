"""What the environment says of object stores: who we are, and how this node shall treat them."""

import os
from collections.abc import Mapping


def variable(name: str) -> str:
    """Its value; empty where it is not set."""
    return os.environ.get(name, "")


def variables_of(beginnings: tuple[str, ...]) -> dict[str, str]:
    """All whose names begin so."""
    return {name: value for name, value in os.environ.items() if name.startswith(beginnings)}


def set_unless_set(values: Mapping[str, str]) -> None:
    """Set variables of this process, but for those that say something already."""
    for name, value in values.items():
        os.environ.setdefault(name, value)
