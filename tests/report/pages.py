"""Reads a report's page: what it says, and the figures that its script draws."""

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest


def visible(page: Path) -> str:
    """The page without scripts, styles and pictures, white space folded."""
    text = re.sub(r"<(script|style).*?</\1>", " ", page.read_text(), flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", text)).split())


def figures(page: Path, section: str) -> list[tuple[str, Any]]:
    """Title and JSON of each figure of a section, with all that it can be switched to."""
    part = re.search(rf'<section id="{section}">(.*?)</section>', page.read_text(), re.S)[1]
    found = re.findall(
        r'<div class="figure">(?:<h3>(.*?)</h3>)?<div class="plot"></div>'
        r'<script type="application/json">(.*?)</script>',
        part,
        re.S,
    )
    return [(unescape(title), json.loads(text)) for title, text in found]


def resolve(value: Any, **state: str) -> Any:
    """A figure as it is while the switches are set so; strategies are shown unless told."""
    if isinstance(value, list):
        return [resolve(one, **state) for one in value]
    if not isinstance(value, dict):
        return value
    if "switch" in value:
        name = value["switch"]
        default = "on" if name.startswith("strategy ") else None
        return resolve(value["of"].get(state.get(name, default), False), **state)
    return {key: resolve(one, **state) for key, one in value.items()}


def curves(page: Path, index: int = 0, **state: str) -> dict[str, Any]:
    """The learning curves of a setting: by name the lines that can be seen."""
    start = {"x": "annotated_patches", "metric": "mean_dice", "seeds": "off"}
    figure = resolve(figures(page, "curves")[index][1], **(start | state))
    return {t["name"]: t for t in figure["data"] if "name" in t and t["visible"]}


def undrawn(patch: pytest.MonkeyPatch) -> None:
    """Leave the files of figures undrawn, which takes as long as all the rest of a report."""
    patch.setattr("alsweep.report.pictured.still", lambda panels: None)
    patch.setattr("alsweep.report.pictured.rendered", lambda picture, kind: b"not drawn")
