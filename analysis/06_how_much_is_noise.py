"""How much of a difference is noise: of training alone, and of another seed?

    python analysis/06_how_much_is_noise.py RUN [RUN ...] [--out FIGURE.png]

By setting. Another seed: deviation of a trajectory's AUBC between seeds, pooled over strategies.
Training alone: deviation of the Dice of loop 0 on equal labels, which 'alsweep noise' measures.
Beside them how far the means of strategies lie apart. Intervals (95 %) are by chi-square, thus for
normal values; strategies share the starts of a seed, so that those of a seed are rather too narrow.
"""

import numpy as np
import pandas as pd
from asking import asked, axes, ends_of_deviation, nothing, told

from alsweep.results import aubc
from alsweep.results.noise import noise_floor, noise_trainings

KINDS = {"another seed, AUBC": "#86bbd8", "training alone, Dice of loop 0": "#dfe5ec"}


def deviations(scores: pd.DataFrame, floor: pd.DataFrame) -> pd.DataFrame:
    """A row a setting and kind: ``deviation`` [points] and ``degrees`` of freedom."""
    spread = scores.groupby(["setting", "strategy"])["aubc"].agg(["var", "count"])
    rows = []
    for setting, own in spread[spread["count"] > 1].groupby("setting"):
        free = own["count"] - 1
        pooled = 100 * float(np.sqrt(np.average(own["var"], weights=free)))
        rows.append((setting, "another seed, AUBC", pooled, int(free.sum())))
    for _, row in floor.iterrows():
        free = int(row["trainings"] - row["starts"])
        own = (row["setting"], "training alone, Dice of loop 0", 100 * row["deviation"], free)
        rows += [own] if free else []
    return pd.DataFrame(rows, columns=["setting", "kind", "deviation", "degrees"])


def main() -> None:
    """Tell the two deviations of each setting beside the range of strategies; draw them."""
    study, out = asked(__doc__ or "")
    scores = aubc(study.table).dropna()
    floor = noise_floor(noise_trainings(run.path for run in study.runs))
    found = deviations(scores, floor)
    if not (found["kind"] == "another seed, AUBC").any():
        nothing("no strategy has two seeds")
    means = 100 * scores.groupby(["setting", "strategy"])["aubc"].mean()
    ranges = means.groupby("setting").agg(lambda own: own.max() - own.min())
    figure, (ax,) = axes(height=1.4 + 0.35 * len(found))
    sentences = []
    for name, own in found.groupby(found["setting"].map(study.settings), sort=False):
        each = []
        for _, row in own.iterrows():
            low, high = ends_of_deviation(row["deviation"], row["degrees"])
            at = f"{name}, {row['kind'].split(',')[0]}"
            ax.barh(at, row["deviation"], color=KINDS[row["kind"]])
            ax.plot([low, high], [at, at], color="#1c2430", linewidth=1)
            ax.plot(ranges[row["setting"]], at, "|", color="#d1495b", markersize=12)
            interval = f"[{low:.1f}, {high:.1f}], {row['degrees']} degrees of freedom"
            each.append(f"{row['kind']}: {row['deviation']:.1f} {interval}")
        apart = ranges[own["setting"].iloc[0]]
        sentences.append(f"{name}: {'; '.join(each)}; strategies' means lie within {apart:.1f}.")
    if floor.empty:
        sentences.append("How much of that is training alone, 'alsweep noise' measures.")
    ax.tick_params(axis="y", labelsize=7)
    ax.set_xlabel("Dice points, one standard deviation\nred: range of strategies' means (AUBC)")
    told("\n".join(["Standard deviations in Dice points.", *sentences]), figure, out)


if __name__ == "__main__":
    main()
