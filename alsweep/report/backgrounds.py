"""How much of each query shows nothing but background, as far as records say."""

from collections.abc import Iterable, Mapping

from alsweep.report.study import Study
from alsweep.results.background import MOST, QueryBackground, pooled_share, query_backgrounds

Queries = Mapping[int, list[QueryBackground]]
"""Loop to the query of each seed; 0 is the starting budget."""


def backgrounds(study: Study) -> Mapping[tuple[str, str], Queries]:
    """Queries by setting and strategy, of all trajectories that have begun."""
    found: dict[tuple[str, str], dict[int, list[QueryBackground]]] = {}
    for trajectory in study.trajectories:
        assert trajectory.config is not None
        if trajectory.records:
            key = trajectory.records[0].setting, trajectory.config.strategy.shown
            loops = found.setdefault(key, {})
            for query in query_backgrounds(trajectory.records):
                loops.setdefault(query.loop, []).append(query)
    return found


def queried_share(loops: Queries) -> float | None:
    """Share over all queries and seeds, without the starting budget; None where none is known."""
    return pooled_share(query for loop, queries in loops.items() if loop for query in queries)


def background_notices(study: Study) -> list[str]:
    """A sentence on each setting in which a strategy queried much background; mostly none."""
    worst: dict[str, list[str]] = {}
    for (setting, strategy), loops in backgrounds(study).items():
        shares = {loop: pooled_share(queries) for loop, queries in loops.items() if loop}
        loop, share = max(
            ((loop, share) for loop, share in shares.items() if share is not None),
            key=lambda one: one[1],
            default=(0, 0.0),
        )
        if share > MOST:
            worst.setdefault(setting, []).append(f"{strategy} {100 * share:.0f} % in query {loop}")
    return [_sentence(study, setting, told) for setting, told in worst.items()]


def _sentence(study: Study, setting: str, told: Iterable[str]) -> str:
    where = f"{study.settings[setting]}: " if len(study.settings) > 1 else ""
    return (
        f"{where}Many queried patches hold no foreground and are as dark as what is round the body "
        f"({', '.join(told)}). Labels of air teach little: ingest with --free-air, or begin with "
        "more random patches (starting_budget.patches)."
    )
