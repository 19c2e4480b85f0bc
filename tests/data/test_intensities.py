import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from alsweep.data.ingest.intensities import pooled, sketch


def test_a_sketch_keeps_the_properties_of_one_case():
    values = np.random.default_rng(0).normal(40, 100, 200_000).astype(np.float32)
    found = pooled([sketch(values)])
    low, median, high = np.percentile(values, (0.5, 50, 99.5))
    assert (found.mean, found.std) == pytest.approx((values.mean(), values.std()), rel=1e-4)
    assert (found.min, found.max) == (values.min(), values.max())
    assert found.median == pytest.approx(median, abs=0.3)
    assert (found.percentile_00_5, found.percentile_99_5) == pytest.approx((low, high), abs=1)


def test_every_case_has_the_same_weight_whatever_its_size():
    rng = np.random.default_rng(0)
    small, large = rng.normal(0, 10, 500), rng.normal(1000, 10, 50_000)
    found = pooled([sketch(small), sketch(large)])
    assert found.mean == pytest.approx((small.mean() + large.mean()) / 2)
    drawn = np.concatenate([rng.choice(small, 200_000), rng.choice(large, 200_000)])
    assert found.percentile_00_5 == pytest.approx(np.percentile(drawn, 0.5), abs=1)
    assert found.percentile_99_5 == pytest.approx(np.percentile(drawn, 99.5), abs=1)
    assert found.std == pytest.approx(drawn.std(), rel=1e-2)


def test_no_foreground_has_no_properties():
    assert sketch(np.zeros(0)) is None


@given(
    st.lists(
        npst.arrays(
            np.float32, st.integers(1, 20), elements=st.floats(-(2.0**96), 2.0**96, width=32)
        ),
        min_size=1,
        max_size=4,
    )
)
def test_properties_are_ordered_and_finite(cases):
    found = pooled([sketch(case) for case in cases])
    assert found.min <= found.percentile_00_5 <= found.median
    assert found.median <= found.percentile_99_5 <= found.max
    assert 0 <= found.std < np.inf
