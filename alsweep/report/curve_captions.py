"""What is said below learning curves; every sentence is made from the data."""

from alsweep.report.captions import count, seed_counts, span, start_of, unequal_seeds
from alsweep.report.study import Study


def curves_caption(study: Study) -> str:
    """What line and band of the learning curves are."""
    counts = seed_counts(study)
    if counts.empty:
        return "No trajectory is finished yet, so there is no curve to show."
    high = int(counts.max())
    band = (
        f"Lines are means over {span(counts, 'seed')}, bands ±1 standard deviation (ddof 1)"
        if high > 1
        else "Lines are single trajectories (1 seed), so there is no band"
    )
    small = " With so few seeds the band itself is uncertain." if 1 < high < 5 else ""
    return (
        f"{band}. Dice is measured on the validation cases.{small}{_unequal(study)}"
        f"{_first_point(study)}{_baselines(study)}{_oracle_mark(study)}{_full_line(study)}"
    )


def _unequal(study: Study) -> str:
    differing = unequal_seeds(study)
    if not differing:
        return ""
    return (
        f" {differing} Each line is the mean of its own seeds, with their number at its end where "
        "it lacks some, so that lines side by side differ by seeds too; what is compared below is "
        "compared over common seeds."
    )


def _first_point(study: Study) -> str:
    """What strategies share at the first point."""
    start = start_of(study)
    where = "settings and seeds"
    if start.apart:
        return (
            f" Strategies do NOT begin alike: their starting budgets differ in {start.apart} of "
            f"{count(start.groups, 'setting and seed', where)}, so that they are not paired there."
        )
    if start.retrained:
        return (
            " At the first point all strategies share the same starting budget, seed by seed, but "
            f"in {start.retrained} of {count(start.groups, 'setting and seed', where)} not the "
            "same networks, so that first points differ by training alone."
        )
    shared = (
        " At the first point all strategies share the same starting budget and the same networks"
    )
    return f"{shared}, seed by seed." if start.groups else ""


def _baselines(study: Study) -> str:
    if not any(look.baseline for look in study.looks):
        return ""
    return " Dashed with white markers: baselines that use no network."


def _oracle_mark(study: Study) -> str:
    if not any(look.oracle for look in study.looks):
        return ""
    return (
        " †: the strategy looks at the reference labels to place its patches, "
        "which no annotation project can do."
    )


def _full_line(study: Study) -> str:
    if not study.references:
        return ""
    counts = span((len(records) for records in study.references.values()), "seed")
    return f" Dotted: the same recipe trained on the fully annotated pool, mean over {counts}."
