"""What happened in a sweep: records, the tidy table, and the statistics on it. No torch, no plots.

The public functions are loaded when first used, so that a worker that only writes records needs
neither pandas nor scipy.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alsweep.results.aggregates import aggregate, performance_profile
    from alsweep.results.aggregation import rank_orders
    from alsweep.results.agreement import setting_agreement
    from alsweep.results.bayesian import bayesian_compare, bayesian_over_settings
    from alsweep.results.comparing import compare, detectable
    from alsweep.results.compute import front, hypervolume, money, phase_hours, savings
    from alsweep.results.effort import effort_aubc, effort_curves
    from alsweep.results.forecast import fit_curves, patches_to_reach, predicted_gain
    from alsweep.results.fulldata import full_dice
    from alsweep.results.improving import improvement
    from alsweep.results.load import load_results
    from alsweep.results.metrics import aubc, fg_efficiency, final
    from alsweep.results.over_settings import compare_over_settings, win_balance
    from alsweep.results.pairwise import minimal_difference, win_matrix, win_rates
    from alsweep.results.race_replay import simulate_race
    from alsweep.results.rank_spread import rank_shares
    from alsweep.results.rank_tests import critical_difference, friedman, nemenyi, rank_groups
    from alsweep.results.ranks import kendall_tau, rank_stability, ranking
    from alsweep.results.records import read_run
    from alsweep.results.strength import learned
    from alsweep.results.table import collect, write_results

__all__ = [
    "aggregate",
    "aubc",
    "bayesian_compare",
    "bayesian_over_settings",
    "collect",
    "compare",
    "compare_over_settings",
    "critical_difference",
    "detectable",
    "effort_aubc",
    "effort_curves",
    "fg_efficiency",
    "final",
    "fit_curves",
    "friedman",
    "front",
    "full_dice",
    "hypervolume",
    "improvement",
    "kendall_tau",
    "learned",
    "load_results",
    "minimal_difference",
    "money",
    "nemenyi",
    "patches_to_reach",
    "performance_profile",
    "phase_hours",
    "predicted_gain",
    "rank_groups",
    "rank_orders",
    "rank_shares",
    "rank_stability",
    "ranking",
    "read_run",
    "savings",
    "setting_agreement",
    "simulate_race",
    "win_balance",
    "win_matrix",
    "win_rates",
    "write_results",
]

_HOMES = {
    "aggregate": "aggregates",
    "performance_profile": "aggregates",
    "rank_orders": "aggregation",
    "setting_agreement": "agreement",
    "bayesian_compare": "bayesian",
    "bayesian_over_settings": "bayesian",
    "compare": "comparing",
    "detectable": "comparing",
    "front": "compute",
    "hypervolume": "compute",
    "money": "compute",
    "phase_hours": "compute",
    "savings": "compute",
    "effort_aubc": "effort",
    "effort_curves": "effort",
    "fit_curves": "forecast",
    "patches_to_reach": "forecast",
    "predicted_gain": "forecast",
    "full_dice": "fulldata",
    "improvement": "improving",
    "load_results": "load",
    "aubc": "metrics",
    "fg_efficiency": "metrics",
    "final": "metrics",
    "compare_over_settings": "over_settings",
    "win_balance": "over_settings",
    "minimal_difference": "pairwise",
    "win_matrix": "pairwise",
    "win_rates": "pairwise",
    "simulate_race": "race_replay",
    "rank_shares": "rank_spread",
    "critical_difference": "rank_tests",
    "friedman": "rank_tests",
    "nemenyi": "rank_tests",
    "rank_groups": "rank_tests",
    "kendall_tau": "ranks",
    "rank_stability": "ranks",
    "ranking": "ranks",
    "read_run": "records",
    "learned": "strength",
    "collect": "table",
    "write_results": "table",
}


def __getattr__(name: str) -> object:
    """Load a public function on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'alsweep.results' has no attribute {name!r}")
    return getattr(import_module(f"alsweep.results.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
