"""The tables of a report: percent with two decimals, mean and standard deviation over seeds."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from alsweep.report.study import Look, Study
from alsweep.results import aubc, fg_efficiency, final, win_rates
from alsweep.results.fulldata import mean_full_dice

_FURTHER = {
    "test_mean_dice": "Test Dice [%]",
    "surface_dice": "Surface Dice [%]",
    "hd95": "HD95 [mm]",
}
"""Columns of results that not every run has."""


@dataclass(frozen=True)
class Table:
    """Text for people.

    Attributes:
        columns: Headings; the first column holds names, the others numbers.
        rows: Cells; the first is a strategy's label.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def percent(value: float) -> str:
    """A fraction as percent with two decimals; an em dash where it is undefined."""
    return "—" if pd.isna(value) else f"{100 * value:.2f}"


def mean_and_std(values: "pd.Series[float]") -> str:
    """Mean ± standard deviation (ddof 1) in percent; the mean alone for one value."""
    known = values.dropna()
    if len(known) < 2:
        return percent(float(known.mean()))
    return f"{percent(float(known.mean()))} ± {percent(float(known.std(ddof=1)))}"


def result_rows(study: Study) -> pd.DataFrame:
    """Final Dice and AUBC of every finished trajectory: the content of aubc.csv."""
    found = aubc(study.table).merge(final(study.table), on=["setting", "strategy", "seed"])
    return found.rename(columns={"final": "final_dice"})


def result_tables(study: Study) -> list[tuple[str, Table]]:
    """Final Dice and AUBC per setting."""
    rows = result_rows(study)
    columns = ("Strategy", "Final Dice [%]", "AUBC [%]", "Seeds")

    def cells(mine: pd.DataFrame) -> tuple[str, ...]:
        scores = (mean_and_std(mine[name]) for name in ("final_dice", "aubc"))
        return (*scores, str(mine["seed"].nunique()))

    return _per_setting(study, rows, columns, cells)


def further_tables(study: Study) -> list[tuple[str, Table]]:
    """What else was measured after the last loop: test Dice and surfaces, as far as they were."""
    last = _last_rows(study.done)
    shown = [name for name in _FURTHER if name in last and last[name].notna().any()]

    def cells(mine: pd.DataFrame) -> tuple[str, ...]:
        in_mm = {"hd95": mean_and_std(mine["hd95"] / 100)} if "hd95" in shown else {}
        return tuple(in_mm.get(name) or mean_and_std(mine[name]) for name in shown)

    columns = ("Strategy", *(_FURTHER[name] for name in shown))
    return _per_setting(study, last, columns, cells) if shown else []


def class_tables(study: Study) -> list[tuple[str, Table]]:
    """Dice of each class in the last loop, per setting."""
    last = _last_rows(study.done)
    names = study.class_names

    def cells(mine: pd.DataFrame) -> tuple[str, ...]:
        return tuple(mean_and_std(mine[f"dice_{name}"]) for name in names)

    return _per_setting(study, last, ("Strategy", *(f"{n} [%]" for n in names)), cells)


def query_tables(study: Study) -> list[tuple[str, Table]]:
    """What had been annotated by the last training, mean over seeds, per setting."""
    columns = (
        "Strategy",
        "Patches",
        "Voxels",
        "Foreground voxels",
        "Foreground in patches [%]",
        "Share of the pool's foreground [%]",
        "Cases",
    )

    def cells(mine: pd.DataFrame) -> tuple[str, ...]:
        means = mine[["annotated_patches", "annotated_voxels", "foreground_voxels"]].mean()
        share = mine["foreground_voxels"] / mine["annotated_voxels"]
        return (
            *(f"{value:,.0f}" for value in means),
            mean_and_std(share),
            mean_and_std(mine["foreground_fraction"]),
            f"{mine['annotated_cases'].mean():.1f}",
        )

    return _per_setting(study, _last_rows(study.done), columns, cells)


def compute_tables(study: Study) -> list[tuple[str, Table]]:
    """Time and stored members of a trajectory, mean over seeds, per setting."""
    columns = ("Strategy", "Train [s]", "Evaluate [s]", "Query [s]", "Members", "Found stored")
    phases = ["train_seconds", "evaluate_seconds", "query_seconds"]

    def cells(mine: pd.DataFrame) -> tuple[str, ...]:
        totals = mine.groupby("trajectory")[[*phases, "members", "cached_members"]].sum().mean()
        seconds = (f"{totals[name]:,.1f}" for name in phases)
        return (*seconds, f"{totals['members']:.1f}", f"{totals['cached_members']:.1f}")

    return _per_setting(study, study.done, columns, cells)


def efficiency_rows(study: Study) -> pd.DataFrame:
    """FG-Eff of the settings that have a full-data reference: the content of fg_efficiency.csv."""
    means = {setting: mean_full_dice(records) for setting, records in study.references.items()}
    rows = study.table[study.table["setting"].isin(list(means))]
    return fg_efficiency(rows, means)


def efficiency_tables(study: Study, rows: pd.DataFrame) -> list[tuple[str, Table]]:
    """FG-Eff per setting.

    Args:
        study: For names and order.
        rows: From :func:`efficiency_rows`.
    """

    def cells(mine: pd.DataFrame) -> tuple[str, ...]:
        rate, error, low, high = mine.iloc[0][["fg_eff", "standard_error", "low", "high"]]
        interval = "—" if pd.isna(low) else f"{_rate(low)} to {_rate(high)}"
        return _rate(rate), _rate(error), interval

    return _per_setting(study, rows, ("Strategy", "FG-Eff", "Error", "95 % interval"), cells)


def _rate(value: float) -> str:
    return "—" if pd.isna(value) else f"{value:.2f}"


def ranking_table(study: Study, ranks: pd.DataFrame) -> Table:
    """Mean ranks with their bootstrap intervals, best first."""
    looks = {look.strategy: look for look in study.looks}
    rows = tuple(
        (
            looks[str(strategy)].name,
            f"{row['mean_rank']:.2f}",
            "—" if pd.isna(row["low"]) else f"{row['low']:.2f} to {row['high']:.2f}",
            f"{row['settings']:.0f}",
        )
        for strategy, row in ranks.iterrows()
    )
    return Table(("Strategy", "Mean rank", "95 % interval", "Settings"), rows)


def rate_table(study: Study, matrix: pd.DataFrame) -> Table:
    """Mean win and mean loss of each strategy."""
    rates = win_rates(matrix)
    rows = tuple(
        (look.name, *(percent(rates[rate].loc[look.strategy]) for rate in rates.columns))
        for look in study.looks
        if look.strategy in rates.index
    )
    return Table(("Strategy", "Mean win [%]", "Mean loss [%]", "Win - loss [%]"), rows)


def _last_rows(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.sort_values("loop", kind="stable").groupby("trajectory").tail(1)


def _per_setting(
    study: Study,
    rows: pd.DataFrame,
    columns: Sequence[str],
    cells: Callable[[pd.DataFrame], tuple[str, ...]],
) -> list[tuple[str, Table]]:
    """One table a setting, its rows the strategies that have finished trajectories there."""
    found = []
    for setting, name in study.settings.items():
        here = rows[rows["setting"] == setting]
        lines = tuple((look.name, *cells(mine)) for look, mine in _by_look(study.looks, here))
        found.append((name, Table(tuple(columns), lines)))
    return found


def _by_look(looks: Iterable[Look], rows: pd.DataFrame) -> Iterable[tuple[Look, Any]]:
    for look in looks:
        mine = rows[rows["strategy"] == look.strategy]
        if len(mine):
            yield look, mine
