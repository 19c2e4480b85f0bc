"""Every statistic of a study on one large table, and what each takes.

Run: python benchmarks/study_statistics.py
24 settings x 9 strategies x 5 loops x 4 seeds. Exits with 1 where all but the bootstraps of fitted
curves take more than 2 s of processor time together, or those more than 60 s.
"""

import sys
from collections.abc import Callable
from itertools import product
from time import perf_counter, process_time

import numpy as np
import pandas as pd

from alsweep import results
from alsweep.rng import stream

SETTINGS, STRATEGIES, LOOPS, SEEDS = 24, 9, 5, 4
CONTROLS = ["a0", "a1", "a2"]
FULL_DICE = 0.92
QUICK_S, FITTED_S = 2.0, 60.0


def make_table() -> pd.DataFrame:
    """Saturating curves of unlike speed, with noise between the seeds."""
    rng = stream(0, "benchmark")
    speed = rng.uniform(0.2, 0.6, size=STRATEGIES)
    keys = list(product(range(SETTINGS), range(STRATEGIES), range(SEEDS), range(LOOPS)))
    table = pd.DataFrame(keys, columns=["setting", "strategy", "seed", "loop"])
    noise = rng.normal(0, 0.01, size=len(table))
    curve = 0.9 - 0.45 * np.exp(-speed[table["strategy"]] * table["loop"])
    names = {"setting": table["setting"].map("s{:02d}".format)}
    names["strategy"] = table["strategy"].map("a{}".format)
    return table.assign(
        mean_dice=curve + noise,
        annotated_patches=20 * (1 + table["loop"]),
        foreground_fraction=0.01 * (1 + table["loop"]),
        train_seconds=100.0,
        evaluate_seconds=10.0,
        query_seconds=20.0,
        members=5,
        cached_members=np.where((table["loop"] == 0) & (table["strategy"] > 0), 5, 0),
        status="done",
        **names,
    )


QUICK: dict[str, Callable[[pd.DataFrame], object]] = {
    "aubc": results.aubc,
    "final": results.final,
    "win_matrix": results.win_matrix,
    "win_matrix, Holm": lambda t: results.win_matrix(t, correction="holm"),
    "win_balance": lambda t: results.win_balance(t, CONTROLS),
    "minimal_difference": results.minimal_difference,
    "compare": lambda t: results.compare(t, CONTROLS),
    "ranking": results.ranking,
    "rank_stability": results.rank_stability,
    "rank_shares": results.rank_shares,
    "rank_orders": results.rank_orders,
    "setting_agreement": results.setting_agreement,
    "friedman": results.friedman,
    "nemenyi": results.nemenyi,
    "rank_groups": results.rank_groups,
    "compare_over_settings": lambda t: results.compare_over_settings(t, CONTROLS),
    "aggregate": results.aggregate,
    "performance_profile": results.performance_profile,
    "improvement": lambda t: results.improvement(t, CONTROLS),
    "bayesian_compare": lambda t: results.bayesian_compare(t, CONTROLS),
    "bayesian_over_settings": lambda t: results.bayesian_over_settings(t, CONTROLS),
    "effort_aubc": lambda t: results.effort_aubc(t, "foreground_fraction"),
    "effort_curves": lambda t: results.effort_curves(t, "foreground_fraction"),
    "phase_hours": results.phase_hours,
    "savings": results.savings,
    "front": results.front,
    "hypervolume": lambda t: results.hypervolume(results.front(t)),
    "money": lambda t: results.money(t, 2.0, {"annotated_patches": 1.5}),
}

FITTED: dict[str, Callable[[pd.DataFrame], object]] = {
    "fg_efficiency": lambda t: results.fg_efficiency(t, FULL_DICE),
    "fit_curves": lambda t: results.fit_curves(t, FULL_DICE),
    "patches_to_reach": lambda t: results.patches_to_reach(t, 0.85, FULL_DICE),
    "predicted_gain": lambda t: results.predicted_gain(t, FULL_DICE),
}


def timed(functions: dict[str, Callable[[pd.DataFrame], object]], table: pd.DataFrame) -> float:
    """Print what each takes; returns the processor time of all."""
    total = 0.0
    for name, function in functions.items():
        wall, cpu = perf_counter(), process_time()
        function(table)
        cpu, wall = process_time() - cpu, perf_counter() - wall
        print(f"{name:26s} {cpu:7.3f} s CPU {wall:7.3f} s")
        total += cpu
    return total


def main() -> int:
    """Time all and tell whether it is quick enough."""
    table = make_table()
    small = table[table["setting"] < "s02"]
    for function in QUICK.values():  # the first call pays for imports
        function(small)
    quick = timed(QUICK, table)
    print(f"{'without fitted curves':26s} {quick:7.3f} s CPU of {QUICK_S:g}")
    fitted = timed(FITTED, table)
    print(f"{'fitted curves':26s} {fitted:7.3f} s CPU of {FITTED_S:g}")
    return int(quick > QUICK_S or fitted > FITTED_S)


if __name__ == "__main__":
    sys.exit(main())
