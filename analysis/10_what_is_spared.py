"""What do sharing and racing spare, and would a race have come to other conclusions?

    python analysis/10_what_is_spared.py RUN [RUN ...] [--out FIGURE.png]

Sharing: hours that members found stored would have taken. Racing: the loops that a race by the
default rule would have left out of a study that was made in full (loop 0 is shared and stays), at
the hours which they took; whom it drops is held against 'compare' on all seeds of the full study,
with whom it lost to as the control.
"""

import pandas as pd
from asking import asked, axes, nothing, told

from alsweep.report.captions import count
from alsweep.report.study import Study
from alsweep.results import compare, savings, simulate_race

KEYS = ["setting", "strategy", "seed"]
SECONDS = ["train_seconds", "evaluate_seconds", "query_seconds"]
PARTS = {
    "needed": ("spent", "#2f4858"),
    "racing": ("spent, a race spares it", "#86bbd8"),
    "sharing": ("spared by sharing", "#dfe5ec"),
}


def spared_by_a_race(done: pd.DataFrame, race: pd.DataFrame) -> "pd.Series[float]":
    """Hours of the loops that the race leaves out, by setting."""
    rows = done.merge(race[[*KEYS, "loops"]], on=KEYS)
    left_out = rows[(rows["loop"] > 0) & (rows["loop"] >= rows["loops"])]
    hours = left_out.groupby("setting")[SECONDS].sum().sum(axis="columns") / 3600
    return hours.reindex(rows["setting"].unique(), fill_value=0.0)


def contradicted(study: Study, dropped: pd.DataFrame) -> int:
    """How many of those dropped are not worse than whom they lost to by 'compare' on all seeds."""
    wrong = 0
    for setting, strategy, against in dropped.itertuples(index=False, name=None):
        rows = compare(study.done[study.done["setting"] == setting], [against])
        wrong += rows.set_index("strategy").loc[strategy, "verdict"] != "worse"
    return wrong


def main() -> None:
    """Tell the hours spared and draw them beside those spent."""
    study, out = asked(__doc__ or "")
    if study.done.empty:
        nothing("no trajectory is finished")
    race = simulate_race(study.done)
    hours = savings(study.done).set_index("setting")[["spent", "sharing"]]
    hours["racing"] = spared_by_a_race(study.done, race)
    dropped = race.dropna(subset=["decided_against"])[["setting", "strategy", "decided_against"]]
    dropped = dropped.drop_duplicates()
    figure, (ax,) = axes(height=1.6 + 0.4 * len(hours))
    names, left = [study.settings[setting] for setting in hours.index], 0 * hours["spent"]
    hours["needed"] = hours["spent"] - hours["racing"]
    for part, (label, colour) in PARTS.items():
        ax.barh(names, hours[part], left=left, color=colour, label=label)
        left = left + hours[part]
    ax.set_xlabel("machine hours")
    ax.legend(fontsize=7, frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    spent, sharing, racing, _ = hours.sum()
    whom = "it drops nobody"
    if len(dropped):
        pairs = len(race.drop_duplicates(["setting", "strategy"]))
        whom = (
            f"of {pairs} pairs of {count(len(hours), 'setting')} and strategies it drops "
            f"{len(dropped)}, of which {contradicted(study, dropped)} are not shown to be worse by "
            "the full study"
        )
    told(
        f"Sharing spared {sharing:.2f} of {spent + sharing:.2f} hours "
        f"({sharing / (spent + sharing):.0%}). A race would have spared {racing:.2f} of the "
        f"{spent:.2f} that were spent ({racing / spent:.0%}): {whom}.",
        figure,
        out,
    )


if __name__ == "__main__":
    main()
