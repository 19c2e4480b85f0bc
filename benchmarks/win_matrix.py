"""Win matrix, ranking, comparisons: one vectorised pass against a t-test for each cell.

Run: python benchmarks/win_matrix.py
24 settings x 9 strategies x 5 budgets x 4 seeds; asserts that both give the same matrix.
"""

from itertools import permutations, product
from time import perf_counter

import numpy as np
import pandas as pd
from scipy.stats import ttest_rel

from alsweep.results import compare, ranking, win_matrix
from alsweep.results.metrics import DRAWS
from alsweep.rng import stream

SETTINGS, STRATEGIES, BUDGETS, SEEDS = 24, 9, 5, 4
CONTROLS = ["a0", "a1", "a2"]


def make_table() -> pd.DataFrame:
    """A table with true differences between the strategies and noise between the seeds."""
    rng = stream(0, "benchmark")
    skill = rng.normal(0, 0.02, size=STRATEGIES)
    keys = list(product(range(SETTINGS), range(STRATEGIES), range(SEEDS), range(BUDGETS + 1)))
    table = pd.DataFrame(keys, columns=["setting", "strategy", "seed", "loop"])
    noise = rng.normal(0, 0.01, size=len(table))
    table["mean_dice"] = 0.5 + 0.05 * table["loop"] + skill[table["strategy"]] + noise
    table["annotated_patches"] = 20 * (1 + table["loop"])
    table["foreground_fraction"] = 0.01 * (1 + table["loop"])
    names = {"setting": table["setting"].map("s{:02d}".format)}
    names["strategy"] = table["strategy"].map("a{}".format)
    return table.assign(status="done", **names)


def naive_win_matrix(table: pd.DataFrame) -> pd.DataFrame:
    """The definition, cell by cell: a paired t-test of scipy for each setting, pair and budget."""
    names = sorted(table["strategy"].unique())
    wins = pd.DataFrame(0.0, names, names)
    for _, setting in table[table["loop"] > 0].groupby("setting"):
        for one, other in permutations(names, 2):
            for _, rows in setting.groupby("loop"):
                pair = rows.pivot(index="seed", columns="strategy", values="mean_dice")
                won = ttest_rel(pair[one], pair[other])
                wins.loc[one, other] += bool(won.pvalue < 0.05 and won.statistic > 0) / BUDGETS
    wins /= SETTINGS
    return wins.mask(np.eye(len(names), dtype=bool))


def main() -> None:
    """Time both and print the ratio."""
    table = make_table()
    win_matrix(table), ranking(table), compare(table, CONTROLS)  # the first call pays for imports
    begin = perf_counter()
    ours = win_matrix(table)
    fast = perf_counter() - begin
    begin = perf_counter()
    ranking(table)
    ranked = perf_counter() - begin
    begin = perf_counter()
    compared = compare(table, CONTROLS)
    tested = perf_counter() - begin
    begin = perf_counter()
    naive = naive_win_matrix(table)
    slow = perf_counter() - begin
    pd.testing.assert_frame_equal(ours, naive, rtol=0, atol=1e-12)
    print(f"win matrix: naive {slow:.2f} s, alsweep {1e3 * fast:.1f} ms, ratio {slow / fast:.0f}")
    print(f"ranking with {DRAWS} bootstrap draws: {1e3 * ranked:.1f} ms")
    print(f"{len(compared)} comparisons with {len(CONTROLS)} controls: {1e3 * tested:.1f} ms")


if __name__ == "__main__":
    main()
