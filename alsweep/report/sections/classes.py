"""Dice of each class."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pandas as pd

from alsweep.report.captions import over_seeds
from alsweep.report.section import Block, Caption, Material, Section, Tables
from alsweep.report.strength import what_is_learned
from alsweep.report.study import Study
from alsweep.report.tables import NamedTable, last_rows, mean_and_std, per_setting, with_best


def _blocks(material: Material) -> Iterator[Block]:
    yield Tables(_tables(material.study))
    study = material.study
    yield Caption(f"After the last loop. {over_seeds(study)} {what_is_learned(study)}")


def _tables(study: Study) -> tuple[NamedTable, ...]:
    """A table a setting; other datasets have other classes."""
    alike: dict[tuple[str, ...], dict[str, str]] = {}
    for setting, name in study.settings.items():
        alike.setdefault(tuple(study.classes_of(setting)), {})[setting] = name
    found: dict[str, NamedTable] = {}
    for classes, settings in alike.items():
        own = replace(study, settings=settings)
        found |= dict(zip(settings, _tables_of(own, classes), strict=True))
    return tuple(found[setting] for setting in study.settings)


def _tables_of(study: Study, classes: Sequence[str]) -> tuple[NamedTable, ...]:
    """Tables of settings that have the same classes."""

    def cells(mine: pd.DataFrame) -> tuple[str, ...]:
        return tuple(mean_and_std(mine[f"dice_{name}"]) for name in classes)

    columns = ("Strategy", *(f"{name} [%]" for name in classes))
    rows = last_rows(study.done)
    values = {column: (rows, f"dice_{name}") for column, name in enumerate(classes, start=1)}
    return with_best(study, per_setting(study, rows, columns, cells), values)


SECTION = Section(id="classes", title="Dice per class", place=60, blocks=_blocks)
