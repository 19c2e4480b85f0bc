"""What a reader must know to read a figure rightly; every sentence is made from the data."""

import pandas as pd
from scipy.special import stdtrit

from alsweep.report.study import Study
from alsweep.results import minimal_difference, rank_stability

ALPHA = 0.05
POWER = 0.8


def seed_counts(study: Study) -> "pd.Series[int]":
    """Number of seeds of each finished (setting, strategy)."""
    return study.done.groupby(["setting", "strategy"])["seed"].nunique()


def count(number: int, noun: str, plural: str = "") -> str:
    """``1 seed``, ``2 seeds``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def notices(study: Study) -> list[str]:
    """What is missing from this report; empty where nothing is."""
    found = []
    # What one run lacks may be finished in another.
    told = {t.id for t in study.trajectories if t.status == "done"}
    for run in study.runs:
        missing = [t for t in run.trajectories if t.id not in told]
        told |= {t.id for t in missing}
        waiting = [t for t in missing if t.status in ("running", "truncated")]
        failed = [t for t in missing if t.status == "failed"]
        if waiting:
            total = len(run.trajectories)
            found.append(
                f"{len(waiting)} of {count(total, 'trajectory', 'trajectories')} of {run.name} "
                f"{'is' if len(waiting) == 1 else 'are'} not finished and left out of every figure "
                "and test."
            )
        found += [f"{t.id} failed and is left out: {t.error}" for t in failed]
    undefined = study.done[study.done["mean_dice"].isna()]
    if len(undefined):
        found.append(
            f"Mean Dice is undefined in {count(len(undefined), 'loop')}; "
            "they are gaps in the curves and enter no test."
        )
    return found


def curves_caption(study: Study) -> str:
    """What line and band of the learning curves are."""
    counts = seed_counts(study)
    if counts.empty:
        return "No trajectory is finished yet, so there is no curve to show."
    low, high = int(counts.min()), int(counts.max())
    seeds = count(low, "seed") if low == high else f"{low} to {high} seeds"
    band = (
        f"Lines are means over {seeds}, bands ±1 standard deviation (ddof 1)"
        if high > 1
        else "Lines are single trajectories (1 seed), so there is no band"
    )
    small = " With so few seeds the band itself is uncertain." if 1 < high < 5 else ""
    return (
        f"{band}. Dice is measured on the validation cases.{small} "
        "At the first point all strategies share the same starting budget and the same networks. "
        f"Dashed with white markers: baselines that use no network.{_oracle_mark(study)}"
        f"{_full_line(study)}"
    )


def _full_line(study: Study) -> str:
    if not study.references:
        return ""
    return (
        " Dotted: the same recipe trained on the fully annotated pool, mean over "
        f"{count(_fewest_references(study), 'seed')}."
    )


def _fewest_references(study: Study) -> int:
    return min(len(records) for records in study.references.values())


def efficiency_caption(study: Study) -> str:
    """What FG-Eff is, and where it has no value."""
    missing = [name for setting, name in study.settings.items() if setting not in study.references]
    lacking = (
        f" Without a full-data reference, and so not shown: {'; '.join(missing)}."
        if missing
        else ""
    )
    return (
        "Rate at which mean Dice nears that of the fully annotated pool per annotated share of its "
        "foreground; higher is more Dice per annotated foreground voxel. Fitted to all seeds and "
        "loops of a strategy; the error is that of the fit, the interval a 95 % bootstrap over "
        "seeds. An em dash: the reference does not exceed the start, or there is one seed only."
        f"{lacking}"
    )


def _oracle_mark(study: Study) -> str:
    if not any(look.oracle for look in study.looks):
        return ""
    return (
        " †: the strategy looks at the reference labels to place its patches, "
        "which no annotation project can do."
    )


def power_caption(study: Study) -> str:
    """What the tests of this report could find at all."""
    tests = minimal_difference(study.table, alpha=ALPHA, power=POWER)
    if tests.empty:
        return (
            "No test is possible: a paired test needs two strategies in the same setting "
            "with at least 2 common seeds and a loop after the first."
        )
    low, high = int(tests["seeds"].min()), int(tests["seeds"].max())
    factor = float(stdtrit(low - 1, 1 - ALPHA / 2)) / low**0.5
    seeds = count(low, "seed") if low == high else f"{low} to {high} seeds"
    remark = (
        " With 2 seeds hardly any win can be significant, and one that is may owe it to two "
        "differences that are alike by chance."
        if low == 2
        else ""
    )
    return (
        f"What could be significant at all: with {seeds}, a mean difference must exceed "
        f"{factor:.2f} times the standard deviation of the paired differences.{remark} "
        f"A true difference of {100 * tests['minimal'].median():.2f} Dice points (median over the "
        f"{count(len(tests), 'comparison')}; {100 * tests['minimal'].min():.2f} to "
        f"{100 * tests['minimal'].max():.2f}) would be found with a probability of {POWER:.0%}. "
        "A cell of 0 is no proof that two strategies are equal."
    )


def wins_caption(matrix: pd.DataFrame) -> str:
    """How the win matrix was made, and what chance alone would give."""
    tests, constant = matrix.attrs["tests"], matrix.attrs["constant"]
    equal = (
        f" {count(constant, 'win')} rest on differences that are exactly equal for all seeds."
        if constant
        else ""
    )
    return (
        "Share of budgets at which the row's strategy beats the column's significantly: two-sided "
        f"paired t-test, pairs matched by seed, level {ALPHA:.0%}, mean over settings. Loop 0 is "
        "the same for all strategies and is left out of the tests and of the share. "
        f"{count(tests, 'test')}; were there no differences, about {ALPHA * tests:.1f} would be "
        "significant by chance. With the Holm correction the level holds for all tests of a "
        f"setting together.{equal}"
    )


def ranking_caption(study: Study, ranks: pd.DataFrame) -> str:
    """What a rank and its interval mean, and how much they hang on single seeds."""
    if ranks.empty:
        return (
            "No ranking: it needs finished trajectories with at least two loops and a common seed."
        )
    settings = int(ranks["settings"].max())
    text = (
        "Strategies ranked by AUBC in each setting (1 is the highest, ties share the smallest "
        f"rank), mean over {count(settings, 'setting')}. "
    )
    if ranks["low"].isna().all():
        return text + "There is no interval, since a setting has one common seed only."
    seeds = int(seed_counts(study).min())
    text += (
        "Intervals: 95 % of 1,000 bootstrap draws of seeds within each setting, the same seeds for "
        f"all strategies. With {count(seeds, 'seed')} such an interval is too narrow rather than "
        "too wide, and it says nothing about other datasets. "
    )
    taus = rank_stability(study.table)["tau"].dropna()
    if len(taus):
        low, high = f"{taus.min():.2f}", f"{taus.max():.2f}"
        span = f"is {low} each time" if low == high else f"lies between {low} and {high}"
        text += f"Leaving out one seed at a time, Kendall's τ with this ranking {span}."
    return text


def compute_caption(study: Study) -> str:
    """Why times of strategies are not simply comparable."""
    stored = int(study.done["cached_members"].sum())
    saved = (
        f" {count(stored, 'member')} were found stored (loop 0 is trained once for all strategies "
        "of a setting and seed) and cost no time here, so that totals differ from what a strategy "
        "would need on its own."
        if stored
        else ""
    )
    return f"Sums over the loops of a trajectory, mean over seeds; wall-clock seconds.{saved}"
