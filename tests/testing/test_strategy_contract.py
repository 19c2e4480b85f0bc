import pytest

from alsweep.query import make_strategy, strategies
from alsweep.testing.strategy_contract import (
    CHECKS,
)

REGISTERED = [entry["name"] for entry in strategies()]


def made(name):
    return make_strategy({"name": "replay", "source": "x"} if name == "replay" else name)


@pytest.mark.parametrize("name", REGISTERED)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_registered_strategy_keeps_the_contract(name, check):
    check(made(name))
