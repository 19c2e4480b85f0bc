"""Where a class was not learned: were its labels lacking, or did the training fail?

    python analysis/09_labels_or_training.py RUN [RUN ...] [--out FIGURE.png]

Voxels of each class among the labels of a training, against the Dice of the class. A class with a
Dice of at most 0.5 counts as not learned. Without a single voxel of it no training could have
learned it, and the strategy did not ask for it; with many, the training failed.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from asking import asked, axes, look_of, nothing, told
from matplotlib.axes import Axes

from alsweep.layout import query_path
from alsweep.report.mixes import query_mix
from alsweep.report.study import Study
from alsweep.report.volumes import open_datasets
from alsweep.results.records import read_query
from alsweep.results.strength import LEARNED


def trainings(study: Study) -> Iterator[pd.DataFrame]:
    """Of each trajectory and class a row a training after the shared loop 0."""
    opened = open_datasets(study)
    for trajectory in (one for run in study.runs for one in run.trajectories):
        rows = study.done[study.done["trajectory"] == trajectory.id].sort_values("loop")
        if rows.empty:
            continue
        volumes = opened[trajectory.id].volumes
        if volumes is None:
            nothing(f"the dataset of {trajectory.id} is {opened[trajectory.id].description}")
        queries = (read_query(query_path(trajectory.folder, loop)) for loop in rows["loop"])
        voxels = np.cumsum([query_mix(volumes, query).voxels for query in queries], axis=0)
        for label, name in enumerate(volumes.classes[1:], start=1):
            if f"dice_{name}" in rows:
                own = {"class": name, "voxels": voxels[:, label], "dice": rows[f"dice_{name}"]}
                yield rows.assign(**own).query("loop > 0").dropna(subset=["dice"])


def sentence(study: Study, name: str, setting: str, rows: pd.DataFrame) -> str:
    """Who did not learn the class, and how much of it they had."""
    failed = rows[rows["dice"] <= LEARNED]
    some = failed.loc[failed["voxels"] > 0, "voxels"]
    each = [
        f"{look_of(study, str(strategy)).name} {len(own)} ({(own['voxels'] == 0).sum()})"
        for strategy, own in failed.groupby("strategy")
    ]
    others = f"{some.min():,.0f} to {some.max():,.0f}, median {some.median():,.0f}"
    return (
        f"{name}, {study.settings[setting]}: {len(failed)} of {len(rows)} trainings did not learn "
        f"it, in brackets those without a voxel of it: {', '.join(each)}"
        f"{f'; voxels of the others: {others}' if len(some) else ''}."
    )


def drawn(study: Study, ax: Axes, name: str, rows: pd.DataFrame) -> None:
    """Dice of a class over its labels."""
    for strategy, own in rows.groupby("strategy"):
        look = look_of(study, str(strategy))
        ax.plot(
            own["voxels"], own["dice"], "o", ms=4, alpha=0.6, color=look.colour, label=look.name
        )
    ax.axhline(LEARNED, color="#8a94a3")
    ax.set_xscale("symlog", linthresh=10)
    ax.set(xlim=(-1, None), xlabel=f"voxels of {name} among the labels", ylabel="its Dice")
    ax.legend(fontsize=7, frameon=False)


def main() -> None:
    """Tell who failed for want of what; draw Dice over labels."""
    study, out = asked(__doc__ or "")
    found = pd.concat([pd.DataFrame({"dice": []}), *trainings(study)])
    failed = found[found["dice"] <= LEARNED]
    if failed.empty:
        nothing("every training after loop 0 learned every class")
    groups = found.groupby(["class", "setting"], sort=False)
    said = [sentence(study, *key, rows) for key, rows in groups if (rows["dice"] <= LEARNED).any()]
    each = list(found[found["class"].isin(failed["class"])].groupby("class", sort=False))
    figure, panels = axes(len(each))
    for (name, rows), ax in zip(each, panels, strict=True):
        drawn(study, ax, name, rows)
    told("\n".join(said), figure, out)


if __name__ == "__main__":
    main()
