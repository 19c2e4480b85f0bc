"""Random search: draws stand where they stand, whatever is drawn beside or after them."""

from math import log10

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from alsweep.config.distributions import distribution
from alsweep.config.expansion import SampleConfig
from alsweep.config.validation import validated
from alsweep.errors import ConfigError

OVER = {
    "training.learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
    "training.epochs": {"low": 1, "high": 8},
    "inference.tta": {"choices": [False, True]},
    "strategy": ["random", {"name": "power_bald", "beta": {"low": 0.5, "high": 50.0, "log": True}}],
}


def sample(n=5, seed=0, over=OVER) -> SampleConfig:
    return validated(SampleConfig, {"n": n, "seed": seed, "over": over}, {})


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0, 1, exclude_max=True))
def test_a_number_lies_in_its_range_and_grows_with_its_share(low, high, share):
    assume(low < high)
    found = distribution({"low": low, "high": high})
    assert low <= found.at(share) <= high
    assert found.at(share / 2) <= found.at(share)


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.booleans())
def test_whole_ends_give_whole_numbers_and_both_of_them(low, more, log):
    found = distribution({"low": low, "high": low + more, "log": log})
    ends = [found.at(share) for share in (0.0, 1 - 1e-12)]
    assert ends == [low, low + more]
    assert all(isinstance(found.at(share), int) for share in (0.2, 0.5, 0.7))


def test_whole_numbers_are_equally_likely():
    found = distribution({"low": 1, "high": 4})
    assert [found.at((k + 0.5) / 8) for k in range(8)] == [1, 1, 2, 2, 3, 3, 4, 4]


def test_a_logarithmic_range_takes_each_decade_alike():
    found = distribution({"low": 1e-4, "high": 1.0, "log": True})
    assert [round(log10(found.at(share)), 6) for share in (0, 0.25, 0.5, 0.75)] == [-4, -3, -2, -1]


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
def test_more_draws_keep_the_first_ones(few, more, seed):
    assert sample(few + more, seed).draws()[:few] == sample(few, seed).draws()


@given(st.sets(st.sampled_from(sorted(OVER)), min_size=1), st.randoms(use_true_random=False))
def test_what_is_drawn_beside_a_key_and_the_order_of_keys_shift_nothing(keys, random):
    # So many values that no draw is left out for being a repeat.
    every = OVER | {"query.patches": {"low": 1, "high": 10**9}}
    chosen = [*keys, "query.patches"]
    random.shuffle(chosen)
    some = sample(4, over={key: every[key] for key in chosen}).draws()
    whole = sample(4, over=every).draws()
    assert some == [{key: one[key] for key in chosen} for one in whole]


def test_draws_are_written_down():
    assert sample(3).draws() == DRAWN
    assert sample(3, seed=1).draws() != DRAWN


DRAWN = [
    {
        "training.learning_rate": 0.025,
        "training.epochs": 4,
        "inference.tta": True,
        "strategy": {"name": "power_bald", "beta": 2.733},
    },
    {
        "training.learning_rate": 0.003135,
        "training.epochs": 4,
        "inference.tta": False,
        "strategy": {"name": "power_bald", "beta": 49.59},
    },
    {
        "training.learning_rate": 0.02096,
        "training.epochs": 1,
        "inference.tta": False,
        "strategy": "random",
    },
]


def test_no_two_draws_are_alike_and_a_space_that_has_fewer_says_so():
    over = {"training.epochs": {"low": 1, "high": 2}, "inference.tta": {"choices": [False, True]}}
    draws = sample(4, over=over).draws()
    assert len({str(one) for one in draws}) == 4
    with pytest.raises(ConfigError, match=r"sample\.n: 5 different .* only 4; write n: 4"):
        sample(5, over=over).draws()


def test_every_choice_of_a_large_space_is_found():
    over = {"training.epochs": {"low": 1, "high": 300}}
    assert {one["training.epochs"] for one in sample(300, over=over).draws()} == {*range(1, 301)}


def test_a_parameter_is_drawn_where_its_strategy_is():
    strategies = [one["strategy"] for one in sample(20).draws()]
    betas = [one["beta"] for one in strategies if one != "random"]
    assert "random" in strategies
    assert len(set(betas)) == len(betas) > 5
    assert all(0.5 <= beta <= 50 for beta in betas)


@pytest.mark.parametrize("chosen", [False, True])
def test_a_list_as_a_parameter_is_told_with_the_choices_to_write(chosen):
    entry = {"name": "power_bald", "beta": [1, 2, 3]}
    with pytest.raises(ConfigError, match=r"only 1; .*so write beta: \{choices: \[1, 2, 3\]\}$"):
        SampleConfig(n=3, over={"strategy": {"choices": [entry]} if chosen else [entry]}).draws()
    mended = {"name": "power_bald", "beta": {"choices": [1, 2, 3]}}
    drawn = SampleConfig(n=3, over={"strategy": [mended]}).draws()
    assert sorted(one["strategy"]["beta"] for one in drawn) == [1, 2, 3]


@pytest.mark.parametrize(
    ("over", "told"),
    [
        ({"a.b": [1, 2]}, "a.b: write {low: ..., high: ...}, {low, high, log: true} or {choices"),
        ({"a.b": {"low": 1}}, "a.b: high: is required beside low"),
        ({"a.b": {"low": 1, "hihg": 2}}, "a.b: hihg: unknown key; did you mean 'high'?"),
        ({"a.b": {"low": 2, "high": 2}}, "a.b: low: 2 is not below high: 2; a single value goes"),
        ({"a.b": {"low": 0, "high": 2, "log": True}}, "a.b: low: 0 has no logarithm"),
        ({"a.b": {"low": 0, "high": "x"}}, "a.b: high: expected a finite number, got 'x'"),
        ({"a.b": {"low": 0, "high": float("inf")}}, "a.b: high: expected a finite number, got inf"),
        ({"a.b": {"low": float("nan"), "high": 1}}, "a.b: low: expected a finite number, got nan"),
        ({"a.b": {"low": 0, "high": 1, "log": 1}}, "a.b: log: write true or false, got 1"),
        ({"a.b": {"choices": []}}, "a.b: choices: write a list of at least one value"),
        ({"strategy": {"low": 1, "high": 2}}, "strategy: write a list of strategies"),
        ({"strategy": [{"name": "x", "beta": {"low": 1}}]}, "strategy: beta: high: is required"),
        ({"strategy.beta": {"low": 1, "high": 2}}, "strategy.beta: parameters of a strategy stand"),
        ({"seed": {"low": 1, "high": 2}}, "'seed' belongs to the top level, as 'seeds'"),
    ],
)
def test_what_cannot_be_drawn_is_told(over, told):
    with pytest.raises(ConfigError) as caught:
        sample(1, over=over)
    assert str(caught.value).startswith(f"over: {told}")
