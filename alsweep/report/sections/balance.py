"""How often each strategy beats a control, and is beaten by it: wins up, losses down."""

from collections.abc import Iterator

import pandas as pd

from alsweep.report.captions import ALPHA, alone, controls_of, count
from alsweep.report.figures import axis, layout, plain, short
from alsweep.report.section import (
    Block,
    Caption,
    Controls,
    Figure,
    Figures,
    Material,
    Section,
    Switch,
    Tables,
    switched,
)
from alsweep.report.study import Study
from alsweep.report.tables import Table, percent
from alsweep.results import win_balance

_AGAINST = "against"


def _blocks(material: Material) -> Iterator[Block]:
    study, every = material.study, _over_all(material)
    controls = [c for c in controls_of(study) if c in set(every["control"])]
    names = {look.strategy: look.name for look in study.looks}
    if len(controls) > 1:
        texts = tuple((control, f"against {names[control]}") for control in controls)
        yield Controls((Switch(_AGAINST, "Control", texts),))
    figures = {control: _bars(study, every[every["control"] == control]) for control in controls}
    yield Figures(
        (("", switched(_AGAINST, figures) if len(controls) > 1 else figures[controls[0]]),)
    )
    yield Caption(
        f"Up: share of budgets at which a strategy beats the control (paired t-test at {ALPHA:.0%}"
        ", without correction); down: share at which it loses; the rest is undecided. Mean over "
        f"{count(len(study.settings), 'setting')}; loop 0 does not enter. A picture of where tests "
        "came out: what counts is the comparison against the controls above."
    )
    yield Tables((("", _table(names, every)),))


def _balance(study: Study) -> pd.DataFrame:
    return win_balance(study.table, controls_of(study), alpha=ALPHA)


def _over_all(material: Material) -> pd.DataFrame:
    """Rows of all settings together."""
    found = material.once(_balance)
    return found[found["setting"].isna()]


def _bars(study: Study, rows: pd.DataFrame) -> Figure:
    by_strategy = rows.set_index("strategy")
    looks = [look for look in study.looks if look.strategy in by_strategy.index]
    data = []
    for side, sign in (("win", 100), ("loss", -100)):
        shares = [sign * float(by_strategy[side].loc[look.strategy]) for look in looks]
        data.append(
            {
                "type": "bar",
                "name": side,
                "x": [plain(look.name) for look in looks],
                "y": [round(share, 3) for share in shares],
                "text": [f"{abs(share):.0f}" for share in shares],
                "textposition": "outside",
                "cliponaxis": False,
                "marker": {
                    "color": [look.colour for look in looks],
                    # Not told by colour alone: losses are pale.
                    "opacity": 0.95 if side == "win" else 0.45,
                },
                "hovertemplate": f"%{{x}}: {side} at %{{text}} % of budgets<extra></extra>",
            }
        )
    ticks = {"tickvals": [-100, -50, 0, 50, 100], "ticktext": ["100", "50", "0", "50", "100"]}
    names = {
        "tickvals": [plain(look.name) for look in looks],
        "ticktext": [short(look.name) for look in looks],
    }
    up = axis("loses ← budgets [%] → wins", range=[-112, 112], zeroline=True, **ticks)
    across = axis("", showgrid=False, ticks="", tickangle=-35, **names)
    return {
        "data": data,
        "layout": layout(barmode="relative", xaxis=across, yaxis=up, height=380),
    }


def _table(names: dict[str, str], every: pd.DataFrame) -> Table:
    rows = tuple(
        (
            names[str(row["strategy"])],
            names[str(row["control"])],
            *(percent(row[name]) for name in ("win", "loss", "balance")),
            str(row["settings"]),
        )
        for _, row in every.iterrows()
    )
    return Table(("Strategy", "Against", "Win [%]", "Loss [%]", "Win - loss [%]", "Settings"), rows)


def _applies(material: Material) -> bool:
    study = material.study
    return bool(controls_of(study)) and not alone(study) and len(_over_all(material)) > 0


SECTION = Section(
    id="balance",
    title="Wins and losses",
    place=42,
    blocks=_blocks,
    files={
        "win_balance.csv": lambda material: material.once(_balance).to_csv(index=False).encode()
    },
    applies=_applies,
    still="win_balance",
)
