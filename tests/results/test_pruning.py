"""Giving up a configuration: Optuna's test, and when it can reject at all."""

import pytest
from scipy.stats import wilcoxon

from alsweep.config.search import PruneConfig
from alsweep.results.pruning import is_worse
from alsweep.rng import stream

BEST = {seed: 0.8 + seed / 100 for seed in range(8)}


def test_it_gives_up_what_optunas_pruner_gives_up() -> None:
    rng, given_up = stream(0, "pruning"), 0
    for case in range(60):
        n, lower = 2 + case % 7, float(rng.uniform(-0.02, 0.06))
        drawn = rng.normal(-lower, 0.02, n)
        mine = {seed: BEST[seed] + float(drawn[seed]) for seed in range(n)}
        mean = sum(mine.values()) / n <= sum(BEST.values()) / len(BEST)
        # The rule by hand: the test rejects, and the best is better on average.
        p = wilcoxon(drawn, alternative="less", zero_method="zsplit").pvalue
        found = is_worse(mine, BEST, "maximize", PruneConfig())
        assert found == (p < 0.1 and n >= 2 and not (p < 0.1 and not mean))
        costs = {seed: -value for seed, value in mine.items()}
        best = {seed: -value for seed, value in BEST.items()}
        assert is_worse(costs, best, "minimize", PruneConfig()) == found
        given_up += found
    assert 10 < given_up < 50


@pytest.mark.parametrize(("p_threshold", "first"), [(0.1, 4), (0.05, 5), (0.2, 3), (0.0625, 5)])
def test_before_the_first_look_the_test_cannot_reject(p_threshold: float, first: int) -> None:
    rule = PruneConfig(p_threshold=p_threshold)
    assert (rule.first_look, rule.fewest_seeds) == (first, first + 1)
    worse = {seed: BEST[seed] - 0.1 - seed / 50 for seed in range(first)}
    assert is_worse(worse, BEST, "maximize", rule)
    del worse[first - 1]
    assert not is_worse(worse, BEST, "maximize", rule)


def test_a_later_start_is_heeded() -> None:
    worse = {seed: BEST[seed] - 0.1 - seed / 50 for seed in range(5)}
    assert not is_worse(worse, BEST, "maximize", PruneConfig(n_startup_steps=6))
