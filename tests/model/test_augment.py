import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsweep.config.augmentation import AUGMENTATIONS, AugmentationConfig
from alsweep.data.label_store import IGNORE
from alsweep.model.augment import Augmentation
from alsweep.rng import stream

WINDOW = (8, 10, 12)
ALL = (0, 1, 2)


def config(**changes):
    return AugmentationConfig.model_validate(changes)


def patch(augmentation, seed=0):
    """An image whose value is its label, so that the two can be held against one another."""
    shape = tuple(n + 2 * m for n, m in zip(WINDOW, augmentation.margin, strict=True))
    z, y, x = np.indices(shape)
    target = ((z // 4 + y // 4 + x // 4) % 2).astype(np.uint8)
    return target[None].astype(np.float32), target


def changed(augmentation, seed=0):
    return augmentation(*patch(augmentation), stream(seed, "test"))


def test_without_augmentation_a_patch_stays_as_it_is():
    augmentation = Augmentation(config(), WINDOW, ())
    image, target = changed(augmentation)
    assert augmentation.margin == (0, 0, 0)
    np.testing.assert_array_equal(image, patch(augmentation)[0])
    np.testing.assert_array_equal(target, patch(augmentation)[1])


def test_a_patch_that_is_not_turned_is_the_middle_of_what_was_read():
    augmentation = Augmentation(config(rotation=1e-9), WINDOW, ())
    image, target = changed(augmentation)
    inner = tuple(slice(m, m + n) for m, n in zip(augmentation.margin, WINDOW, strict=True))
    assert augmentation.margin == (4, 5, 6)
    np.testing.assert_array_equal(target, patch(augmentation)[1][inner])
    np.testing.assert_array_equal(image[0], target)


@given(st.integers(0, 10_000), st.sampled_from(["rotation", "scaling"]))
def test_image_and_labels_move_together_and_labels_stay_labels(seed, kind):
    image, target = changed(Augmentation(config(**{kind: 1}), WINDOW, ALL), seed)
    assert image.shape == (1, *WINDOW)
    assert target.shape == WINDOW
    assert set(np.unique(target)) <= {0, 1, IGNORE}
    known = target != IGNORE
    # Nearest and linear interpolation differ only within half a voxel of a border.
    assert ((image[0] > 0.5) == target)[known].mean() > 0.85


def test_scaling_by_two_doubles_what_is_seen():
    augmentation = Augmentation(config(scaling=1, smallest=1, largest=1 + 1e-9), WINDOW, ())
    same = changed(augmentation)[1]
    inner = tuple(slice(m, m + n) for m, n in zip(augmentation.margin, WINDOW, strict=True))
    np.testing.assert_array_equal(same, patch(augmentation)[1][inner])
    zoomed = Augmentation(config(scaling=1, smallest=1, largest=2), WINDOW, ())
    shape = tuple(2 * n for n in WINDOW)
    target = np.zeros(shape, np.uint8)
    target[tuple(slice(n // 2 - 2, n // 2 + 2) for n in shape)] = 1
    sizes = [
        (zoomed(target[None].astype(np.float32), target, stream(s, "test"))[1] == 1).sum()
        for s in range(40)
    ]
    assert min(sizes) >= 64
    assert max(sizes) > 64 * 4


def test_what_lies_beyond_the_volume_is_not_annotated():
    augmentation = Augmentation(config(rotation=1, degrees=180), (4, 4, 40), ())
    image, target = np.ones((1, 8, 8, 80), np.float32), np.ones((8, 8, 80), np.uint8)
    turned = augmentation(image, target, stream(1, "test"))
    assert set(np.unique(turned[1])) == {1, IGNORE}
    assert turned[0][0][turned[1] == IGNORE].max() < 1


def test_flat_patches_are_turned_in_plane_only():
    augmentation = Augmentation(config(rotation=1, scaling=1), (4, 16, 16), ())
    image = np.broadcast_to(np.arange(8.0)[None, :, None, None], (1, 8, 32, 32)).astype(np.float32)
    turned, target = augmentation(image, np.ones((8, 32, 32), np.uint8), stream(0, "test"))
    inside = target[0] != IGNORE
    for plane, value in zip(turned[0], range(2, 6), strict=True):
        np.testing.assert_allclose(plane[inside], value, atol=1e-4)


@pytest.mark.parametrize("kind", sorted(set(AUGMENTATIONS["nnunet"]) - {"rotation", "scaling"}))
def test_changes_of_intensity_leave_the_labels_alone(kind):
    augmentation = Augmentation(config(**{kind: 1}), WINDOW, ())
    before = stream(7, "image").normal(size=(2, *WINDOW)).astype(np.float32)
    image, target = augmentation(before, patch(augmentation)[1], stream(0, "test"))
    np.testing.assert_array_equal(target, patch(augmentation)[1])
    assert np.isfinite(image).all()
    assert not np.allclose(image, before)


def test_equal_draws_give_equal_patches_and_others_do_not():
    augmentation = Augmentation(config(**AUGMENTATIONS["nnunet"]), WINDOW, ALL)
    again = Augmentation(config(**AUGMENTATIONS["nnunet"]), WINDOW, ALL)
    changed(again, seed=9)
    np.testing.assert_array_equal(changed(augmentation, 3)[0], changed(again, 3)[0])
    assert not np.array_equal(changed(augmentation, 3)[0], changed(augmentation, 4)[0])


def test_mirroring_keeps_to_its_axes():
    augmentation = Augmentation(config(), WINDOW, (2,))
    target = np.arange(np.prod(WINDOW), dtype=np.uint32).reshape(WINDOW).astype(np.uint8)
    image = target[None].astype(np.float32)
    seen = {augmentation(image, target, stream(s, "test"))[1].tobytes() for s in range(20)}
    assert seen == {target.tobytes(), target[:, :, ::-1].tobytes()}


def test_a_set_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="none, nnunet"):
        AugmentationConfig.model_validate("nnUnet")
