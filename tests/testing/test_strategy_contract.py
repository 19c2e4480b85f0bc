from dataclasses import dataclass, replace

import pytest

from alsweep.geometry import QueriedPatch
from alsweep.query import Stages, Strategy, make_strategy, strategies
from alsweep.testing.strategy_contract import (
    CHECKS,
    an_exhausted_pool_ends_clearly,
    gives_the_exact_count,
    ignores_the_number_of_workers,
    is_deterministic,
    keeps_the_limit_per_case,
    never_overlaps,
    reads_labels_only_if_declared,
    reads_only_what_it_needs,
    stays_inside_the_image,
)

REGISTERED = [entry["name"] for entry in strategies()]


def made(name):
    return make_strategy({"name": "replay", "source": "x"} if name == "replay" else name)


@pytest.mark.parametrize("name", REGISTERED)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_registered_strategy_keeps_the_contract(name, check):
    check(made(name))


@dataclass(frozen=True)
class Broken(Strategy):
    """A strategy that breaks one rule at a time.

    Source: made up.
    """

    fault: str = "none"

    def stages(self):
        return Stages(map="predictive_entropy")

    def query(self, pool, request, rng):
        choices = super().query(pool, request, rng)
        first = choices[0]
        match self.fault:
            case "count":
                return choices[1:]
            case "twice":
                return [first, *choices[:-1]]
            case "outside":
                moved = replace(first.patch, start=(19, 0, 0))
                return [QueriedPatch(moved, first.score), *choices[1:]]
            case "labels":
                pool.reference(first.patch.case)
            case "annotated":
                pool.annotated_classes(pool.cases[0].taken[0])
            case "workers":
                return choices[:: -1 if pool.workers > 1 else 1]
            case "entropy":
                _ = pool.given[first.patch.case].mean_entropy.mean()
            case "state":
                # Drawn from a generator that nobody named.
                return choices if _COUNTER.pop() else choices[::-1]
        return choices


_COUNTER = [True, False] * 50


@pytest.mark.parametrize(
    ("fault", "check", "words"),
    [
        ("count", gives_the_exact_count, "patches were asked for"),
        ("twice", never_overlaps, "overlaps"),
        ("outside", stays_inside_the_image, "leaves its case"),
        ("labels", reads_labels_only_if_declared, "uses_oracle"),
        ("annotated", reads_labels_only_if_declared, "name 'annotated_labels'"),
        ("workers", ignores_the_number_of_workers, "2 workers give another query"),
        ("entropy", reads_only_what_it_needs, "does not name all that is read"),
        ("state", is_deterministic, "differ"),
    ],
)
def test_the_contract_finds_each_fault(fault, check, words):
    check(Broken())
    with pytest.raises(AssertionError, match=words):
        check(Broken(fault))


def test_the_contract_finds_a_broken_limit_and_wrong_patches_of_a_full_pool():
    class Greedy(Broken):
        def query(self, pool, request, rng):
            return super().query(pool, replace(request, per_case=request.patches), rng)

    with pytest.raises(AssertionError, match="per_case is 2"):
        keeps_the_limit_per_case(Greedy())

    class Stubborn(Broken):
        def query(self, pool, request, rng):
            return super().query(pool, request, rng) * 200

    with pytest.raises(AssertionError, match="more patches came than there is room for"):
        an_exhausted_pool_ends_clearly(Stubborn())
