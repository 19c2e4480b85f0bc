"""Do longer training, more members and TTA at the query pay for their hours?

    python analysis/05_do_hours_pay.py RUN [RUN ...] [--out FIGURE.png]

Each recipe (what settings of one dataset and budget differ in) by its name: AUBC, mean of
strategies, against the machine hours of a trajectory, shared members counted as if it had trained
them.
"""

import pandas as pd
from asking import asked, axes, mean_and_ends, nothing, told

from alsweep.results import aubc
from alsweep.results.compute import with_hours

BUDGET = ["dataset", "patch_size", "query_size"]
RECIPE = "setting"
"""Not epochs and members: an ensemble of snapshots has as many as one of seeds."""


def trajectories(done: pd.DataFrame) -> pd.DataFrame:
    """AUBC and hours of every trajectory, with its budget and recipe."""
    last = with_hours(done).groupby(["setting", "strategy", "seed"]).last()
    found = last.reset_index()[["setting", "strategy", "seed", "hours", *BUDGET]]
    return found.merge(aubc(done), on=["setting", "strategy", "seed"])


def main() -> None:
    """Tell what each dearer recipe gains for its hours."""
    study, out = asked(__doc__ or "")
    found = trajectories(study.done)
    recipes = found.groupby(BUDGET)[RECIPE].nunique()
    if not (recipes > 1).any():
        nothing("no dataset and budget was run with two recipes")
    sentences, (figure, (ax,)) = [], axes()
    for budget in recipes.index[recipes > 1]:
        here = found[(found[BUDGET] == list(budget)).all(axis="columns")]
        each = here.groupby(RECIPE)[["hours", "aubc"]].mean().sort_values("hours")
        by_seed = here.pivot_table(index="seed", columns=RECIPE, values="aubc")
        ax.plot(each["hours"], 100 * each["aubc"], "o", label=" · ".join(map(str, budget)))
        for key, row in each.iterrows():
            at, place = (row["hours"], 100 * row["aubc"]), {"xytext": (0, 7), "ha": "center"}
            ax.annotate(study.settings[key], at, textcoords="offset points", fontsize=7, **place)
        cheapest, *dearer = each.index
        for key in dearer:
            times = each.loc[key, "hours"] / each.loc[cheapest, "hours"]
            sentences.append(
                f"{' · '.join(map(str, budget))}: {study.settings[key]} gives "
                f"{mean_and_ends(by_seed[key] - by_seed[cheapest])} points of AUBC for {times:.1f} "
                f"times the hours of {study.settings[cheapest]}."
            )
    ax.margins(x=0.2)
    ax.set_xlabel("machine hours of a trajectory")
    ax.set_ylabel("AUBC [%], mean of strategies")
    ax.legend(fontsize=7, frameon=False)
    told("\n".join(sentences), figure, out)


if __name__ == "__main__":
    main()
