"""What several sections say; every sentence is made from the data."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from alsweep.report.study import Study
from alsweep.results.compute import pretrained

ALPHA = 0.05

_MOST = 8
"""What a sentence can hold."""


def seed_counts(study: Study) -> "pd.Series[int]":
    """Number of seeds of each finished (setting, strategy)."""
    return study.done.groupby(["setting", "strategy"])["seed"].nunique()


def count(number: int, noun: str, plural: str = "") -> str:
    """``1 seed``, ``2 seeds``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def span(numbers: Iterable[int], noun: str = "") -> str:
    """``3 seeds``, or ``2 to 3 seeds`` where they differ; without a noun the numbers alone."""
    values = sorted(set(numbers))
    if not values:
        return count(0, noun) if noun else "—"
    if len(values) > 1:
        return f"{values[0]} to {values[-1]}{f' {noun}s' if noun else ''}"
    return count(values[0], noun) if noun else str(values[0])


def some(texts: Sequence[str], by: str = "; ") -> str:
    """The first of many, and how many more there are."""
    more = [f"{len(texts) - _MOST} more"] if len(texts) > _MOST else []
    return by.join([*texts[:_MOST], *more])


def seeds_of(study: Study) -> dict[tuple[str, str], tuple[int, ...]]:
    """Seeds of each finished (setting, strategy), ascending."""
    groups = study.done.groupby(["setting", "strategy"], sort=False)["seed"]
    return {key: tuple(sorted(seeds.unique().tolist())) for key, seeds in groups}  # type: ignore[misc]


def same_seeds(study: Study) -> bool:
    """Whether in each setting all finished strategies have the same seeds."""
    found: dict[str, set[tuple[int, ...]]] = {}
    for (setting, _), seeds in seeds_of(study).items():
        found.setdefault(setting, set()).add(seeds)
    return all(len(each) == 1 for each in found.values())


def unequal_seeds(study: Study) -> str:
    """Who has not all seeds of a setting; empty where nobody lacks any."""
    each = seeds_of(study)
    every: dict[str, set[int]] = {}
    for (setting, _), seeds in each.items():
        every.setdefault(setting, set()).update(seeds)
    several = len(study.settings) > 1
    names = {look.strategy: look.name for look in study.looks}
    lacking = [
        f"{names[strategy]} {listed(seeds)} of {listed(sorted(every[setting]))}"
        + (f" ({study.settings[setting]})" if several else "")
        for (setting, strategy), seeds in each.items()
        if set(seeds) != every[setting]
    ]
    return f"Seeds differ between strategies: {some(lacking)}." if lacking else ""


def not_ranked(study: Study, ranks: pd.DataFrame) -> str:
    """Who is not ranked, and where nobody is, with a space before; empty where all are."""
    several = len(study.settings) > 1
    names = {look.strategy: look.name for look in study.looks}
    few = [
        f"{names[strategy]} with {has} of {of}"
        + (f" ({study.settings[setting]})" if several else "")
        for setting, strategy, has, of in ranks.attrs["left_out"]
    ]
    alone = dict(ranks.attrs["alone"])
    without = [s for s, seeds in ranks.attrs["seeds"].items() if not seeds and s not in alone]
    nobody = [study.settings[setting] for setting in without]
    text = f" Left out, with fewer than half of a setting's seeds: {some(few)}." if few else ""
    if nobody and several:
        text += f" Not ranked for want of a common seed: {some(nobody)}."
    if alone and several:
        who = [f"{names[one]} ({study.settings[s]})" for s, one in alone.items()]
        text += f" Not ranked for want of a rival: {some(who)}."
    return text


def taken_over(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Whether a loop was made by a trajectory with another number of loops: it took nothing."""
    return (rows[["train_seconds", "evaluate_seconds", "query_seconds"]] == 0).all(axis="columns")


def pretrained_text(done: pd.DataFrame) -> str:
    """What was learnt before any training, which is in none of the sums; nothing, if nothing."""
    each = pretrained(done)
    if each.empty:
        return ""
    shared = count(int(each["trajectories"].sum()), "trajectory", "trajectories")
    return (
        f" Pretraining took {each['hours'].sum() * 3600:,.1f} s more, counted once: "
        f"{count(len(each), 'network')} for {shared}."
    )


def taken_over_text(rows: pd.DataFrame) -> str:
    """What was taken over, with a space before; empty where nothing was."""
    loops = int(taken_over(rows).sum())
    if not loops:
        return ""
    return (
        f" {count(loops, 'loop')} more {'was' if loops == 1 else 'were'} taken over from "
        "trajectories with another number of loops, and what they took is counted there alone."
    )


def listed(seeds: Sequence[int]) -> str:
    """The seeds, or their number where they are many."""
    return ", ".join(map(str, seeds)) if len(seeds) <= _MOST else count(len(seeds), "seed")


def over_seeds(study: Study) -> str:
    """What the numbers of a table are that has a row for each strategy."""
    counts = seed_counts(study)
    if counts.empty:
        return "No trajectory is finished."
    if counts.max() == 1:
        return "Values of single trajectories (1 seed)."
    lacking = "" if same_seeds(study) else ", each of its own seeds (last column)"
    return (
        f"Mean ± standard deviation over {span(counts, 'seed')}{lacking}; n where a value is "
        "defined for fewer."
    )


def controls_of(study: Study) -> list[str]:
    """Labels of the controls of which something is finished, in the order declared."""
    done = set(study.done["strategy"])
    return [control for control in study.asked.controls or () if control in done]


def alone(study: Study) -> str:
    """Why there is nothing to compare; empty where there are two strategies or more."""
    done = set(study.done["strategy"])
    names = [look.name for look in study.looks if look.strategy in done]
    if len(names) != 1:
        return ""
    return f"{names[0]} is the only strategy that has finished trajectories"


@dataclass(frozen=True)
class Start:
    """Whether the strategies of a setting and seed begin alike; of finished trajectories.

    Attributes:
        groups: Settings and seeds with two strategies or more.
        apart: Of these, those whose starting budgets differ.
        retrained: Of these, those with one starting budget whose first networks differ.
    """

    groups: int
    apart: int
    retrained: int

    @property
    def same(self) -> bool:
        """Whether all that is measured at loop 0 is the same, seed by seed."""
        return self.groups > 0 and not self.apart and not self.retrained


def start_of(study: Study) -> Start:
    """What the strategies share at loop 0, by the hashes of budgets and the keys of members."""
    done = set(study.done["trajectory"])
    budgets: dict[tuple[str, int], list[str]] = {}
    networks: dict[tuple[str, int], set[tuple[str, ...]]] = {}
    for trajectory in study.trajectories:
        if trajectory.id in done and trajectory.config is not None and trajectory.records:
            first = trajectory.records[0]
            key = (first.setting, trajectory.config.seed)
            budgets.setdefault(key, []).append(first.start_hash)
            networks.setdefault(key, set()).add(first.members)
    shared = [key for key, hashes in budgets.items() if len(hashes) > 1]
    apart = {key for key in shared if len(set(budgets[key])) > 1}
    retrained = [key for key in shared if key not in apart and len(networks[key]) > 1]
    return Start(len(shared), len(apart), len(retrained))


def known_numerics(study: Study) -> tuple[list[int], bool]:
    """Numerics of all loops and references, in order, and whether each tells its own."""
    references = [record for records in study.references.values() for record in records]
    every = [*study.table["numerics"], *(record.numerics for record in references)]
    known = [int(one) for one in every if not pd.isna(one)]
    return sorted(set(known)), len(known) == len(every)


def notices(study: Study) -> list[str]:
    """What is missing from this report; empty where nothing is."""
    found = []
    # What one run lacks may be finished in another.
    told = {t.id for t in study.trajectories if t.status == "done"}
    for run in study.runs:
        missing = [t for t in run.trajectories if t.id not in told]
        told |= {t.id for t in missing}
        waiting = [t for t in missing if t.status == "running"]
        stopped = [t for t in missing if t.status == "truncated"]
        failed = [t for t in missing if t.status == "failed"]
        if waiting:
            total = len(run.trajectories)
            found.append(
                f"{len(waiting)} of {count(total, 'trajectory', 'trajectories')} of {run.name} "
                f"{'is' if len(waiting) == 1 else 'are'} not finished and left out of every figure "
                "and test."
            )
        if stopped:
            was, is_ = ("was", "is") if len(stopped) == 1 else ("were", "are")
            found.append(
                f"{count(len(stopped), 'trajectory', 'trajectories')} of {run.name} {was} stopped "
                f"before the last loop and {is_} left out of every figure and test."
            )
        found += [f"{t.id} failed and is left out: {t.error}" for t in failed]
    undefined = study.done[study.done["mean_dice"].isna()]
    if len(undefined):
        found.append(
            f"Mean Dice is undefined in {count(len(undefined), 'loop')}; "
            "they are gaps in the curves and enter no test."
        )
    kinds, _ = known_numerics(study)
    if len(kinds) > 1:
        found.append(
            f"Loops were made with numerics {' and '.join(map(str, kinds))}: equal configs give "
            "other numbers under each, so that differences between trajectories of both are not "
            "those of strategies alone. The checklist says which version made how many."
        )
    return found
