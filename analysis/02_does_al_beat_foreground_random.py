"""Does active learning beat foreground-aware random placement, and by how much?

    python analysis/02_does_al_beat_foreground_random.py RUN [RUN ...] [--out FIGURE.png]

Every strategy against the first control (random_fg66 unless the sweep declares another), AUBC,
paired by seed, Holm over the tests of a setting, those with the other controls included.
"""

from asking import asked, axes, control_of, look_of, nothing, told

from alsweep.report.captions import ALPHA
from alsweep.report.compared import compared, compared_over_settings
from alsweep.report.headline import Compared, headline, over_settings, what_would_change
from alsweep.results import detectable
from alsweep.results.paired import POWER


def what_is_detectable(of: Compared) -> str:
    """From where to where the comparisons could have found a difference."""
    least = 100 * of.rows["detectable"].dropna().sort_values()
    ends = [
        f"{least.loc[at]:.1f} points for {of.names[of.rows.loc[at, 'strategy']]}"
        f"{of.place(of.rows.loc[at])}"
        for at in (least.index[0], least.index[-1])
    ]
    return (
        f"Found with a probability of {POWER:.0%} would be true differences of {' to '.join(ends)}."
    )


def main() -> None:
    """Tell the headline and draw the differences with their intervals."""
    study, out = asked(__doc__ or "")
    control = control_of(study)
    rows, over = compared(study), compared_over_settings(study)
    rows = rows.assign(detectable=detectable(rows))
    of = Compared(
        control,
        {look.strategy: look.name for look in study.looks},
        study.settings,
        rows[rows["control"] == control],
        over[over["control"] == control],
        study.asked.rope,
        ALPHA,
    )
    if not of.places:
        nothing("no strategy has two seeds in common with the control")
    figure, (ax,) = axes(height=1.8 + 0.32 * len(of.rows))
    for place, (_, row) in enumerate(of.rows.iterrows()):
        look = look_of(study, str(row["strategy"]))
        ends = [[100 * (row["mean_difference"] - row["low"])]] * 2
        ax.errorbar(100 * row["mean_difference"], -place, xerr=ends, fmt="o", color=look.colour)
    names = [f"{r['strategy']}{of.place(r)}" for _, r in of.rows.iterrows()]
    ax.set_yticks([-i for i in range(len(names))], names, fontsize=7)
    ax.axvspan(-100 * of.rope, 100 * of.rope, color="#dfe5ec")
    ax.set_xlabel(f"AUBC above {of.against}\n[Dice points], 95 % interval")
    sentences = [headline(of), over_settings(of), what_would_change(of), what_is_detectable(of)]
    told("\n".join(s for s in sentences if s), figure, out)


if __name__ == "__main__":
    main()
