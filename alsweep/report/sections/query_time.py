"""What a query takes for each volume of the pool, beside what is told of others."""

from collections.abc import Iterator
from statistics import mean

from alsweep.report.captions import count
from alsweep.report.section import Block, Caption, Material, Section, Tables
from alsweep.report.study import Study
from alsweep.report.tables import NamedTable, Table
from alsweep.results.loops import LoopRecord

MARK = 0.25
"""Seconds a volume on a GPU, of catheters segmented in 3D ultrasound as it was acquired.

Source: doi:10.1016/j.compmedimag.2022.102037, abstract only.
"""


def _blocks(material: Material) -> Iterator[Block]:
    found = _tables(material.study)
    if not found:
        return
    yield Tables(found)
    yield Caption(
        "Seconds of a query, predicting and choosing, divided by the cases of the pool: mean over "
        "the queries of finished trajectories, with the least and the most. Some cases are not "
        f"predicted, where nothing fits any more. The mark, on a GPU alone, is {MARK} s a volume: "
        "what is told of catheters segmented in 3D ultrasound, in the frustum in which it was "
        "acquired (doi:10.1016/j.compmedimag.2022.102037); its volumes and its machine are others."
    )


def _tables(study: Study) -> tuple[NamedTable, ...]:
    each: dict[str, dict[tuple[str, str], list[float]]] = {}
    for trajectory in study.trajectories:
        if trajectory.status != "done" or trajectory.config is None:
            continue
        label = trajectory.config.strategy.shown
        # The last loop asks for nothing, in however short a time.
        for record in trajectory.records[: trajectory.config.query.loops - 1]:
            if (seconds := record.query_seconds_per_case) is not None:
                rows = each.setdefault(record.setting, {})
                rows.setdefault((label, _device(record)), []).append(seconds)
    names = {look.strategy: look.name for look in study.looks}
    return tuple(
        (study.settings.get(setting, setting), _table(rows, names))
        for setting, rows in each.items()
    )


def _device(record: LoopRecord) -> str:
    return "GPU" if record.device.startswith("cuda") else record.device.upper()


def _table(rows: dict[tuple[str, str], list[float]], names: dict[str, str]) -> Table:
    lines = tuple(
        (names[label], device, *_cells(device, seconds))
        for (label, device), seconds in sorted(rows.items(), key=lambda row: mean(row[1]))
    )
    head = ("Strategy", "Device", "Seconds a volume", "Least to most", "Mark", "Queries")
    return Table(head, lines)


def _cells(device: str, seconds: list[float]) -> tuple[str, ...]:
    middle = mean(seconds)
    beside = "—"
    if device == "GPU":
        beside = "below" if middle < MARK else f"{middle / MARK:.1f} times"
    spread = f"{min(seconds):.3g} to {max(seconds):.3g}"
    return (f"{middle:.3g}", spread, beside, count(len(seconds), "query", "queries"))


SECTION = Section(id="query-time", title="Query time", place=91, blocks=_blocks)
