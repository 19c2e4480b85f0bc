"""Final Dice and AUBC, and what else was measured after the last loop."""

from collections.abc import Iterator, Sequence

import pandas as pd

from alsweep.report.captions import over_seeds
from alsweep.report.section import Block, Caption, Material, Section, Tables
from alsweep.report.study import Study
from alsweep.report.tables import NamedTable, last_rows, mean_and_std, per_setting, with_best
from alsweep.results import aubc, final

_FURTHER = {
    "test_mean_dice": "Test Dice [%]",
    "surface_dice": "Surface Dice [%]",
    "hd95": "HD95 [mm]",
}
"""Columns of results that not every run has."""

_AREAS = (
    "Final Dice: mean over the foreground classes after the last loop. AUBC: area under the budget "
    "curve, scaled so that a constant Dice has itself as area."
)
_MEANINGS = {
    "test_mean_dice": "Test Dice is measured on cases that nothing was decided by.",
    "surface_dice": "Surface Dice is measured on the validation cases.",
    "hd95": "HD95, on the validation cases, is the mean over the cases where it is defined, those "
    "in which both the prediction and the reference hold the class.",
}


def _blocks(material: Material) -> Iterator[Block]:
    yield Tables(_result_tables(material.study, material.once(_result_rows)))
    yield Caption(f"{over_seeds(material.study)} {_AREAS}")
    shown = _further(material.study)
    if shown:
        meanings = " ".join(_MEANINGS[name] for name in shown)
        yield Tables(_further_tables(material.study, shown))
        yield Caption(f"After the last loop. {over_seeds(material.study)} {meanings}")


def _result_rows(study: Study) -> pd.DataFrame:
    """Final Dice and AUBC of every finished trajectory."""
    found = aubc(study.table).merge(final(study.table), on=["setting", "strategy", "seed"])
    return found.rename(columns={"final": "final_dice"})


def _result_tables(study: Study, rows: pd.DataFrame) -> tuple[NamedTable, ...]:
    columns = ("Strategy", "Final Dice [%]", "AUBC [%]")

    def cells(mine: pd.DataFrame) -> tuple[str, ...]:
        return tuple(mean_and_std(mine[name]) for name in ("final_dice", "aubc"))

    tables = per_setting(study, rows, columns, cells, count_seeds=True)
    return with_best(study, tables, {1: (rows, "final_dice"), 2: (rows, "aubc")})


def _further(study: Study) -> list[str]:
    """What else was measured after the last loop."""
    last = last_rows(study.done)
    return [name for name in _FURTHER if name in last and last[name].notna().any()]


def _further_tables(study: Study, shown: Sequence[str]) -> tuple[NamedTable, ...]:
    """Test Dice and surfaces."""

    def cells(mine: pd.DataFrame) -> tuple[str, ...]:
        in_mm = {"hd95": mean_and_std(mine["hd95"] / 100)} if "hd95" in shown else {}
        return tuple(in_mm.get(name) or mean_and_std(mine[name]) for name in shown)

    columns = ("Strategy", *(_FURTHER[name] for name in shown))
    rows = last_rows(study.done)
    values = {column: (rows, name) for column, name in enumerate(shown, start=1)}
    lowest = [column for column, (_, name) in values.items() if name == "hd95"]
    return with_best(study, per_setting(study, rows, columns, cells), values, lowest)


def _csv(study: Study, rows: pd.DataFrame) -> bytes:
    named = rows.assign(setting_name=rows["setting"].map(dict(study.settings)))
    return named.to_csv(index=False).encode()


SECTION = Section(
    id="results",
    title="Final Dice and AUBC",
    place=20,
    blocks=_blocks,
    files={"aubc.csv": lambda material: _csv(material.study, material.once(_result_rows))},
)
