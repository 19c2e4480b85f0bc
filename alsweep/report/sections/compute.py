"""Time and stored members."""

from collections.abc import Iterator

import pandas as pd

from alsweep.report.captions import (
    count,
    pretrained_text,
    same_seeds,
    seed_counts,
    span,
    taken_over,
    taken_over_text,
)
from alsweep.report.figures import axis, layout, names_axis, panels, plain
from alsweep.report.section import Block, Caption, Figure, Figures, Material, Section, Tables
from alsweep.report.study import Study
from alsweep.report.tables import NamedTable, per_setting

_PHASES = {"train_seconds": "train", "evaluate_seconds": "evaluate", "query_seconds": "query"}
_COLOURS = {"train": "#33658a", "evaluate": "#86bbd8", "query": "#f6ae2d"}


def _blocks(material: Material) -> Iterator[Block]:
    seconds = material.once(_seconds)
    yield Figures(panels(material.study, lambda study, name: _bars(study, name, seconds)))
    yield Tables(_tables(material.study))
    yield Caption(_caption(material.study))


def _seconds(study: Study) -> pd.DataFrame:
    """Seconds of a trajectory by phase, mean over seeds."""
    keys = ["setting", "strategy"]
    each = study.done.groupby([*keys, "trajectory"], sort=False)[list(_PHASES)].sum()
    return each.groupby(keys, sort=False).mean().reset_index()


def _bars(study: Study, setting: str, seconds: pd.DataFrame) -> Figure:
    """Phases of a setting's strategies beside each other."""
    totals = seconds[seconds["setting"] == setting].set_index("strategy")
    looks = [look for look in study.looks if look.strategy in totals.index]
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "y": [plain(look.name) for look in looks],
            "x": [round(float(totals[column].loc[look.strategy]), 3) for look in looks],
            "marker": {"color": _COLOURS[name]},
            "hovertemplate": f"{name}: %{{x:.1f}} s<extra>%{{y}}</extra>",
        }
        for column, name in _PHASES.items()
    ]
    legend = {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "traceorder": "normal"}
    return {
        "data": data,
        "layout": layout(
            barmode="stack",
            showlegend=True,
            legend=legend,
            margin={"l": 64, "r": 16, "t": 40, "b": 48},
            xaxis=axis("seconds a trajectory"),
            yaxis=names_axis([k.name for k in looks], autorange="reversed", showgrid=False),
            height=150 + 40 * len(looks),
        ),
    }


def _tables(study: Study) -> tuple[NamedTable, ...]:
    """Time and stored members of a trajectory, mean over seeds."""
    columns = ("Strategy", "Train [s]", "Evaluate [s]", "Query [s]", "Members", "Found stored")

    def cells(mine: pd.DataFrame) -> tuple[str, ...]:
        summed = [*_PHASES, "members", "cached_members"]
        totals = mine.groupby("trajectory")[summed].sum().mean()
        seconds = (f"{totals[name]:,.1f}" for name in _PHASES)
        return (*seconds, f"{totals['members']:.1f}", f"{totals['cached_members']:.1f}")

    return per_setting(study, study.done, columns, cells)


def _caption(study: Study) -> str:
    """Why times of strategies are not simply comparable."""
    sums = f"Sums over the loops of a trajectory, mean over {span(seed_counts(study), 'seed')}"
    lacking = "" if same_seeds(study) else ", each strategy's own"
    notes = (_saved, pretrained_text, taken_over_text)
    return f"{sums}{lacking}; wall-clock seconds.{''.join(note(study.done) for note in notes)}"


def _saved(done: pd.DataFrame) -> str:
    done = done[~taken_over(done)]
    stored = int(done["cached_members"].sum())
    if not stored:
        return ""
    first = int(done.loc[done["loop"] == 0, "cached_members"].sum())
    shared = "loop 0 is trained once for all strategies of a setting and seed"
    which = {stored: f" ({shared})", 0: ""}.get(first, f" ({first} of them at loop 0: {shared})")
    were = "was" if stored == 1 else "were"
    return (
        f" {count(stored, 'member')} {were} found stored{which} and cost no time here, so that "
        "totals differ from what a strategy would need on its own."
    )


SECTION = Section(
    id="compute",
    title="Compute",
    place=90,
    blocks=_blocks,
    files={"compute.csv": lambda material: material.once(_seconds).to_csv(index=False).encode()},
    still="compute",
)
