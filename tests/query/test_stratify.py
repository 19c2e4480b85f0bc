import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsweep.query.stratify import ByClass
from alsweep.rng import stream
from alsweep.testing.pools import make_request


def test_shares_of_a_case_by_hand():
    # 20 per case, 3 classes, r = 0.66: int(20 * 0.34) = 6 and int(13.2 / 4) = 3.
    shares = ByClass().case_shares(20, 3, stream(0))
    assert dict(shares) == {0: 6, 1: 3, 2: 3, 3: 3}
    assert dict(ByClass().case_shares(2, 3, stream(0))) == {0: 1, 1: 1, 2: 1, 3: 1}


def test_the_channels_of_a_case_choose_in_random_order():
    orders = {tuple(c for c, _ in ByClass().case_shares(20, 2, stream(s))) for s in range(60)}
    assert len(orders) == 6


def test_shares_of_a_query_by_hand():
    # int(20 * 0.66) = 13 over 3 classes: 4 each, one more for one of them; 7 general.
    shares = ByClass().query_shares(make_request(20), 3, stream(0))
    assert shares[0] == 7
    assert sorted(shares[c] for c in (1, 2, 3)) == [4, 4, 5]


def test_the_remainder_goes_to_classes_at_random():
    lucky = {
        max((1, 2, 3), key=ByClass().query_shares(make_request(20), 3, stream(s)).get)
        for s in range(30)
    }
    assert lucky == {1, 2, 3}


@given(st.integers(1, 300), st.integers(0, 20), st.floats(0, 1), st.integers(0, 99))
def test_shares_of_a_query_add_up(patches, foreground, r, seed):
    shares = ByClass(r=r).query_shares(make_request(patches), foreground, stream(seed))
    assert sum(shares.values()) == patches
    assert min(shares.values()) >= 0
    assert list(shares)[-1] == 0, "the general channel comes last, to take what the others owe"
    by_class = [shares[c] for c in range(1, foreground + 1)]
    assert np.ptp(by_class) <= 1 if by_class else shares[0] == patches


def test_without_classes_all_is_general():
    assert ByClass().query_shares(make_request(5), 0, stream(0)) == {0: 5}
    assert ByClass(r=1.0).query_shares(make_request(5), 1, stream(0)) == {1: 5, 0: 0}


@pytest.mark.parametrize("r", [0.0, 1.0])
def test_every_channel_has_at_least_one_candidate(r):
    assert min(share for _, share in ByClass(r=r).case_shares(4, 2, stream(0))) == 1
