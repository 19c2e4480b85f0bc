"""What happened in a sweep: records, the tidy table, and the statistics on it. No torch, no plots.

The public functions are loaded when first used, so that a worker that only writes records needs
neither pandas nor scipy.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alsweep.results.comparing import compare
    from alsweep.results.fulldata import full_dice
    from alsweep.results.load import load_results
    from alsweep.results.metrics import aubc, fg_efficiency, final
    from alsweep.results.pairwise import minimal_difference, win_matrix, win_rates
    from alsweep.results.race_replay import simulate_race
    from alsweep.results.ranks import kendall_tau, rank_stability, ranking
    from alsweep.results.records import read_run
    from alsweep.results.table import collect, write_results

__all__ = [
    "aubc",
    "collect",
    "compare",
    "fg_efficiency",
    "final",
    "full_dice",
    "kendall_tau",
    "load_results",
    "minimal_difference",
    "rank_stability",
    "ranking",
    "read_run",
    "simulate_race",
    "win_matrix",
    "win_rates",
    "write_results",
]

_HOMES = {
    "aubc": "metrics",
    "compare": "comparing",
    "fg_efficiency": "metrics",
    "final": "metrics",
    "full_dice": "fulldata",
    "minimal_difference": "pairwise",
    "win_matrix": "pairwise",
    "win_rates": "pairwise",
    "simulate_race": "race_replay",
    "kendall_tau": "ranks",
    "rank_stability": "ranks",
    "ranking": "ranks",
    "collect": "table",
    "load_results": "load",
    "read_run": "records",
    "write_results": "table",
}


def __getattr__(name: str) -> object:
    """Load a public function on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'alsweep.results' has no attribute {name!r}")
    return getattr(import_module(f"alsweep.results.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
