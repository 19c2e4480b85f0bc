"""What does a strategy cost the person who annotates?

    python analysis/07_what_does_it_cost_a_person.py RUN [RUN ...] [--out FIGURE.png]

Slices, outlines, clicks and other kinds of work (see alsweep.costs) that each strategy takes to the
Dice which the control ends with, read off mean curves, relative to what the control takes: mean and
range over the settings in which the strategy comes so far.
"""

import numpy as np
import pandas as pd
from asking import asked, axes, control_of, look_of, nothing, told

from alsweep.report.captions import count
from alsweep.report.costing import column, costed


def cost_to(rows: pd.DataFrame, cost: str, dice: float) -> float:
    """Cost at which the mean curve first has that Dice; NaN where it never does."""
    means = rows.groupby("loop")[[cost, "mean_dice"]].mean()
    x, y = means[cost].to_numpy(), means["mean_dice"].to_numpy()
    above = np.flatnonzero(y >= dice)
    if not len(above):
        return float("nan")
    k = int(above[0])
    if k == 0:
        return float(x[0])
    return float(x[k - 1] + (x[k] - x[k - 1]) * (dice - y[k - 1]) / (y[k] - y[k - 1]))


def main() -> None:
    """Tell and draw the work of each strategy against that of the control."""
    study, out = asked(__doc__ or "")
    control, found = control_of(study), costed(study)
    ratios = []
    for _, rows in found.table.groupby("setting"):
        own = rows[rows["strategy"] == control]
        if own.empty:
            continue
        dice = float(own[own["loop"] == own["loop"].max()]["mean_dice"].mean())
        for model in found.models:
            base = cost_to(own, column(model), dice)
            ratios += [
                (strategy, model.name, cost_to(mine, column(model), dice) / base)
                for strategy, mine in rows.groupby("strategy")
                if strategy != control and base > 0
            ]
    table = pd.DataFrame(ratios, columns=["strategy", "cost", "ratio"])
    if table.empty:
        nothing("no setting has the control and another strategy")
    mean = table.pivot_table(index="strategy", columns="cost", values="ratio", dropna=False)
    figure, (ax,) = axes()
    for strategy, row in mean.iterrows():
        look = look_of(study, str(strategy))
        label = f"{look.name}, {reached(table[table['strategy'] == strategy])}"
        ax.plot(range(len(row)), row, "o-", color=look.colour, label=label)
    ax.axhline(1, color="#8a94a3")
    ax.set_xticks(range(len(mean.columns)), list(mean.columns))
    ax.set_ylabel(f"work to the Dice of {control},\nrelative to it")
    ax.tick_params(axis="x", rotation=30)
    ax.legend(fontsize=7, frameon=False)
    told(
        "\n".join(_sentence(str(s), own, control) for s, own in table.groupby("strategy")),
        figure,
        out,
    )


def reached(own: pd.DataFrame) -> str:
    """In how many settings a strategy comes so far at all."""
    of = own.groupby("cost")["ratio"]
    return f"{int(of.count().max())} of {count(int(of.size().max()), 'setting')}"


def _sentence(strategy: str, own: pd.DataFrame, control: str) -> str:
    rows = own.groupby("cost")["ratio"].agg(["mean", "min", "max"]).dropna()
    if rows.empty:
        return f"{strategy} comes to the Dice that {control} ends with in {reached(own)}."
    each = ", ".join(
        f"{row['mean']:.2f} times the {name} ({row['min']:.2f} to {row['max']:.2f})"
        for name, row in rows.iterrows()
    )
    return f"{strategy} comes to the Dice that {control} ends with in {reached(own)}, for {each}."


if __name__ == "__main__":
    main()
