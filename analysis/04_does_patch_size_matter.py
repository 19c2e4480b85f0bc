"""Does the size of a patch matter, counted by patches and counted by voxels?

    python analysis/04_does_patch_size_matter.py RUN [RUN ...] [--out FIGURE.png]

AUBC of every strategy and seed at each patch size of a dataset, over patches and over annotated
voxels (the range that all share); differences are paired by strategy and seed, and the interval is
over seeds.
"""

import pandas as pd
from asking import asked, axes, mean_and_ends, nothing, told

from alsweep.results import aubc, effort_aubc


def areas(done: pd.DataFrame) -> pd.DataFrame:
    """AUBC over patches and over voxels, by dataset, patch size, strategy and seed."""
    sizes = done.groupby("setting")[["dataset", "patch_size"]].first()
    by_patch = aubc(done).rename(columns={"aubc": "patches"})
    # One range for all patch sizes of a dataset: else each would be judged on its own.
    joint = done.assign(setting=done["dataset"], strategy=done["setting"] + "/" + done["strategy"])
    by_voxel = effort_aubc(joint, "annotated_voxels").rename(columns={"aubc": "voxels"})
    by_voxel[["setting", "strategy"]] = by_voxel["strategy"].str.split("/", n=1, expand=True)
    merged = by_patch.merge(by_voxel, on=["setting", "strategy", "seed"])
    return merged.join(sizes, on="setting")


def main() -> None:
    """Tell the differences between patch sizes and draw them."""
    study, out = asked(__doc__ or "")
    found = areas(study.done)
    several = found.groupby("dataset")["patch_size"].nunique()
    names = list(several.index[several > 1])
    if not names:
        nothing("no dataset has two patch sizes")
    sentences, (figure, panels) = [], axes(len(names))
    for name, ax in zip(names, panels, strict=True):
        here = found[found["dataset"] == name]
        table = here.pivot_table(
            index=["strategy", "seed"], columns="patch_size", values=["patches", "voxels"]
        )
        first, *others = sorted(here["patch_size"].unique(), key=lambda s: (len(s), s))
        for kind, marker in (("patches", "o-"), ("voxels", "s--")):
            per_seed = table[kind].groupby("seed").mean()
            ax.plot(per_seed.columns, 100 * per_seed.mean(), marker, label=f"counted by {kind}")
            sentences += [
                f"{name}, counted by {kind}: patches of {size} give "
                f"{mean_and_ends(per_seed[size] - per_seed[first])} points of AUBC against {first}."
                for size in others
            ]
        ax.set_title(name, fontsize=9, loc="left")
        ax.set_ylabel("AUBC [%], mean of strategies")
        ax.legend(fontsize=7, frameon=False)
    told("\n".join(sentences), figure, out)


if __name__ == "__main__":
    main()
