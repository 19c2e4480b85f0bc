"""Which classes the queries are made of."""

from collections.abc import Iterator, Sequence

import pandas as pd

from alsweep.errors import DatasetError
from alsweep.geometry import by_case
from alsweep.layout import query_path
from alsweep.report.figures import axis, layout, legend_above, plain, short
from alsweep.report.section import Block, Caption, Figure, Figures, Material, Section, Tables
from alsweep.report.sections.patches import exemplars
from alsweep.report.study import PALETTE
from alsweep.report.tables import Table, percent
from alsweep.report.volumes import Volumes
from alsweep.results.mix import ClassMix, class_mix
from alsweep.results.records import TrajectoryFolder, read_query

_START = "starting budget"
_AT_ONCE = 10**8
"""Voxels of labels that are looked at; more would take a minute or so."""


def _blocks(material: Material) -> Iterator[Block]:
    rows = material.kept(_mixes)
    yield Figures((("", _bars(rows)),))
    yield Caption(
        "Share of each foreground class among the voxels of the patches, in the reference labels: "
        "of the starting budget, and of all later queries of one trajectory a strategy. What a "
        "strategy asks for is what its networks are taught; a rare class that is never asked for "
        "is never learnt."
    )
    yield Tables((("", _table(rows)),), folded=True)


def _mixes(material: Material) -> pd.DataFrame:
    """A row a class of the starting budget and of each strategy's queries; empty: not to be had."""
    found: dict[str, tuple[Sequence[str], ClassMix]] = {}
    looked = 0
    for look, trajectory in exemplars(material.study):
        volumes = material.datasets[trajectory.id].volumes
        looked += max((one.annotated_voxels for one in trajectory.records), default=0)
        if volumes is None or looked > _AT_ONCE:
            continue
        try:
            found.setdefault(_START, (volumes.classes, _mix(volumes, trajectory, [0])))
            later = range(1, len(trajectory.records))
            found[look.name] = (volumes.classes, _mix(volumes, trajectory, later))
        except DatasetError:  # a pool of which nobody has labels
            continue
    return pd.DataFrame(
        [
            {"of": name, "class": classes[label], "share": mix.shares[label]}
            | {"voxels": mix.voxels[label], "patches": mix.patches[label]}
            for name, (classes, mix) in found.items()
            for label in range(1, len(classes))
        ]
    )


def _mix(volumes: Volumes, trajectory: TrajectoryFolder, loops: Sequence[int]) -> ClassMix:
    queries = [read_query(query_path(trajectory.folder, loop)) for loop in loops]
    patches = by_case(one.patch for query in queries for one in query)
    crops = (
        labels[patch.slices]
        for case, own in patches.items()
        for labels in [volumes.reference(case)]
        for patch in own
    )
    return class_mix(crops, len(volumes.classes))


def _bars(rows: pd.DataFrame) -> Figure:
    """Stacked, a bar for whom the patches are of."""
    names = list(dict.fromkeys(rows["of"]))
    data = [
        {
            "type": "bar",
            "name": short(str(name)),
            "x": [plain(one) for one in own["of"]],
            "y": (100 * own["share"]).round(4).tolist(),
            "marker": {"color": PALETTE[place % len(PALETTE)]},
            "hovertemplate": f"{plain(str(name))}: %{{y:.2f}} % of voxels<extra>%{{x}}</extra>",
        }
        for place, (name, own) in enumerate(rows.groupby("class", sort=False))
    ]
    ticks = {"tickvals": [plain(n) for n in names], "ticktext": [short(n) for n in names]}
    across = axis("", showgrid=False, ticks="", tickangle=-35, **ticks)
    up = axis("share of voxels [%]", rangemode="tozero")
    return {
        "data": data,
        "layout": layout(barmode="stack", xaxis=across, yaxis=up, **legend_above(400)),
    }


def _table(rows: pd.DataFrame) -> Table:
    classes = list(dict.fromkeys(rows["class"]))
    lines = []
    for name, own in rows.groupby("of", sort=False):
        shares = dict(zip(own["class"], own["share"], strict=True))
        lines.append((str(name), *(percent(shares.get(one, float("nan"))) for one in classes)))
    return Table(("Patches of", *(f"{name} [%]" for name in classes)), tuple(lines))


SECTION = Section(
    id="mix",
    title="Classes in the queries",
    place=71,
    blocks=_blocks,
    files={"class_mix.csv": lambda material: material.kept(_mixes).to_csv(index=False).encode()},
    applies=lambda material: len(material.kept(_mixes)) > 0,
    still="class_mix",
)
