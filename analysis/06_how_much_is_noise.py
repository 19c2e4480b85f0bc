"""How much of a difference is noise: of training alone, and of another seed?

    python analysis/06_how_much_is_noise.py RUN [RUN ...] [--out FIGURE.png]

Training alone: what 'alsweep noise' measured on equal labels. Another seed: deviation of AUBC
between the seeds of a strategy. Beside them the differences that strategies make.
"""

import numpy as np
from asking import asked, axes, nothing, told

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
    bars = [("another seed (AUBC)", of_seed)]
    bars += [
        (
            f"training alone, {row['iterations']:,} iterations (Dice of loop 0)",
            100 * row["deviation"],
        )
        for _, row in floor.iterrows()
    ]
    figure, (ax,) = axes(height=1.6 + 0.4 * len(bars))
    ax.barh([name for name, _ in bars], [value for _, value in bars], color="#86bbd8")
    ax.plot(gaps, [-0.7] * len(gaps), "|", color="#1c2430", markersize=12)
    ax.set_xlabel("Dice points, one standard deviation; ticks: how far strategies lie apart")
    least = several["count"].min()
    # Of a difference of two means of as many seeds.
    needed = of_seed * (2 / least) ** 0.5
    clear = sum(gap > 2 * needed for gap in gaps)
    alone = (
        "; training alone, on equal labels, moves the Dice of loop 0 by "
        + " and ".join(f"{100 * row['deviation']:.2f}" for _, row in floor.iterrows())
        if len(floor)
        else "; how much of that is training alone, 'alsweep noise' measures"
    )
    told(
        f"Another seed moves AUBC by {of_seed:.2f} points (one standard deviation){alone}. With "
        f"{least} seeds, {clear} of {len(gaps)} pairs of strategies lie further apart than twice "
        f"what seeds make of a difference, {2 * needed:.2f} points.",
        figure,
        out,
    )


if __name__ == "__main__":
    main()
