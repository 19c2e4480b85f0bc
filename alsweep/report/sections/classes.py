"""Dice of each class."""

from collections.abc import Iterator

import pandas as pd

from alsweep.report.captions import over_seeds
from alsweep.report.section import Block, Caption, Material, Section, Tables
from alsweep.report.study import Study
from alsweep.report.tables import NamedTable, last_rows, mean_and_std, per_setting


def _blocks(material: Material) -> Iterator[Block]:
    yield Tables(_tables(material.study))
    yield Caption(f"After the last loop. {over_seeds(material.study)}")


def _tables(study: Study) -> tuple[NamedTable, ...]:
    return tuple(_table(study, setting) for setting in study.settings)


def _table(study: Study, setting: str) -> NamedTable:
    """One setting: other datasets have other classes."""
    names = study.classes_of(setting)

    def cells(mine: pd.DataFrame) -> tuple[str, ...]:
        return tuple(mean_and_std(mine[f"dice_{name}"]) for name in names)

    columns = ("Strategy", *(f"{name} [%]" for name in names))
    rows = last_rows(study.done)
    here = per_setting(study, rows[rows["setting"] == setting], columns, cells)
    shown = study.settings[setting]
    return shown, dict(here)[shown]


SECTION = Section(id="classes", title="Dice per class", place=60, blocks=_blocks)
