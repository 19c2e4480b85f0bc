"""Air: at the border, away from all that is none, and told from dark tissue."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from alsweep.data.air import air_mask, eroded, margins, otsu

SPACING = (2.0, 1.5, 3.0)


def body(shape=(20, 22, 18), *, air=0.0, tissue=100.0, noise=5.0, seed=0):
    """An ellipsoid in air, and where it is."""
    z, y, x = np.ogrid[tuple(slice(0, n) for n in shape)]
    middle = [(n - 1) / 2 for n in shape]
    axes = zip((z, y, x), middle, strict=True)
    inside = sum(((a - m) / (0.55 * m)) ** 2 for a, m in axes) < 1
    values = np.where(inside, tissue, air) + np.random.default_rng(seed).normal(0, noise, shape)
    return values.astype(np.float32), inside


@given(
    seed=st.integers(0, 2**16),
    holes=st.integers(0, 4),
    spacing=st.tuples(*[st.floats(0.5, 6.0)] * 3),
)
def test_air_is_connected_with_the_sides_and_a_margin_away_from_all_else(seed, holes, spacing):
    rng = np.random.default_rng(seed)
    image, inside = body(seed=seed)
    for _ in range(holes):
        # Air in the body: no part of it may come out as free.
        low = rng.integers(7, 9, 3)
        image[tuple(slice(a, a + 4) for a in low)] = 0
    air = air_mask([image], spacing)
    if air is None:
        return
    assert not (air & inside).any()
    # A voxel that is surely none: no air within the margin of it, along all axes.
    near = np.ones([2 * m + 1 for m in margins(spacing)], dtype=bool)
    core = ndimage.binary_erosion(inside, iterations=2)
    assert not (air & ndimage.binary_dilation(core, near)).any()
    parts, count = ndimage.label(air)
    sides = (parts[:, 0], parts[:, -1], parts[:, :, 0], parts[:, :, -1])
    assert set(range(1, count + 1)) <= set(np.concatenate([s.ravel() for s in sides]))


def test_most_of_the_air_is_found_in_noise_that_hides_single_voxels():
    image, inside = body((32, 32, 32), tissue=100, noise=33)
    air = air_mask([image], (3.0, 3.0, 3.0))
    assert not (air & inside).any()
    assert air.sum() > 0.7 * ndimage.binary_erosion(~inside, border_value=1).sum()


def test_dark_tissue_is_no_air():
    # A crop with nothing but tissue: smooth, from dark to bright.
    rng = np.random.default_rng(0)
    image = ndimage.gaussian_filter(rng.normal(0, 1, (24, 24, 24)), 3)
    assert otsu(image) is not None
    assert air_mask([image], (1.0, 1.0, 1.0)) is None


def with_organ(shape, radius, air, tissue, organ, noise):
    """A cylinder of tissue with an organ in its middle, and where the cylinder is."""
    z, y, x = np.ogrid[tuple(slice(0, n) for n in shape)]
    depth, height, width = (((n - 1) / 2) for n in shape)
    inside = ((y - height) / (0.75 * height)) ** 2 + ((x - width) / (0.75 * width)) ** 2 < 1
    inside = np.broadcast_to(inside, shape)
    within = (z - depth) ** 2 + (y - height) ** 2 + (x - width) ** 2 < radius**2
    values = np.where(within, organ, np.where(inside, tissue, air))
    values = values + np.random.default_rng(0).normal(0, noise, shape)
    return values.astype(np.float32), inside


@given(
    radius=st.floats(2.5, 9),
    contrast=st.floats(1.2, 100),
    noise=st.floats(0, 0.2),
    magnitude=st.booleans(),
)
def test_a_bright_organ_makes_no_air_of_the_body(radius, contrast, noise, magnitude):
    image, inside = with_organ((24, 40, 40), radius, 0.0, 1.0, contrast, noise)
    air = air_mask([np.abs(image) if magnitude else image], (3.0, 3.0, 3.0))
    assert air is None or not (air & inside).any()


@pytest.mark.parametrize(
    ("shape", "radius", "contrast", "noise"),
    [((24, 32, 32), 3, 40, 0.1), ((40, 64, 64), 14, 4, 0.1), ((40, 64, 64), 10, 40, 0.0)],
)
def test_where_otsu_parts_an_organ_from_all_else_there_is_no_air(shape, radius, contrast, noise):
    image, _ = with_organ(shape, radius, 0.0, 1.0, contrast, noise)
    # What is told apart is the organ, so that the body is on the dark side.
    assert otsu(ndimage.gaussian_filter(image, 1.0)) > 1.2
    assert air_mask([image], (3.0, 3.0, 3.0)) is None


@given(level=st.floats(100, 3000), ratio=st.floats(7, 100), contrast=st.floats(2, 50))
def test_tissue_up_to_every_border_is_no_air_however_bright_an_organ_is(level, ratio, contrast):
    image, _ = with_organ((20, 32, 32), 7, level, level, contrast * level, level / ratio)
    assert air_mask([image], (3.0, 3.0, 3.0)) is None


@given(noise=st.floats(0, 0.3), magnitude=st.booleans(), tissue=st.floats(50, 5000))
def test_air_without_signal_is_found_whatever_its_noise(noise, magnitude, tissue):
    image, inside = with_organ((24, 40, 40), 5, 0.0, tissue, 1.3 * tissue, noise * tissue)
    air = air_mask([np.abs(image) if magnitude else image], (3.0, 3.0, 3.0))
    assert not (air & inside).any()
    assert air.sum() > 0.7 * (~ndimage.binary_dilation(inside)).sum()


def test_what_touches_the_first_or_last_slice_alone_goes_on_beyond_them():
    # Lungs that the upper end of a volume cuts, in a body that fills it sideways to a margin.
    image = np.full((16, 24, 24), 40.0)
    image[:8, 8:16, 8:16] = -900
    assert air_mask([image], (3.0, 3.0, 3.0), ct=(0,)) is None
    image[:, :6] = -1000
    air = air_mask([image], (3.0, 3.0, 3.0), ct=(0,))
    assert air[:, :4].all()
    assert not air[:, 6:].any()


def test_of_ct_everything_below_minus_500_is_air_and_fat_is_not():
    image = np.full((12, 20, 20), -100.0)
    image[:, 2:18, 8:18] = 1500  # Otsu's threshold would lie above the fat.
    image[:, :, :5] = -700
    assert otsu(image) > -100
    air = air_mask([image], (3.0, 3.0, 3.0), ct=(0,))
    assert air.any()
    assert not air[:, :, 5:].any()


def test_air_is_dark_in_every_channel():
    first, _ = body()
    second = first.copy()
    second[:, :, :9] = 100
    both = air_mask([first, second], SPACING)
    assert air_mask([first], SPACING)[:, :, :6].any()
    assert not both[:, :, :9].any()
    assert both[:, :, 12:].any()


def test_a_channel_with_one_value_tells_nothing():
    image, _ = body()
    empty = np.zeros_like(image)
    assert np.array_equal(air_mask([image, empty], SPACING), air_mask([image], SPACING))
    assert air_mask([empty], SPACING) is None


@given(st.integers(0, 2**16), st.tuples(*[st.integers(1, 3)] * 3))
def test_erosion_is_that_of_a_box_cut_to_the_image(seed, by):
    mask = np.random.default_rng(seed).random((7, 9, 5)) > 0.1
    box = np.ones([2 * n + 1 for n in by], dtype=bool)
    assert np.array_equal(eroded(mask, by), ndimage.binary_erosion(mask, box, border_value=1))


def test_margins_are_3_mm_and_a_voxel_at_least():
    assert margins((5.0, 1.0, 0.8)) == (1, 3, 4)


def test_otsu_parts_two_classes_in_the_middle_of_their_gap():
    values = np.repeat([0.0, 10.0], [300, 100])
    assert otsu(values) == pytest.approx(5.0, abs=0.1)
    assert otsu(np.zeros(9)) is None


@given(st.integers(0, 2**16), st.integers(20, 200), st.integers(20, 200), st.floats(2, 50))
def test_otsu_minimises_the_variance_within_the_classes(seed, dark, bright, apart):
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.normal(0, 1, dark), rng.normal(apart, 1, bright)])

    def within(threshold):
        parts = values[values < threshold], values[values >= threshold]
        return sum(len(part) * part.var() for part in parts if len(part))

    best = min(within(candidate) for candidate in np.sort(values)[1:])
    # Bins are a 256th of the range, and the tails are clipped.
    assert within(otsu(values)) <= best + 0.05 * len(values) * values.var()
