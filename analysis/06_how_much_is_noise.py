"""How much of a difference is noise: of training alone, and of another seed?

    python analysis/06_how_much_is_noise.py RUN [RUN ...] [--out FIGURE.png]

Training alone: what 'alsweep noise' measured on equal labels. Another seed: deviation of AUBC
between the seeds of a strategy. Beside them the differences that strategies make. Intervals are
those of a variance of normal values (95 %); seeds of several strategies share their starts, so that
the one of a seed is rather too narrow.
"""

import numpy as np
from asking import asked, axes, ends_of_deviation, nothing, told

from alsweep.results import aubc
from alsweep.results.noise import noise_floor, noise_trainings


def main() -> None:
    """Tell the two deviations and how many strategies lie further apart; draw them."""
    study, out = asked(__doc__ or "")
    scores = aubc(study.table).dropna()
    spread = scores.groupby(["setting", "strategy"])["aubc"].agg(["var", "count", "mean"])
    several = spread[spread["count"] > 1]
    if several.empty:
        nothing("no strategy has two seeds")
    of_seed = 100 * float(np.sqrt(np.average(several["var"], weights=several["count"] - 1)))
    gaps = [
        100 * abs(a - b)
        for _, own in several.groupby("setting")["mean"]
        for i, a in enumerate(own)
        for b in own.iloc[i + 1 :]
    ]
    floor = noise_floor(noise_trainings(run.path for run in study.runs))
    free = {"another seed (AUBC)": (of_seed, int((several["count"] - 1).sum()))}
    for _, row in floor.iterrows():
        name = f"training alone, {study.settings[row['setting']]} (Dice of loop 0)"
        free[name] = (100 * row["deviation"], int(row["trainings"] - row["starts"]))
    figure, (ax,) = axes(height=1.6 + 0.4 * len(free))
    for name, (deviation, degrees) in free.items():
        low, high = ends_of_deviation(deviation, degrees)
        ax.barh(name, deviation, color="#86bbd8")
        ax.plot([low, high], [name, name], color="#1c2430", linewidth=1)
    ax.plot(gaps, [-0.7] * len(gaps), "|", color="#1c2430", markersize=12)
    ax.tick_params(axis="y", labelsize=7)
    ax.set_xlabel("Dice points, one standard deviation\nticks: how far strategies lie apart")
    least = several["count"].min()
    # Of a difference of two means of as many seeds.
    needed = of_seed * (2 / least) ** 0.5
    clear = sum(gap > 2 * needed for gap in gaps)
    each = []
    for name, (deviation, degrees) in free.items():
        low, high = ends_of_deviation(deviation, degrees)
        each.append(
            f"{name}: {deviation:.2f} [{low:.2f}, {high:.2f}], {degrees} degrees of freedom"
        )
    if not len(floor):
        each.append("how much of that is training alone, 'alsweep noise' measures")
    told(
        "Standard deviations in Dice points. " + "; ".join(each) + f". With {least} seeds, {clear} "
        f"of {len(gaps)} pairs of strategies lie further apart than twice what seeds make of a "
        f"difference, {2 * needed:.2f} points.",
        figure,
        out,
    )


if __name__ == "__main__":
    main()
