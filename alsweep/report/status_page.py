"""A run at a glance, as one page that needs nothing else: what ``alsweep status`` knows."""

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from alsweep import __version__
from alsweep.data.inside import refuse_inside_dataset
from alsweep.errors import RunFolderError
from alsweep.files import write_bytes
from alsweep.results.mishaps import Counts

_MARK = "alsweep status"
_REFRESH = 10
_MOST_DECISIONS = 30
_IN_BAR = ("done", "truncated", "failed", "running", "waiting")

Status = Mapping[str, Any]
"""As ``alsweep status --json`` has it."""


def refuse_foreign_page(file: Path) -> None:
    """Keep what is not a page of this kind from being written over.

    Raises:
        RunFolderError: There is something else.
        DatasetError: It lies in a Dataset.
    """
    refuse_inside_dataset(file)
    if file.is_dir() or (file.exists() and _MARK.encode() not in file.read_bytes()[:2000]):
        raise RunFolderError(f"{file}: holds something else than a status; choose another --html")


def write_status_page(file: Path, status: Status, left: str) -> None:
    """Write the page, or write it anew.

    Args:
        file: Holds nothing else, see :func:`refuse_foreign_page`.
        status: What is shown.
        left: How long it takes, in words.
    """
    write_bytes(file, status_page(status, left).encode())


def status_page(status: Status, left: str) -> str:
    """The page; while there is something to wait for it loads itself anew."""
    environment = Environment(
        loader=PackageLoader("alsweep.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = resources.files("alsweep.report") / "templates" / "status.css"
    every, counts = status["trajectories"], status["counts"]
    waited_for, search = counts["running"] + counts["waiting"], status["search"]
    return environment.get_template("status.html").render(
        generator=f"{_MARK} {__version__}",
        refresh=_REFRESH if waited_for or status["driver"] else None,
        title=f"{counts['done']}/{len(every)} {status['name']}",
        style=style.read_text(encoding="utf-8"),
        left=left,
        loops_done=sum(one["loops_done"] for one in every),
        loops=sum(one["loops"] for one in every),
        shares=_shares(every),
        counts=[(state, counts[state]) for state in _IN_BAR if counts[state]],
        caps=[f"{one['used']:.3g} of {one['bound']:g} {one['name']}" for one in status["caps"]],
        search=None if search is None else _search(search),
        failures=_failures(every),
        mishaps=_went_wrong(status),
        settings=_settings(every),
        decisions=list(reversed(status["decisions"][-_MOST_DECISIONS:])),
        decided=len(status["decisions"]),
        **{name: status[name] for name in ("name", "driver", "starts", "run", "time")},
    )


def _search(search: Status) -> str:
    if search["told"] is None:
        return f"{search['configurations']} configurations to search; {search['error']}"
    return f"{search['told']} of {search['configurations']} configurations told"


def _shares(every: Sequence[Status]) -> list[tuple[str, float]]:
    """Per cent of all loops that are done, by the state of whose they are."""
    total = sum(one["loops"] for one in every) or 1
    done = dict.fromkeys(_IN_BAR, 0)
    for one in every:
        done[one["state"]] += one["loops_done"]
    return [(state, round(100 * loops / total, 2)) for state, loops in done.items() if loops]


def _failures(every: Sequence[Status]) -> list[dict[str, str]]:
    """Each cause once, with whom it struck."""
    struck: dict[str, list[str]] = {}
    for one in every:
        if one["error"] is not None:
            struck.setdefault(" ".join(one["error"].split()), []).append(one["id"])
    more = {error: f" and {len(ids) - 1} more" if ids[1:] else "" for error, ids in struck.items()}
    return [{"who": f"{ids[0]}{more[error]}:", "error": error} for error, ids in struck.items()]


def _settings(every: Sequence[Status]) -> list[dict[str, Any]]:
    by_name: dict[str, list[Status]] = {}
    for one in every:
        by_name.setdefault(one["setting_name"], []).append(one)
    return [_setting(name, ours) for name, ours in by_name.items()]


def _setting(name: str, ours: Sequence[Status]) -> dict[str, Any]:
    seeds = sorted({one["seed"] for one in ours})
    cells = {(one["strategy"], one["seed"]): _cell(one) for one in ours}
    rows = [
        {"strategy": strategy, "cells": [cells.get((strategy, seed)) for seed in seeds]}
        for strategy in dict.fromkeys(one["strategy"] for one in ours)
    ]
    done = sum(one["state"] == "done" for one in ours)
    return {"name": name, "seeds": seeds, "rows": rows, "done": done, "total": len(ours)}


def _cell(one: Status) -> dict[str, Any]:
    dice = one["mean_dice"]
    doing = {"running": f" {one['phase']}", "waiting": "", "done": ""}
    return {
        "state": one["state"],
        "dice": "-" if dice is None else f"{dice:.3f}",
        "loops": f"{one['loops_done']}/{one['loops']}",
        "word": doing.get(one["state"], f" {one['state']}"),
        "share": round(100 * one["loops_done"] / one["loops"], 1),
        "title": _title(one),
    }


def _went_wrong(one: Status) -> str:
    return str(Counts(one["lost"], one["errors"])) if one["lost"] or one["errors"] else ""


def _title(one: Status) -> str:
    """What there is no room for in a cell."""
    left = one["seconds_left"]
    parts = [
        f"{one['id']}: {one['state']}",
        f"{one['phase']} {one['phase_done']}/{one['phase_total']}" if one["phase"] else "",
        f"about {left / 60:.0f} min of work left" if left else "",
        _went_wrong(one),
        " ".join((one["error"] or "").split()),
    ]
    return "; ".join(part for part in parts if part)
