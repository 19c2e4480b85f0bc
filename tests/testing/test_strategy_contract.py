from dataclasses import dataclass, replace

import pytest

from alsweep.query import Choice, Stages, Strategy, make_strategy, strategies
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
