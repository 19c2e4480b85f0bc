"""Aggregation stages, slab by slab, against the definition on the whole case."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from alsweep.geometry import box_slices
from alsweep.query import aggregate, cache, voxels
from alsweep.query.aggregate import AGGREGATES
from alsweep.query.base import Prediction
from alsweep.query.maps import MAPS, VoxelMap, predictive_entropy
from alsweep.query.stage import make_stage
from alsweep.query.voxels import VoxelScores
from alsweep.query.windows import Windows, box_mean
from alsweep.testing.pools import make_prediction

shapes = st.tuples(st.integers(1, 40), st.integers(1, 9), st.integers(1, 9))
sizes = st.tuples(st.integers(1, 44), st.integers(1, 11), st.integers(1, 11))
strides = st.tuples(st.integers(1, 9), st.integers(1, 4), st.integers(1, 4))
PE = MAPS.get("predictive_entropy")()


def scored(name, prediction, windows, by_class=False, **parameters):
    stage = make_stage(AGGREGATES, {"name": name, **parameters}, "aggregate")
    return stage(VoxelScores(prediction, PE, by_class), windows).numpy()


def plain(values, windows, rule):
    """``rule`` of every window, one by one."""
    values = np.asarray(values, dtype=np.float64)
    found = [
        rule(values[box_slices((z, y, x), windows.size)])
        for z in windows.grid[0]
        for y in windows.grid[1]
        for x in windows.grid[2]
    ]
    return np.array(found).reshape([len(axis) for axis in windows.grid])


@given(shapes, sizes, strides, st.integers(0, 99), st.integers(1, 200))
def test_tiles_equal_the_whole(shape, size, stride, seed, voxels_at_once):
    prediction = make_prediction(shape, seed=seed)
    windows = Windows(shape, size, stride)
    whole = predictive_entropy(prediction)
    with pytest.MonkeyPatch.context() as patched:
        # Else all of these cases would be small ones, which are taken whole.
        for module in (cache, voxels, aggregate):
            patched.setattr(module, "CACHED_VOXELS", voxels_at_once)
        patched.setattr(aggregate, "_PLANES", 1 + voxels_at_once % 7)
        patched.setattr(voxels, "_PLANES", 1 + voxels_at_once % 5)
        found = scored("mean", prediction, windows, by_class=True)
    channels = [whole, *(whole * p for p in prediction.mean_probs[1:])]
    for channel, values in zip(found, channels, strict=True):
        expected = box_mean(values.double(), size, stride)
        np.testing.assert_allclose(channel, expected, rtol=1e-6, atol=1e-9)


@given(shapes, st.integers(0, 99), st.integers(1, 200))
def test_tiles_cover_each_voxel_once_and_stay_in_the_cache(shape, seed, voxels_at_once):
    depth, height, width = shape
    scores = VoxelScores(make_prediction(shape, seed=seed), PE)
    first = seed % depth
    seen = torch.zeros(shape)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(voxels, "CACHED_VOXELS", voxels_at_once)
        for planes, rows, channels in scores.tiles(first, depth):
            (values,) = channels
            seen[planes, rows] += 1
            assert values.shape == (planes.stop - planes.start, len(range(height)[rows]), width)
            # A row of as many planes as keep rows long is the least that can be taken.
            assert values.numel() <= max(voxels_at_once, voxels._PLANES * width)
    assert (seen[first:] == 1).all()
    assert (seen[:first] == 0).all()


def test_a_card_takes_all_planes_at_once():
    prediction = Prediction(torch.empty(3, 40, 90, 90, device="meta"))
    (tile,) = [(p, r) for p, r, _ in VoxelScores(prediction, PE).tiles(4, 40)]
    assert tile == (slice(4, 40), slice(0, 90))
    assert cache.planes_at_once(prediction.mean_probs) == 40
    assert cache.planes_at_once(torch.empty(3, 40, 90, 90)) == (1 << 17) // 8100


@given(shapes, sizes, strides)
def test_mean_of_a_constant_map_has_one_value_in_every_channel(shape, size, stride):
    probs = torch.tensor([0.55, 0.31, 0.14]).reshape(3, 1, 1, 1).expand(3, *shape)
    found = scored("mean", Prediction(probs), Windows(shape, size, stride), by_class=True)
    for channel in found.astype(np.float32):
        assert len(np.unique(channel)) == 1


@given(shapes, sizes, strides, st.integers(0, 99))
def test_max_is_the_highest_voxel_of_each_window(shape, size, stride, seed):
    prediction = make_prediction(shape, seed=seed)
    windows = Windows(shape, size, stride)
    expected = plain(predictive_entropy(prediction), windows, np.max)
    np.testing.assert_array_equal(scored("max", prediction, windows)[0], expected)


@given(shapes, sizes, strides, st.integers(0, 99), st.floats(0.05, 1))
def test_top_fraction_is_above_the_exact_mean_by_less_than_a_level(
    shape, size, stride, seed, fraction
):
    prediction = make_prediction(shape, seed=seed)
    windows = Windows(shape, size, stride)
    values = predictive_entropy(prediction)

    def exact(box):
        """Of a share that is no whole number of voxels, the last one counts in part."""
        ranked = np.sort(box, axis=None)[::-1]
        weights = np.clip(fraction * len(ranked) - np.arange(len(ranked)), 0, 1)
        return (ranked * weights).sum() / weights.sum()

    found = scored("top_fraction", prediction, windows, fraction=fraction)[0]
    excess = found - plain(values, windows, exact)
    level = float(values.max() - values.min()) / 63
    assert excess.min() >= -1e-5
    assert excess.max() <= level + 1e-5


def test_top_fraction_of_a_smooth_map_is_nearly_exact():
    values = torch.rand(30, 30, 30, generator=torch.Generator().manual_seed(0))
    windows = Windows((30, 30, 30), (20, 20, 20), (5, 5, 5))
    found = AGGREGATES.get("top_fraction")()._top_mean(values, windows).numpy()
    expected = plain(values, windows, lambda box: np.sort(box, axis=None)[-800:].mean())
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_foreground_normalised_by_hand():
    # Two voxels of foreground 0.5 and 0.1, then two of none.
    background = torch.tensor([0.5, 0.9, 1.0, 1.0])
    probs = torch.stack([background, 1 - background]).reshape(2, 4, 1, 1)
    windows = Windows((4, 1, 1), (2, 1, 1), (2, 1, 1))
    entropy = -(np.log(0.5) + 0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    found = scored("foreground_normalised", Prediction(probs), windows)
    assert found.ravel() == pytest.approx([entropy / 0.6, 0], abs=1e-5)


@pytest.mark.parametrize("name", list(AGGREGATES))
def test_an_image_smaller_than_the_patch_is_one_window(name):
    prediction = make_prediction((3, 4, 2))
    found = scored(name, prediction, Windows((3, 4, 2), (64, 64, 64), (8, 8, 8)), by_class=True)
    assert found.shape == (3, 1, 1, 1)
    if name == "mean":
        assert found[0].item() == pytest.approx(predictive_entropy(prediction).mean().item())


def on_no_device(regions=False):
    """A prediction without values: whatever looks at one, or copies it to the CPU, fails."""
    probs, entropy = torch.rand(3, 6, 8, 5, device="meta"), torch.rand(6, 8, 5, device="meta")
    return Prediction(probs, entropy, members=(probs, probs), regions=regions)


@pytest.mark.parametrize("regions", [False, True])
@pytest.mark.parametrize("aggregate", list(AGGREGATES))
@pytest.mark.parametrize("name", list(MAPS))
def test_nothing_leaves_the_device_before_the_patch_scores(name, aggregate, regions):
    windows = Windows((6, 8, 5), (4, 4, 4), (2, 2, 1))
    made = MAPS.get(name)()
    if isinstance(made, VoxelMap):
        scores = VoxelScores(on_no_device(regions), made, by_class=True)
        found = AGGREGATES.get(aggregate)()(scores, windows)
        assert found.shape == (4 if regions else 3, 2, 3, 2)
    else:
        found = made.windows(on_no_device(regions), windows)
        assert found.shape == (2, 3, 2)
    assert found.device.type == "meta"


def test_a_constant_map_has_one_value_where_rows_are_long_and_windows_irregular():
    # Long rows go through other machine code at their end than before it.
    probs = torch.tensor([0.55, 0.31, 0.14]).reshape(3, 1, 1, 1).expand(3, 37, 70, 83)
    windows = Windows((37, 70, 83), (14, 30, 50), (5, 7, 8))
    found = scored("mean", Prediction(probs), windows, by_class=True)
    for channel in found.astype(np.float32):
        assert len(np.unique(channel)) == 1
