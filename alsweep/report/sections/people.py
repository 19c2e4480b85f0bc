"""What people labelled: how long it took them, how they agree, and whether to go on."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alsweep.data.labels.annotations import Annotation, Annotations, Pair, latest, pairs
from alsweep.report.section import Block, Caption, Material, Section, Tables
from alsweep.report.study import Study
from alsweep.report.tables import NamedTable, Table
from alsweep.results.outlook import outlook
from alsweep.results.records import TrajectoryFolder
from alsweep.trajectory.human import Skip, read_skips

_UNKNOWN = "-"


@dataclass(frozen=True)
class _Heard:
    """What people did in the runs of a study.

    Attributes:
        annotations: The last one of each person in each patch.
        pairs: Of people who labelled the same patch.
        skips: What could not be labelled.
    """

    annotations: tuple[Annotation, ...]
    pairs: tuple[Pair, ...]
    skips: tuple[Skip, ...]

    @classmethod
    def of(cls, study: Study) -> "_Heard":
        painted = [list(each) for run in study.runs for each in _painted(run.path)]
        return cls(
            tuple(one for each in painted for one in latest(each)),
            tuple(pair for each in painted for pair in pairs(each)),
            tuple(skip for one in study.trajectories for skip in read_skips(one.folder)),
        )


def _painted(run: Path) -> Iterator[list[Annotation]]:
    known = Annotations(run)
    return (known.of(task) for task in known.tasks())


def _asked(study: Study) -> list[TrajectoryFolder]:
    """Trajectories that people label for, or that nobody judges."""
    return [
        one
        for one in study.trajectories
        if (one.config is not None and one.config.annotator.kind == "human")
        or any(record.agreement is not None for record in one.records)
    ]


def _blocks(material: Material) -> Iterator[Block]:
    study, heard = material.study, material.once(_Heard.of)
    yield Tables(tuple(_loops(one) for one in _asked(study) if one.records))
    for one in _asked(study):
        if one.config is not None and one.records:
            yield Caption(f"{one.id}: {outlook(one.records, one.config.query.patches)}.")
    tables = (_people(heard), _agreement(heard), _skipped(heard))
    yield Tables(tuple((name, table) for name, table in tables if table.rows))
    if heard.pairs:
        yield Caption(
            "Who labelled the same patch: voxels with the same label among those that both painted,"
            " and mean Dice over the classes that either painted. Networks learn what most of them "
            "say; where as many say one thing as another, nothing."
        )


def _loops(one: TrajectoryFolder) -> NamedTable:
    rows = []
    for record in one.records:
        effort = record.effort
        known = effort is not None and effort.timed_patches
        rows.append(
            (
                str(record.loop),
                str(record.annotated_patches),
                _percent(record.mean_dice),
                _percent(record.agreement),
                f"{effort.minutes:.1f}" if effort is not None and known else _UNKNOWN,
                f"{effort.corrections:,}" if effort and (known or effort.corrections) else _UNKNOWN,
            )
        )
    headings = ("Patches", "Dice [%]", "Members agree [%]", "Minutes", "Voxels corrected")
    return one.id, Table(("Loop", *headings), tuple(rows))


def _percent(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{100 * value:.2f}"


def _people(heard: _Heard) -> NamedTable:
    count = Counter(one.annotator for one in heard.annotations)
    seconds = defaultdict(list)
    for one in heard.annotations:
        if one.effort.seconds is not None:
            seconds[one.annotator].append(one.effort.seconds)
    rows = tuple(
        (
            name,
            str(count[name]),
            f"{sum(seconds[name]) / 60:.1f}" if seconds[name] else _UNKNOWN,
            f"{np.mean(seconds[name]) / 60:.1f}" if seconds[name] else _UNKNOWN,
        )
        for name in sorted(count)
    )
    return "Who labelled", Table(("Who", "Patches", "Minutes", "Minutes a patch"), rows)


def _agreement(heard: _Heard) -> NamedTable:
    found = defaultdict(list)
    for pair in heard.pairs:
        found[pair.one, pair.other].append(pair)
    rows = []
    for (one, other), own in sorted(found.items()):
        voxels, dice = sum(p.voxels for p in own), [p.dice for p in own if p.dice is not None]
        same = sum(p.same for p in own) / voxels if voxels else None
        mean = float(np.mean(dice)) if dice else None
        rows.append((f"{one}, {other}", str(len(own)), _percent(same), _percent(mean)))
    headings = ("Who", "Patches", "Same label [%]", "Dice [%]")
    return "Who labelled the same patch", Table(headings, tuple(rows))


def _skipped(heard: _Heard) -> NamedTable:
    rows = tuple((skip.case, str(skip.loop), skip.reason, skip.time[:10]) for skip in heard.skips)
    return "What could not be labelled", Table(("Case", "Loop", "Why", "When"), rows)


SECTION = Section(
    id="people",
    title="Labelled by people",
    place=15,
    blocks=_blocks,
    applies=lambda material: bool(_asked(material.study)),
)
