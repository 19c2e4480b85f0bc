"""What several sections say; every sentence is made from the data."""

import pandas as pd

from alsweep.report.study import Study

ALPHA = 0.05


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
    return found
