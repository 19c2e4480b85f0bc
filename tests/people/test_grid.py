from math import prod

import nibabel as nib
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from alsweep.data.case import Box, CaseInfo
from alsweep.data.ingest.resample import coarse_axis, resample_labels, resampled_shape
from alsweep.geometry import Patch
from alsweep.people.grid import Crop
from alsweep.rng import stream

SPACINGS = [(1.0, 1.0, 1.0), (5.0, 0.7, 0.7), (0.8, 1.1, 2.3), (1.0, 3.5, 1.0)]


def oblique(rng, spacing) -> np.ndarray:
    """A random rotation, mirrored half of the time, with the spacing along its axes."""
    axes, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = axes * spacing[::-1]
    affine[:3, 3] = rng.normal(0, 200, 3)
    return affine


def case(rng, spacing, target) -> CaseInfo:
    size = tuple(int(n) for n in rng.integers(4, 15, 3))
    start = tuple(int(n) for n in rng.integers(0, 6, 3))
    original = tuple(int(a + s + rng.integers(0, 4)) for a, s in zip(start, size, strict=True))
    return CaseInfo(
        id="c",
        part="pool",
        shape=resampled_shape(size, spacing, target),
        class_voxels=(0, 0),
        original_shape=original,
        original_spacing=spacing,
        crop=Box(start=start, size=size),
        affine=oblique(rng, spacing).tolist(),
        sources={},
        image_sha256="",
        reference_sha256=None,
    )


def patch(rng, shape) -> Patch:
    size = tuple(int(rng.integers(1, n + 1)) for n in shape)
    start = tuple(int(rng.integers(0, n - s + 1)) for n, s in zip(shape, size, strict=True))
    return Patch("c", start, size)


places = given(
    seed=st.integers(0, 10**6), spacing=st.sampled_from(SPACINGS), target=st.sampled_from(SPACINGS)
)


@places
def test_what_is_shown_lies_where_the_source_does(seed, spacing, target):
    rng = stream(seed, "grid")
    info = case(rng, spacing, target)
    crop = Crop(info, patch(rng, info.shape), target)
    source = np.array(info.affine)
    for corner in (0, 1):
        voxel = np.array(crop.context.size)[::-1] * corner
        there = source @ [*(voxel + crop.context.start[::-1]), 1]
        assert np.allclose(crop.affine @ [*voxel, 1], there, atol=1e-9)
    # And so does the file, whose header holds single precision.
    image = nib.Nifti1Image(np.zeros(crop.context.size[::-1], np.uint8), crop.affine)
    image.set_sform(crop.affine, 1)
    assert np.array_equal(image.header.get_sform(), crop.affine.astype(np.float32))


@places
def test_the_box_holds_the_patch_and_hardly_more(seed, spacing, target):
    rng = stream(seed, "grid")
    info = case(rng, spacing, target)
    crop = Crop(info, patch(rng, info.shape), target)
    ratio = np.array(info.crop.size) / info.shape
    low = np.array(crop.patch.start) * ratio + info.crop.start
    high = np.array(crop.patch.stop) * ratio + info.crop.start
    start, stop = np.array(crop.whole_box.start), np.add(crop.whole_box.start, crop.whole_box.size)
    assert (start <= low + 1e-9).all()
    assert (low - start < 1 + 1e-9).all()
    assert (stop >= high - 1e-9).all()
    assert (stop - high < 1 + 1e-9).all()
    context, shown = np.array(crop.context.start), np.add(crop.context.start, crop.context.size)
    assert (context >= 0).all()
    assert (shown <= info.original_shape).all()
    inside = np.array(crop.box.start)
    assert np.array_equal(inside + context, start)
    assert (inside >= np.minimum(8, start)).all()


@places
def test_who_paints_the_reference_gives_the_reference(seed, spacing, target):
    """But at the faces of the box, beyond which nobody is asked."""
    rng = stream(seed, "grid")
    info = case(rng, spacing, target)
    truth = rng.integers(0, 4, info.original_shape).astype(np.uint8)
    coarse = coarse_axis(spacing, target)
    expected = resample_labels(truth[info.crop.slices], info.shape, coarse)
    one = patch(rng, info.shape)
    crop = Crop(info, one, target)
    found = crop.to_patch(truth[crop.whole_box.slices])
    assert found.shape == one.size
    ratio = np.array(info.crop.size) / info.shape
    margin = np.where(np.array(info.crop.size) == info.shape, 0, np.ceil(1 / ratio) + 1).astype(int)
    low = np.where(np.array(one.start) == 0, 0, margin)
    high = np.array(one.size) - np.where(np.array(one.stop) == info.shape, 0, margin)
    inner = tuple(slice(int(a), int(max(a, b))) for a, b in zip(low, high, strict=True))
    assert np.array_equal(found[inner], expected[one.slices][inner])
    if info.crop.size == info.shape:
        assert np.array_equal(found, expected[one.slices])


@places
def test_what_is_unpainted_stays_so_and_what_is_uniform_too(seed, spacing, target):
    rng = stream(seed, "grid")
    info = case(rng, spacing, target)
    crop = Crop(info, patch(rng, info.shape), target)
    assume(prod(crop.patch.size))
    for label in (255, 0, 3):
        painted = np.full(crop.box.size, label, np.uint8)
        assert (crop.to_patch(painted) == label).all()


def test_a_patch_on_the_grid_of_the_source_is_what_was_painted():
    info = case(stream(1, "grid"), SPACINGS[0], SPACINGS[0])
    one = patch(stream(2, "grid"), info.shape)
    painted = stream(3, "grid").integers(0, 3, one.size).astype(np.uint8)
    assert np.array_equal(Crop(info, one, SPACINGS[0]).to_patch(painted), painted)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_a_finer_source_is_labelled_in_whole_voxels(spacing):
    info = case(stream(4, "grid"), spacing, (9.0, 9.0, 9.0))
    crop = Crop(info, Patch("c", (0, 0, 0), info.shape), (9.0, 9.0, 9.0))
    assert crop.whole_box == info.crop
