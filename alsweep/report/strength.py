"""How strong the networks are that conclusions rest on, in words."""

import pandas as pd

from alsweep.report.study import Study
from alsweep.report.tables import last_rows, percent
from alsweep.results.fulldata import mean_full_dice
from alsweep.results.strength import LEARNED, learned


def strength(study: Study) -> str:
    """What the networks of the last loops know, and what full annotation would add."""
    gaps = [
        f"{study.settings[setting]}: {_gap(study.done, setting, mean_full_dice(records))}"
        for setting, records in study.references.items()
    ]
    said = what_is_learned(study) or "No trajectory is finished."
    return f"{said} Below full annotation: {'; '.join(gaps)}." if gaps else said


def _gap(done: pd.DataFrame, setting: str, full: float) -> str:
    """How far the best strategy's mean after the last loop is below full annotation."""
    last = last_rows(done[done["setting"] == setting])
    means = last.groupby("strategy")["mean_dice"].mean().dropna()
    if means.empty:
        return "nothing finished"
    return f"{100 * (full - means.max()):.1f} points ({means.idxmax()})"


def what_is_learned(study: Study) -> str:
    """Say which classes are not known by all networks of the last loops, if any."""
    rows = learned(study.done)
    if rows.empty:
        return ""
    groups = rows.groupby(["setting", "class"], sort=False)
    each = groups.agg({"trajectories": "sum", "learned": "sum", "lowest": "min"}).reset_index()
    several = rows["strategy"].nunique() > 1
    above = f"above {100 * LEARNED:g} % with every {'strategy and ' if several else ''}seed"
    weak = each[each["learned"] < each["trajectories"]]
    if weak.empty:
        return f"Every class that was judged is {above}."
    parts = [
        f"{row['class']}{_place(study, row['setting'])} in {row['learned']} of "
        f"{row['trajectories']} (lowest {percent(row['lowest'])} %)"
        for _, row in weak.iterrows()
    ]
    failed = " Differences between strategies are there partly those of trainings that failed."
    return f"NOT every class is {above}: {', '.join(parts)}.{failed if several else ''}"


def _place(study: Study, setting: str) -> str:
    return f" ({study.settings[setting]})" if len(study.settings) > 1 else ""
