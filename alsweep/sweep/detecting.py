"""The smallest difference that the seeds of a sweep can show, before and while it is made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from alsweep.files import canonical_json
from alsweep.layout import space_path
from alsweep.results.paired import POWER, detectable_effect
from alsweep.sweep.missing import finished

if TYPE_CHECKING:
    import pandas as pd

    from alsweep.sweep.plan import Plan, Planned

ALPHA = 0.05
"""Held over all comparisons of a setting, as the report does."""

ASSUMED = 0.01
"""Standard deviation of the differences between paired seeds where no records tell it: one point of
Dice."""


@dataclass(frozen=True)
class Detectable:
    """What settings with so many seeds and comparisons can show.

    Attributes:
        settings: How many settings these are.
        seeds: Of each strategy and control.
        comparisons: Of a setting: each strategy with each control.
        deviation: Standard deviation of the differences in AUBC.
        source: Where that is from.
        difference: That is found with power 0.8 if it is there; None with one seed.
    """

    settings: int
    seeds: int
    comparisons: int
    deviation: float
    source: Literal["records", "assumed"]
    difference: float | None

    def __str__(self) -> str:
        which = f"{self.settings} settings" if self.settings > 1 else "1 setting"
        many = "1 comparison" if self.comparisons == 1 else f"{self.comparisons} comparisons"
        where = f"{which} of {_count(self.seeds, 'seed')} and {many} with controls"
        if self.difference is None:
            return f"{where}: no difference can be shown; write at least 2 seeds"
        known = "from records" if self.source == "records" else "assumed"
        return (
            f"{where}: differences in AUBC of {self.difference:.3g} and more are found with power "
            f"{POWER} (standard deviation of differences {self.deviation:.3g}, {known})"
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def detectable(run: Path, plan: Plan) -> list[Detectable]:
    """What each kind of setting can show; empty where nothing is compared with a control."""
    if not plan.own:
        return []  # all is searched, and nothing compared
    controls = plan.sweep.report.on(plan.names).controls or ()
    kinds: dict[tuple[int, int], int] = defaultdict(int)
    for setting in _settings(plan.own):
        if kind := _kind(setting, controls):
            kinds[kind] += 1
    if not kinds:
        return []
    found = _deviation(run, plan, controls)
    deviation = ASSUMED if found is None else found
    return [
        Detectable(
            settings,
            seeds,
            comparisons,
            deviation,
            "assumed" if found is None else "records",
            _smallest(seeds, comparisons, deviation),
        )
        for (seeds, comparisons), settings in kinds.items()
    ]


def _settings(own: Sequence[Planned]) -> Iterable[list[Planned]]:
    """Trajectories that differ in strategy and seed alone."""
    settings: dict[str, list[Planned]] = defaultdict(list)
    for one in own:
        where = {} if one.cell is None else one.cell.where
        settings[canonical_json([one.dataset_fingerprint, where])].append(one)
    return settings.values()


def _kind(setting: Sequence[Planned], controls: Sequence[str]) -> tuple[int, int] | None:
    """Seeds that all strategies of a setting have, and pairs of a strategy and a control."""
    seeds: dict[str, set[int]] = defaultdict(set)
    for one in setting:
        seeds[one.label].add(one.config.seed)
    here = sum(control in seeds for control in controls)
    # Two controls meet once.
    pairs = here * (len(seeds) - here) + here * (here - 1) // 2
    return (len(set.intersection(*seeds.values())), pairs) if pairs else None


def _smallest(seeds: int, comparisons: int, deviation: float) -> float | None:
    """Holm's first step divides alpha by the number of comparisons."""
    if seeds < 2:
        return None
    return deviation * detectable_effect(seeds, alpha=ALPHA / comparisons)


def _deviation(run: Path, plan: Plan, controls: Sequence[str]) -> float | None:
    """Pooled over all pairs of which at least two seeds are done; None without any."""
    if not space_path(run).exists() or len(finished(run, plan)) < 2:
        return None
    from alsweep.results import load_results
    from alsweep.results.metrics import aubc

    squares = freedom = 0.0
    for deviation, n in _pairs(aubc(load_results(run)), controls):
        squares += (n - 1) * deviation**2
        freedom += n - 1
    return float((squares / freedom) ** 0.5) if freedom and squares else None


def _pairs(scores: pd.DataFrame, controls: Sequence[str]) -> Iterator[tuple[float, int]]:
    """Standard deviation of the differences and seeds, of each strategy and control."""
    from alsweep.results.paired import paired_tests

    for _, group in scores.groupby("setting", sort=True):
        each = group.pivot(index="strategy", columns="seed", values="aubc")
        here = [control for control in controls if control in each.index]
        for place, control in enumerate(here):
            others = each.drop(index=here[: place + 1])
            tests = paired_tests((others - each.loc[control]).to_numpy())
            known = tests.n >= 2
            yield from zip(tests.deviation[known], tests.n[known], strict=True)
