"""The sentence that a report opens with, and what would change it.

Each clause is written from rows of the comparisons: nothing is said that no row says, and what no
test shows is called not shown, never absent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from alsweep.results.paired import MOST_SEEDS, POWER

_MOST_NAMED = 3
"""Comparisons that a sentence names; of more it says how many."""


@dataclass(frozen=True)
class Compared:
    """What a headline is made from.

    Attributes:
        control: Label of the strategy that others are held against.
        names: Label of each strategy to what it is called.
        settings: Each setting to its name.
        rows: From :func:`alsweep.results.compare`, those of this control.
        over: From :func:`alsweep.results.compare_over_settings`, those of this control.
        rope: Difference that counts as none, 0..1.
        alpha: Level of the tests.
    """

    control: str
    names: Mapping[str, str]
    settings: Mapping[str, str]
    rows: pd.DataFrame
    over: pd.DataFrame
    rope: float
    alpha: float

    @property
    def tested(self) -> pd.DataFrame:
        """Rows with a test."""
        return self.rows.dropna(subset=["p"])

    @property
    def places(self) -> int:
        """Settings with a test."""
        return int(self.tested["setting"].nunique())

    @property
    def against(self) -> str:
        """What the control is called."""
        return self.names[self.control]

    def having(self, verdict: str) -> pd.DataFrame:
        """Tested rows of a verdict, the largest difference first."""
        rows = self.tested[self.tested["verdict"] == verdict]
        order = rows["mean_difference"].abs().sort_values(ascending=False, kind="stable").index
        return rows.loc[order]

    def place(self, row: "pd.Series[Any]") -> str:
        """Where a row was measured; empty where that goes without saying."""
        return f" on {self.settings[str(row['setting'])]}" if self.rows_in > 1 else ""

    @property
    def rows_in(self) -> int:
        """Settings that there are rows of."""
        return int(self.rows["setting"].nunique())


def headline(of: Compared) -> str:
    """What the tests show, in one sentence.

    At least one row has a test. Differences are in Dice points of AUBC, each with its unadjusted
    interval; "shown" is said where the p-value that is adjusted over a setting's tests is below
    the level.
    """
    parts = [_better(of), _worse(of), _equivalent(of), _undecided(of)]
    return "; ".join(part for part in parts if part) + "."


def _better(of: Compared) -> str:
    shown, against = of.having("better"), of.against
    if shown.empty:
        where = "" if of.places == 1 else f"On none of {of.places} settings "
        if not where:
            return f"No strategy is shown to be better than {against}{_only(of)}"
        return f"{where}is any strategy shown to be better than {against}"
    without = of.places - shown["setting"].nunique()
    who = _listed(of, shown)
    if of.places == 1:
        verb = "is" if len(shown) == 1 else "are"
        return f"Shown to be better than {against}{_only(of)} {verb} {who}"
    if not without:
        where = f"On each of {of.places} settings"
        return f"{where} a strategy is shown to be better than {against}: {who}"
    verb = "is" if len(shown) == 1 else "are"
    return (
        f"On {without} of {of.places} settings no strategy is shown to be better than {against}; "
        f"elsewhere {verb} {who}"
    )


def _only(of: Compared) -> str:
    """The one setting of several in which there is a test."""
    if of.rows_in == 1:
        return ""
    return f" on {of.settings[str(of.tested['setting'].iloc[0])]}, the only setting with a test,"


def _worse(of: Compared) -> str:
    shown = of.having("worse")
    if shown.empty:
        return ""
    return f"shown to be worse {'is' if len(shown) == 1 else 'are'} {_listed(of, shown)}"


def _equivalent(of: Compared) -> str:
    shown = of.having("equivalent")
    if shown.empty:
        return ""
    alike = f"within {100 * of.rope:g} Dice points of it"
    return f"{alike} {'is' if len(shown) == 1 else 'are'} {_named(of, shown)}"


def _undecided(of: Compared) -> str:
    left = of.having("undecided")
    if left.empty:
        return ""
    if len(left) == len(of.tested):
        return "" if len(left) == 1 else f"all of the {len(left)} comparisons are undecided"
    if len(left) == 1:
        return f"undecided is {_named(of, left)}"
    return f"undecided are {len(left)} of {len(of.tested)} comparisons"


def _listed(of: Compared, rows: pd.DataFrame) -> str:
    """``name by 2.1 [0.4, 3.8] Dice points on setting``; the largest differences."""
    texts = [
        f"{of.names[str(row['strategy'])]} by {_points(abs(row['mean_difference']))} "
        f"[{_interval(row)}] Dice points{of.place(row)}"
        for _, row in rows.iterrows()
    ]
    return _and(texts)


def _named(of: Compared, rows: pd.DataFrame) -> str:
    return _and([f"{of.names[str(r['strategy'])]}{of.place(r)}" for _, r in rows.iterrows()])


def _and(texts: Sequence[str]) -> str:
    more = len(texts) - _MOST_NAMED
    shown = [*texts[:_MOST_NAMED], *([f"{more} more"] if more > 0 else [])]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _points(value: float) -> str:
    return f"{100 * value:.1f}" if abs(value) >= 0.0005 else f"{100 * value:.2g}"


def _interval(row: "pd.Series[Any]") -> str:
    """The ends in the direction of the difference."""
    ends = (row["low"], row["high"]) if row["mean_difference"] > 0 else (-row["high"], -row["low"])
    return ", ".join(_points(end) for end in ends)


def over_settings(of: Compared) -> str:
    """What the test over settings shows; empty where there is none."""
    rows = of.over.dropna(subset=["p"])
    if rows.empty:
        return ""
    count = int(rows["settings"].iloc[0])
    told = [
        f"{_and([of.names[str(s)] for s in rows.loc[rows['verdict'] == verdict, 'strategy']])} "
        f"{'is' if n == 1 else 'are'} ranked {word}"
        for verdict, word in (("better", "higher"), ("worse", "lower"))
        if (n := int((rows["verdict"] == verdict).sum()))
    ]
    where = f"Over {count} settings together, by mean ranks (Demšar's test), "
    if not told:
        return f"{where}no strategy is told apart from {of.against}."
    return f"{where}{' and '.join(told)} than {of.against}."


def what_would_change(of: Compared) -> str:
    """How many more seeds would settle what is undecided, were the differences true."""
    untested = of.rows[of.rows["p"].isna()]
    parts = [_seeds_needed(of), _beyond(of)]
    if len(untested):
        parts.append(
            f"{_named(of, untested)} {'has' if len(untested) == 1 else 'have'} fewer than two "
            f"seeds in common with {of.against}, which a test needs"
        )
    said = [part for part in parts if part]
    if not said:
        return "Nothing is undecided: more seeds would narrow the intervals."
    text = "; ".join(said) + "."
    return text[0].upper() + text[1:] if text[0].isdigit() else text


def _seeds_needed(of: Compared) -> str:
    left = of.having("undecided").dropna(subset=["seeds_to_decide"])
    if left.empty:
        return ""
    left = left.sort_values("seeds_to_decide", kind="stable")
    texts = [
        f"{row['seeds_to_decide']:,} for {of.names[str(row['strategy'])]}{of.place(row)}"
        for _, row in left.iterrows()
    ]
    return (
        f"What would settle it, with a probability of {POWER:.0%} and were the observed "
        f"differences true, are more seeds: {_and(texts)}"
    )


def _beyond(of: Compared) -> str:
    left = of.having("undecided")
    many = left[left["seeds_to_decide"].isna()]
    if many.empty:
        return ""
    return (
        f"{_named(of, many)} {'differs' if len(many) == 1 else 'differ'} so little from "
        f"{of.against} that {MOST_SEEDS:,} more seeds would not settle it"
    )
