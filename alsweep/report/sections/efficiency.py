"""Foreground efficiency, where there are full-data references."""

from collections.abc import Iterator

import pandas as pd

from alsweep.report.captions import seed_counts, span
from alsweep.report.section import Block, Caption, Material, Section, Tables
from alsweep.report.study import Study
from alsweep.report.tables import NamedTable, per_setting, with_best
from alsweep.results import fg_efficiency
from alsweep.results.fulldata import mean_full_dice


def _blocks(material: Material) -> Iterator[Block]:
    yield Tables(_tables(material.study, material.once(_rates)))
    yield Caption(_caption(material.study))


def _rates(study: Study) -> pd.DataFrame:
    """FG-Eff of the settings that have a full-data reference."""
    means = {setting: mean_full_dice(records) for setting, records in study.references.items()}
    rows = study.table[study.table["setting"].isin(list(means))]
    return fg_efficiency(rows, means)


def _tables(study: Study, rows: pd.DataFrame) -> tuple[NamedTable, ...]:
    def cells(mine: pd.DataFrame) -> tuple[str, ...]:
        rate, error, low, high = mine.iloc[0][["fg_eff", "standard_error", "low", "high"]]
        interval = "—" if pd.isna(low) else f"{_rate(low)} to {_rate(high)}"
        return _rate(rate), _rate(error), interval

    tables = per_setting(study, rows, ("Strategy", "FG-Eff", "Error", "95 % interval"), cells)
    return with_best(study, tables, {1: (rows, "fg_eff")})


def _rate(value: float) -> str:
    return "—" if pd.isna(value) else f"{value:.2f}"


def _caption(study: Study) -> str:
    missing = [name for setting, name in study.settings.items() if setting not in study.references]
    lacking = (
        f" Without a full-data reference, and so not shown: {'; '.join(missing)}."
        if missing
        else ""
    )
    return (
        "Rate at which mean Dice nears that of the fully annotated pool per annotated share of its "
        "foreground; higher is more Dice per annotated foreground voxel. Fitted to all seeds and "
        "loops of a strategy; the error is that of the fit, the interval a 95 % bootstrap over "
        f"{span(seed_counts(study), 'seed')}, with few of them too narrow rather than too wide. An "
        "em dash: the reference does not exceed the start, or there is one seed only."
        f"{lacking}"
    )


SECTION = Section(
    id="efficiency",
    title="Foreground efficiency",
    place=30,
    blocks=_blocks,
    files={
        "fg_efficiency.csv": lambda material: material.once(_rates).to_csv(index=False).encode()
    },
    applies=lambda material: bool(material.study.references),
)
