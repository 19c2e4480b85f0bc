"""Final Dice and AUBC, and what else was measured after the last loop."""

from collections.abc import Iterator

import pandas as pd

from alsweep.report.section import Block, Caption, Material, Section, Tables
from alsweep.report.study import Study
from alsweep.report.tables import NamedTable, last_rows, mean_and_std, per_setting
from alsweep.results import aubc, final

_FURTHER = {
    "test_mean_dice": "Test Dice [%]",
    "surface_dice": "Surface Dice [%]",
    "hd95": "HD95 [mm]",
}
"""Columns of results that not every run has."""

_CAPTION = (
    "Mean ± standard deviation over seeds. Final Dice: mean over the foreground classes after the "
    "last loop. AUBC: area under the budget curve, scaled so that a constant Dice has itself as "
    "area."
)
_FURTHER_CAPTION = (
    "After the last loop, mean ± standard deviation over seeds. Test Dice is measured on cases "
    "that nothing was decided by; surfaces on the validation cases: HD95 is the mean over the "
    "cases where it is defined, those in which both the prediction and the reference hold the "
    "class."
)


def _blocks(material: Material) -> Iterator[Block]:
    yield Tables(_result_tables(material.study, material.once(_result_rows)))
    yield Caption(_CAPTION)
    if further := _further_tables(material.study):
        yield Tables(further)
        yield Caption(_FURTHER_CAPTION)


def _result_rows(study: Study) -> pd.DataFrame:
    """Final Dice and AUBC of every finished trajectory."""
    found = aubc(study.table).merge(final(study.table), on=["setting", "strategy", "seed"])
    return found.rename(columns={"final": "final_dice"})


def _result_tables(study: Study, rows: pd.DataFrame) -> tuple[NamedTable, ...]:
    columns = ("Strategy", "Final Dice [%]", "AUBC [%]", "Seeds")

    def cells(mine: pd.DataFrame) -> tuple[str, ...]:
        scores = (mean_and_std(mine[name]) for name in ("final_dice", "aubc"))
        return (*scores, str(mine["seed"].nunique()))

    return per_setting(study, rows, columns, cells)


def _further_tables(study: Study) -> tuple[NamedTable, ...]:
    """Test Dice and surfaces, as far as they were measured."""
    last = last_rows(study.done)
    shown = [name for name in _FURTHER if name in last and last[name].notna().any()]

    def cells(mine: pd.DataFrame) -> tuple[str, ...]:
        in_mm = {"hd95": mean_and_std(mine["hd95"] / 100)} if "hd95" in shown else {}
        return tuple(in_mm.get(name) or mean_and_std(mine[name]) for name in shown)

    columns = ("Strategy", *(_FURTHER[name] for name in shown))
    return per_setting(study, last, columns, cells) if shown else ()


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
