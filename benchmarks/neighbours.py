"""The tables of docs/methods.md, from a finished run of search_spaces/phantom-neighbours.yaml.

    python benchmarks/neighbours.py runs/phantom-neighbours

First every strategy of the setting with most of them: Dice of the last loop and AUBC, mean and
standard deviation over seeds, and AUBC above each of three controls with its 95 % interval, paired
by seed. Then every start: Dice of the first and the second loop. Dice in points of 100.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from alsweep.results import aubc, compare, load_results
from alsweep.results.records import read_run

CONTROLS = ("random_fg66", "predictive_entropy", "clasp_pe")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    run = parser.parse_args().run
    table = load_results(run)
    table = table[table["status"] == "done"]
    main_setting = table.groupby("setting")["strategy"].nunique().idxmax()
    own = table[table["setting"] == main_setting]
    print(f"{own['seed'].nunique()} seeds, {own['loop'].max() + 1} loops")
    against = [f"above {control}" for control in CONTROLS]
    _row(["strategy", "last loop", "AUBC", *against, "query [s]"])
    _row(["---"] * (4 + len(against)))
    areas, found = aubc(own), compare(own, list(CONTROLS))
    for strategy in own["strategy"].unique():
        mine = own[own["strategy"] == strategy]
        last = mine[mine["loop"] == mine["loop"].max()]["mean_dice"]
        area = areas[areas["strategy"] == strategy]["aubc"]
        differences = [_difference(found, strategy, control) for control in CONTROLS]
        asked = mine[mine["loop"] < mine["loop"].max()]
        seconds = asked["query_seconds"].mean()
        _row([f"`{strategy}`", _spread(last), _spread(area), *differences, f"{seconds:.1f}"])
    print()
    _row(["start", "first loop", "second loop", "seeds"])
    _row(["---"] * 4)
    for name, rows in _starts(run, table):
        loops = [_spread(rows[rows["loop"] == loop]["mean_dice"]) for loop in (0, 1)]
        _row([f"`{name}`", *loops, str(rows["seed"].nunique())])


def _starts(run: Path, table: pd.DataFrame) -> Iterable[tuple[str, pd.DataFrame]]:
    """Rows of predictive_entropy by the strategy of their start."""
    starts = {
        trajectory.id: trajectory.config.starting_budget.strategy.shown
        for trajectory in read_run(run).trajectories
        if trajectory.config is not None
    }
    own = table[table["strategy"] == "predictive_entropy"]
    return own.groupby(own["trajectory"].map(starts), sort=False)


def _difference(found: pd.DataFrame, strategy: str, control: str) -> str:
    rows = found[(found["strategy"] == strategy) & (found["control"] == control)]
    if rows.empty:
        return ""
    mean, low, high = (100 * rows.iloc[0][key] for key in ("mean_difference", "low", "high"))
    return f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"


def _spread(values: pd.Series) -> str:
    return f"{100 * values.mean():.1f} ± {100 * values.std(ddof=1):.1f}"


def _row(cells: Iterable[str]) -> None:
    print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
