"""At which budgets does a strategy pay: early, late, or all along?

    python analysis/03_which_budgets.py RUN [RUN ...] [--out FIGURE.png]

At each loop the Dice of every strategy against the first control, paired by seed, Holm over the
strategies of a setting at that loop. Loop 0 is shared and left out.
"""

import pandas as pd
from asking import asked, axes, control_of, look_of, nothing, told

from alsweep.results import compare


def main() -> None:
    """Tell where differences are largest and how many are shown; draw them over budgets."""
    study, out = asked(__doc__ or "")
    control = control_of(study)
    done = study.done
    each = []
    for loop in sorted(set(done["loop"]) - {0}):
        upto = done[done["loop"] <= loop]
        # Settings that end before would be told again at each later loop.
        here = upto[upto["setting"].isin(upto.loc[upto["loop"] == loop, "setting"])]
        rows = compare(here, [control], metric="final", rope=study.asked.rope)
        each.append(rows[rows["control"] == control].assign(loop=loop))
    found = pd.concat(each) if each else pd.DataFrame()
    if found.empty or found["p"].isna().all():
        nothing("they need two loops and two common seeds")
    means = found.groupby("loop")["mean_difference"].mean()
    most = int(means.abs().idxmax())
    shown = found["verdict"].eq("better").groupby(found["loop"]).sum()
    worse = found["verdict"].eq("worse").groupby(found["loop"]).sum()
    counts = ", ".join(f"loop {k}: {shown[k]} better, {worse[k]} worse" for k in means.index)
    figure, (ax,) = axes()
    for strategy, own in found.groupby("strategy", sort=False):
        look = look_of(study, str(strategy))
        curve = 100 * own.groupby("loop")["mean_difference"].mean()
        style = "--" if look.baseline else "-"
        ax.plot(curve.index, curve, "o" + style, color=look.colour, label=look.name)
    ax.axhline(0, color="#8a94a3")
    ax.set_xlabel("loop")
    ax.set_xticks(list(means.index))
    ax.set_ylabel(f"Dice above {control} [points]")
    ax.legend(fontsize=7, frameon=False)
    told(
        f"Strategies differ from {control} most at loop {most}, by {100 * means[most]:+.1f} Dice "
        f"points on the mean of all; shown at the 5 % level, of {len(found) // len(means)} "
        f"comparisons a loop: {counts}.",
        figure,
        out,
    )


if __name__ == "__main__":
    main()
