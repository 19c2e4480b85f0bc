import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy as scipy_entropy

from alsweep.query.base import Prediction
from alsweep.query.maps import predictive_entropy


@given(st.integers(2, 6), st.integers(0, 10_000), st.floats(0.1, 20))
def test_predictive_entropy_equals_scipys_and_stays_in_bounds(classes, seed, sharpness):
    logits = torch.randn(classes, 3, 4, 2, generator=torch.Generator().manual_seed(seed))
    probs = (logits * sharpness).softmax(dim=0)
    found = predictive_entropy(Prediction(probs))
    expected = torch.from_numpy(scipy_entropy(probs.double().numpy(), axis=0))
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-4)
    assert found.min() >= 0
    assert found.max() <= math.log(classes) + 1e-5


def test_certain_voxels_have_no_entropy_and_no_nan():
    probs = torch.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1, 1)
    assert predictive_entropy(Prediction(probs)).item() == 0


def test_even_odds_have_log_two():
    probs = torch.full((2, 1, 1, 1), 0.5)
    assert predictive_entropy(Prediction(probs)).item() == pytest.approx(math.log(2))
