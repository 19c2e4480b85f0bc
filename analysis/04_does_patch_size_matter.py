"""Does the size of a patch matter, at equal numbers of patches and at equal numbers of voxels?

    python analysis/04_does_patch_size_matter.py RUN [RUN ...] [--out FIGURE.png]

Two settings of a dataset and a recipe that differ in the size of their patches are held against
each other where a query has as many patches, or as many voxels to within a tenth: AUBC over
annotated voxels (the range that both share), and over patches where they have as many; differences
are paired by strategy and seed, and the interval is over seeds.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd
from asking import asked, axes, mean_and_ends, nothing, told

from alsweep.results import aubc, effort_aubc

ALIKE = 0.1
RECIPE = ["members", "tta", "epochs"]


def pairs(done: pd.DataFrame) -> Iterator[tuple[str, str, list[str]]]:
    """Two settings, the one of smaller patches first, and what they may be counted by."""
    each = ["patch_size", "query_size", "annotated_voxels"]
    last = done.groupby(["dataset", *RECIPE, "setting"])[each].max()
    for _, own in last.reset_index().groupby(["dataset", *RECIPE]):
        size = own["patch_size"].map(lambda text: np.prod([int(n) for n in text.split("x")]))
        rows = own.assign(size=size).sort_values(["size", "setting"], kind="stable")
        for (_, a), (_, b) in combinations(rows.iterrows(), 2):
            voxels = a["annotated_voxels"] / b["annotated_voxels"]
            if a["patch_size"] == b["patch_size"]:
                continue
            if a["query_size"] == b["query_size"]:
                yield a["setting"], b["setting"], ["patches", "voxels"]
            elif abs(np.log(voxels)) < ALIKE:
                yield a["setting"], b["setting"], ["voxels"]


def areas(done: pd.DataFrame, kind: str) -> pd.DataFrame:
    """AUBC of two settings: a row a seed, a column a setting, mean of strategies."""
    if kind == "patches":
        found = aubc(done)
    else:  # one range for both: else each would be judged on its own
        joint = done.assign(setting="", strategy=done["setting"] + "/" + done["strategy"])
        found = effort_aubc(joint, "annotated_voxels")
        found[["setting", "strategy"]] = found["strategy"].str.split("/", n=1, expand=True)
    table = found.pivot(index=["strategy", "seed"], columns="setting", values="aubc")
    return table.groupby("seed").mean()


def main() -> None:
    """Tell the differences between patch sizes and draw them."""
    study, out = asked(__doc__ or "")
    done = study.done
    sentences, drawn = [], {}
    for small, large, kinds in pairs(done):
        for kind in kinds:
            here = areas(done[done["setting"].isin([small, large])], kind)
            difference = here[large] - here[small]
            name = f"{study.settings[large]} less {study.settings[small]}, by {kind}"
            drawn[name] = difference
            sentences.append(
                f"{name}: {mean_and_ends(difference)} points of AUBC, {difference.count()} seeds."
            )
    if not drawn:
        nothing("no dataset has two patch sizes with as many patches or voxels a query")
    figure, (ax,) = axes(height=1.6 + 0.4 * len(drawn))
    for name, difference in drawn.items():
        ax.plot(100 * difference, [name] * len(difference), "o", color="#86bbd8")
        ax.plot(100 * difference.mean(), name, "|", color="#1c2430", markersize=16)
    ax.axvline(0, color="#8a94a3")
    ax.tick_params(axis="y", labelsize=7)
    ax.set_xlabel("larger less smaller patches, AUBC [points]\ndots: seeds; line: their mean")
    told("\n".join(sentences), figure, out)


if __name__ == "__main__":
    main()
