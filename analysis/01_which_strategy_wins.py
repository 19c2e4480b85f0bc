"""Which strategy wins, how sure is that, and what would settle it?

    python analysis/01_which_strategy_wins.py RUN [RUN ...]

Reads the results of finished trajectories; starts nothing.
"""

import sys

from alsweep import load_results
from alsweep.config.report import DEFAULT_CONTROLS
from alsweep.results import aubc, compare, minimal_difference, ranking, win_matrix


def main() -> None:
    """Print AUBC, what the controls are beaten by, win matrices and the ranking."""
    if len(sys.argv) < 2:
        sys.exit("name at least one run folder, e.g. runs/demo")
    table = load_results(sys.argv[1:])
    by_strategy = aubc(table).groupby(["setting", "strategy"])["aubc"]
    print("AUBC by setting: mean and standard deviation over seeds")
    print(by_strategy.agg(["mean", "std", "count"]).round(4), end="\n\n")
    there = set(table["strategy"])
    controls = [control for control in DEFAULT_CONTROLS if control in there]
    print(f"AUBC against {', '.join(controls) or 'no control'} (paired t-test, Holm)")
    print(compare(table, controls).round(4).to_string(index=False), end="\n\n")
    print("Share of budgets at which the row beats the column (paired t-test, 5 %)")
    print(win_matrix(table).round(2), end="\n\n")
    print("The same after Holm's correction")
    print(win_matrix(table, correction="holm").round(2), end="\n\n")
    print("Smallest difference that these seeds could show (power 0.8)")
    pairs = minimal_difference(table).groupby(["strategy", "other"])["minimal"]
    print(pairs.median().round(3), end="\n\n")
    print("Ranking by AUBC, 95 % bootstrap intervals over seeds")
    print(ranking(table).round(2))


if __name__ == "__main__":
    main()
