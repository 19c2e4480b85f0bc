"""What does each setting of a dataset, such as a training option, add to the first of them?

    python analysis/08_what_do_options_add.py RUN [RUN ...] [--out FIGURE.png]

Mean Dice of every loop, less that of the setting which the runs name first; differences are paired
by strategy and seed, averaged over strategies, and the interval is over seeds.
"""

import pandas as pd
from asking import asked, axes, mean_and_ends, nothing, told


def differences(done: pd.DataFrame, first: str) -> pd.DataFrame:
    """Dice less that of the first setting: a row a seed and loop, a column a setting."""
    keys = ["strategy_name", "seed", "loop"]
    dice = done.pivot_table(index=keys, columns="setting_name", values="mean_dice")
    others = [name for name in dict.fromkeys(done["setting_name"]) if name != first]
    return dice[others].sub(dice[first], axis=0).groupby(["seed", "loop"]).mean()


def main() -> None:
    """Tell what the settings add and draw it."""
    study, out = asked(__doc__ or "")
    of_dataset = study.done.groupby("dataset", sort=False)
    several = {name: done for name, done in of_dataset if done["setting_name"].nunique() > 1}
    if not several:
        nothing("no dataset has two settings")
    sentences, (figure, panels) = [], axes(len(several))
    for (name, done), ax in zip(several.items(), panels, strict=True):
        first = done["setting_name"].iloc[0]
        found = differences(done, first)
        for loop, rows in found.groupby("loop"):
            budget = int(done.loc[done["loop"] == loop, "annotated_patches"].iloc[0])
            sentences += [
                f"{name}, {budget} patches, {setting}: {mean_and_ends(rows[setting])} points of "
                f"Dice against {first}, {rows[setting].count()} seeds."
                for setting in found
            ]
        means = 100 * found.groupby("loop").mean()
        for setting in means:
            ax.plot(means.index, means[setting], "o-", label=setting)
        ax.axhline(0, color="#8a94a6", linewidth=0.8)
        ax.set_title(f"{name}, against {first}", fontsize=9, loc="left")
        ax.set_xlabel("loop")
        ax.set_xticks(list(means.index))
        ax.set_ylabel("difference of Dice [points]")
        ax.legend(fontsize=7, frameon=False)
    told("\n".join(sentences), figure, out)


if __name__ == "__main__":
    main()
