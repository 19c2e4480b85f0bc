"""Whether a configuration is worse than the best by the seeds that both were run with."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alsweep.config.search import PruneConfig


def is_worse(
    mine: Mapping[int, float],
    best: Mapping[int, float],
    direction: Literal["maximize", "minimize"],
    rule: PruneConfig,
) -> bool:
    """Return what Optuna's ``WilcoxonPruner`` says of a configuration; its steps are seeds.

    Args:
        mine: Seed to value, of the seeds that were run.
        best: The same of the best, of all seeds.
        direction: Which way is better.
        rule: When it is given up.
    """
    import optuna
    from optuna.trial import TrialState, create_trial

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Of these two alone: what else a study holds does not matter to the test.
        study = optuna.create_study(direction=direction)
        mean = sum(best.values()) / len(best)
        study.add_trial(create_trial(value=mean, intermediate_values=dict(best)))
        trial = create_trial(state=TrialState.RUNNING, intermediate_values=dict(mine))
        pruner = optuna.pruners.WilcoxonPruner(
            p_threshold=rule.p_threshold, n_startup_steps=rule.n_startup_steps
        )
        return bool(pruner.prune(study, trial))
