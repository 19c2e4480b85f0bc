"""What strategies and stages there are, as Markdown; the documentation holds this text."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from alsweep.query.base import adapted, registered_in, strategies
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
            ", ".join(f"`{need}`" for need in entry["needs"] or ()),
            cost_of(entry),
            entry["source"],
            adapted(entry["name"]),
        )
        for entry in strategies()
        if entry["name"] in own
    ]
    head = ("name", "what it does", "parameters", "also", "oracle", "needs", "cost", "source")
    return _table((*head, "adapted"), rows)


_COSTS = {
    "members": "all members of a case in memory",
    "embedding": "the features of all members of each candidate in memory",
    "gradient": "the first member goes over the pool once more",
    "soft_gradient": "the first member goes over the pool once more",
    "annotated_labels": "labels of the annotated patches",
    "images": "each image is read; no network",
    "pretrained": "a pretrained encoder sees the pool",
}


def cost_of(entry: Mapping[str, Any]) -> str:
    """What a query costs, by what is needed for it, in words."""
    needs = entry["needs"] or ()
    if not needs:
        return "reads labels; no network" if entry["uses_oracle"] else "none"
    first = ["each member predicts the pool"] if "probs" in needs else []
    return "; ".join([*first, *(text for need, text in _COSTS.items() if need in needs)])


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
