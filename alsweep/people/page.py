"""The page on which people label patches: one file, opened from the disk, that sends nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from alsweep import __version__
from alsweep.files import canonical_json, write_bytes
from alsweep.label_codes import IGNORE
from alsweep.people.carried import Carried

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from alsweep.people.page_task import PageTask

PAGE = "annotate.html"

_SCRIPTS = (
    *("decode.js", "nifti.js", "zip.js", "space.js", "clock.js", "store.js", "painting.js"),
    *("grey.js", "state.js", "panes.js", "drawing.js", "strokes.js", "hands.js"),
    *("downloads.js", "actions.js", "panel.js", "main.js"),
)
"""In the order in which the page runs them."""

_BACKGROUND = "#9fb4c9"
_COLOURS = (
    *("#ff5d5d", "#2fd07f", "#3fa7ff", "#ffb02e", "#c77dff", "#00d5d5", "#ff7ac0", "#b5e31b"),
    *("#a9744f", "#7d8cff", "#f2e85c", "#0f9d76", "#d94f9b", "#8fd3ff", "#e07b39", "#96a86b"),
)
"""Bright on grey images; the first eight differ for most colour-blind eyes, too."""


def write_page(
    folder: Path, tasks: Sequence[PageTask], classes: Mapping[int, str], title: str
) -> Path:
    """Write ``folder/annotate.html``, on which the tasks are labelled.

    Progress is kept in the browser by patch, so a page that is written again goes on where it was,
    whatever other patches it has.

    Args:
        folder: Made where it is not there.
        tasks: In the order in which they are shown; at least one, ids unique.
        classes: Name by code; 0 is the background and is there whether it is named or not.
        title: Shown on top.

    Raises:
        ValueError: There is no task, an id is used twice, or a code is no class's.
    """
    known = {0: "background", **classes}
    _check(tasks, known)
    carried = [Carried(task, f"block-{n}") for n, task in enumerate(tasks)]
    described = [one.description() for one in carried]
    blocks = {name: text for one in carried for name, text in one.blocks.items()}
    content = {
        "key": hashlib.sha256(canonical_json([described, blocks]).encode()).hexdigest()[:16],
        "name": folder.name,
        "classes": [_class(code, name, rank) for rank, (code, name) in _ranked(known)],
        "tasks": described,
    }
    path = folder / PAGE
    write_bytes(path, _rendered(content, blocks, title).encode())
    return path


def _ranked(classes: Mapping[int, str]) -> Iterator[tuple[int, tuple[int, str]]]:
    return enumerate(sorted(classes.items()))


def _class(code: int, name: str, rank: int) -> dict[str, Any]:
    colour = _COLOURS[(rank - 1) % len(_COLOURS)] if rank else _BACKGROUND
    return {"code": code, "name": name, "colour": colour}


def _check(tasks: Sequence[PageTask], classes: Mapping[int, str]) -> None:
    ids = [task.id for task in tasks]
    if not ids or len(set(ids)) < len(ids):
        raise ValueError(f"at least one task is expected, each with an id of its own, got {ids}")
    if not all(0 <= code < IGNORE for code in classes):
        raise ValueError(f"codes of classes are from 0 to 254, got {sorted(classes)}")
    for task in tasks:
        maps = [one for one in (task.label, task.prediction) if one is not None]
        if alien := {int(code) for one in maps for code in np.unique(one)} - {*classes, IGNORE}:
            raise ValueError(f"patch '{task.id}': codes {sorted(alien)} are no class's")


def _rendered(content: dict[str, Any], blocks: Mapping[str, str], title: str) -> str:
    environment = Environment(
        loader=PackageLoader("alsweep.people"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["embedded"] = _embeddable
    texts = resources.files("alsweep.people") / "templates"
    script = "\n".join((texts / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("annotate.html").render(
        generator=f"alsweep annotate {__version__}",
        title=title,
        style=(texts / "annotate.css").read_text(encoding="utf-8"),
        script=script,
        script_hash=digest,
        page=content,
        blocks=[(name, Markup(text)) for name, text in blocks.items()],
    )


def _embeddable(value: object) -> Markup:
    """JSON that may stand inside a script element: no text in it can end the element."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    return Markup(text.replace("<", "\\u003c"))
