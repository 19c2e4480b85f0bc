"""What strategies and stages there are, as Markdown; the documentation holds this text."""

from collections.abc import Iterable, Sequence
from typing import Any

from alsweep.query.base import registered_in, strategies
from alsweep.query.parameters import described, doc_parts
from alsweep.query.stages import KINDS


def markdown() -> str:
    """Tables of all strategies, then of the stages of each kind."""
    parts = ["### Strategies", _strategy_table()]
    for kind in KINDS:
        parts += [f"### Stages: `{kind}`", _stage_table(kind)]
    return "\n\n".join(parts) + "\n"


def _strategy_table() -> str:
    # Only what comes with alsweep: the text must not depend on what else is installed.
    own = registered_in("alsweep.query.presets")
    rows = [
        (
            f"`{entry['name']}`",
            entry["summary"],
            _parameters(entry["parameters"]),
            ", ".join(f"`{alias}`" for alias in entry["aliases"]),
            "yes" if entry["uses_oracle"] else "",
            entry["source"],
        )
        for entry in strategies()
        if entry["name"] in own
    ]
    return _table(("name", "what it does", "parameters", "also", "oracle", "source"), rows)


def _stage_table(kind: str) -> str:
    registry = KINDS[kind]
    rows = []
    for name in registry:
        cls = registry.get(name)
        if cls.__module__.startswith("alsweep."):
            summary, source = doc_parts(cls)
            rows.append((f"`{name}`", summary, _parameters(described(cls)), source))
    return _table(("name", "what it does", "parameters", "source"), rows)


def _parameters(declared: Iterable[dict[str, Any]]) -> str:
    return "<br>".join(_parameter(entry) for entry in declared)


def _parameter(entry: dict[str, Any]) -> str:
    default = "" if entry["default"] is None else f" = {entry['default']}"
    return f"`{entry['name']}{default}` ({legal_values(entry)}): {entry['help']}"


def legal_values(entry: dict[str, Any]) -> str:
    """Type and range of one described parameter, for people."""
    if entry["choices"] is not None:
        return " or ".join(map(str, entry["choices"]))
    if entry["low"] is None and entry["high"] is None:
        return str(entry["type"])
    scale = ", log" if entry["log"] else ""
    return f"{entry['type']} in [{entry['low']}, {entry['high']}]{scale}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines
    )
