import numpy as np
import pytest

from alsweep.data.channels import Normalisation
from alsweep.data.ingest.intensities import pooled, sketch
from alsweep.data.ingest.normalise import ct_normalisation, normalise, scheme_for

RAW = np.arange(24, dtype=np.int16).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("channel", "scheme"),
    [
        ("CT", "ct"),
        ("ct", "ct"),
        ("T1", "zscore"),
        ("noNorm", "none"),
        ("rescale_to_0_1", "rescale_to_0_1"),
        ("rgb_to_0_1", "rgb_to_0_1"),
    ],
)
def test_the_name_of_a_channel_decides(channel, scheme):
    assert scheme_for(channel) == scheme


def test_ct_is_clipped_to_the_foreground_and_scored_by_it():
    how = ct_normalisation(pooled([sketch(np.linspace(0, 1000, 100_001))]))
    assert (how.low, how.high) == pytest.approx((5, 995), abs=0.02)
    scored = normalise(np.array([[[-3000, 500, 3000]]], dtype=np.int16), how)
    std = 1000 / np.sqrt(12)
    assert scored.ravel() == pytest.approx([-495 / std, 0, 495 / std], abs=1e-3)


@pytest.mark.parametrize(
    ("scheme", "low", "high"),
    [
        ("zscore", -11.5 / RAW.std(), 11.5 / RAW.std()),
        ("none", 0, 23),
        ("rescale_to_0_1", 0, 1),
        ("rgb_to_0_1", 0, 23 / 255),
    ],
)
def test_other_schemes_need_the_volume_alone(scheme, low, high):
    result = normalise(RAW, Normalisation(scheme=scheme))
    assert result.dtype == np.float32
    assert (result.min(), result.max()) == pytest.approx((low, high))


@pytest.mark.parametrize("scheme", ["zscore", "rescale_to_0_1"])
def test_a_constant_volume_becomes_zero(scheme):
    assert (normalise(np.full((2, 2, 2), 7.0), Normalisation(scheme=scheme)) == 0).all()


def test_a_masked_zscore_leaves_the_rest_at_zero():
    mask = RAW > 11
    scored = normalise(RAW, Normalisation(scheme="zscore", masked=True), mask)
    inside = RAW[mask]
    assert scored[mask] == pytest.approx((inside - inside.mean()) / inside.std())
    assert (scored[~mask] == 0).all()


def test_an_empty_mask_gives_zeros():
    how = Normalisation(scheme="zscore", masked=True)
    assert (normalise(RAW, how, np.zeros(RAW.shape, bool)) == 0).all()
