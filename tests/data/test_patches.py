from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alsweep import PartialLabels, Patch
from alsweep.data.annotator import Oracle, ReferenceLabels
from alsweep.data.label_store import IGNORE
from alsweep.data.patches import PatchSampler
from alsweep.errors import DatasetError
from alsweep.rng import stream


def annotate(dataset, patches):
    shapes = {case: dataset.cases[case].shape for case in dataset.pool}
    return PartialLabels(shapes, len(dataset.classes), Oracle(dataset), patches)


def centred(dataset, case, label, size=(8, 8, 8)):
    """A patch whose middle is a voxel of the class."""
    labels = ReferenceLabels(dataset).volume(case)
    z, y, x = np.argwhere(labels == label)[0]
    start = [
        int(min(max(v - s // 2, 0), n - s))
        for v, s, n in zip((z, y, x), size, labels.shape, strict=True)
    ]
    return Patch(case, tuple(start), size)


@pytest.fixture(scope="module")
def labels(phantom):
    first, second, third = phantom.pool[:3]
    return annotate(
        phantom,
        [
            centred(phantom, first, 1),
            centred(phantom, first, 2),
            centred(phantom, second, 2),
            Patch(third, (0, 0, 0), (6, 6, 6)),
        ],
    )


def test_images_and_labels_come_from_the_same_window(phantom, labels):
    sampler = PatchSampler(phantom, labels, phantom.pool, (8, 8, 8), 0.5)
    images, targets = sampler.batch(stream(0, "test"), 16)
    assert (images.dtype, images.shape) == (np.float32, (16, 1, 8, 8, 8))
    assert (targets.dtype, targets.shape) == (np.uint8, (16, 8, 8, 8))
    windows = {}
    for case in labels.cases:
        views = np.lib.stride_tricks.sliding_window_view(phantom.image(case)[0], (8, 8, 8))
        for start in np.ndindex(views.shape[:3]):
            windows[views[start].tobytes()] = (case, start)
    for image, target in zip(images, targets, strict=True):
        case, start = windows[image[0].tobytes()]
        assert np.array_equal(target, labels.window(case, start, (8, 8, 8)))


@settings(deadline=None, derandomize=True, max_examples=40)
@given(
    st.integers(0, 1000),
    st.tuples(*[st.integers(1, 40)] * 3),
    st.sampled_from([0.0, 0.33, 1.0]),
)
def test_every_patch_holds_an_annotated_voxel_whatever_its_size(phantom, labels, seed, size, share):
    sampler = PatchSampler(phantom, labels, phantom.pool, size, share)
    _, targets = sampler.batch(stream(seed, "test"), 4)
    assert ((targets != IGNORE).reshape(4, -1).sum(axis=1) > 0).all()


def test_forced_patches_are_centred_on_foreground_each_class_of_a_case_equally_often(
    phantom, labels
):
    case = phantom.pool[0]
    sampler = PatchSampler(phantom, labels, [case], (1, 1, 1), 1.0)
    _, targets = sampler.batch(stream(0, "test"), 2000)
    counts = Counter(targets.ravel().tolist())
    assert set(counts) == {1, 2}
    assert counts[1] == pytest.approx(1000, abs=5 * np.sqrt(500))


def test_class_first_a_class_that_few_cases_hold_is_drawn_as_often_as_others(phantom):
    first, second, third = phantom.pool[:3]
    organs = [centred(phantom, case, 1, (3, 3, 3)) for case in (first, second, third)]
    store = annotate(phantom, [*organs, centred(phantom, third, 2, (3, 3, 3))])

    def lesions(order):
        sampler = PatchSampler(
            phantom, store, phantom.pool, (1, 1, 1), 1.0, foreground_sampling=order
        )
        return (sampler.batch(stream(0, "test"), 1200)[1] == 2).mean()

    assert lesions("class_first") == pytest.approx(1 / 2, abs=0.06)
    assert lesions("case_first") == pytest.approx(1 / 6, abs=0.06)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(
    st.integers(0, 1000),
    st.tuples(*[st.integers(1, 40)] * 3),
    st.sampled_from(["case_first", "class_first"]),
    st.sampled_from(["centre", "anywhere"]),
)
def test_every_forced_patch_holds_foreground(phantom, labels, seed, size, order, place):
    sampler = PatchSampler(
        phantom,
        labels,
        phantom.pool,
        size,
        1.0,
        foreground_sampling=order,
        foreground_place=place,
    )
    _, targets = sampler.batch(stream(seed, "test"), 4)
    held = ((targets != IGNORE) & (targets > 0)).reshape(4, -1).any(axis=1)
    assert held.all()


def test_foreground_lies_anywhere_in_forced_windows_where_that_is_wanted(phantom):
    case = phantom.pool[0]
    z, y, x = np.argwhere(ReferenceLabels(phantom).volume(case) == 1)[0]
    store = annotate(phantom, [Patch(case, (int(z), int(y), int(x)), (1, 1, 1))])

    def places(place):
        sampler = PatchSampler(phantom, store, [case], (4, 4, 4), 1.0, foreground_place=place)
        targets = sampler.batch(stream(0, "test"), 1000)[1]
        return (targets == 1).mean(axis=0)

    assert places("anywhere") == pytest.approx(1 / 64, abs=0.015)
    assert places("centre")[2, 2, 2] == 1


def test_unforced_patches_meet_the_classes_as_often_as_they_are_annotated(phantom, labels):
    case = phantom.pool[0]
    sampler = PatchSampler(phantom, labels, [case], (1, 1, 1), 0.0)
    _, targets = sampler.batch(stream(0, "test"), 4000)
    crops = [labels.crop(patch).ravel() for patch in labels.boxes(case)]
    expected = np.bincount(np.concatenate(crops), minlength=3) / sum(map(len, crops))
    assert np.bincount(targets.ravel(), minlength=3) / 4000 == pytest.approx(expected, abs=0.04)


def test_unforced_annotated_voxels_appear_anywhere_in_the_window(phantom):
    case = phantom.pool[0]
    one_voxel = annotate(phantom, [Patch(case, (12, 14, 16), (1, 1, 1))])
    sampler = PatchSampler(phantom, one_voxel, [case], (4, 4, 4), 0.0)
    _, targets = sampler.batch(stream(0, "test"), 1500)
    places = (targets != IGNORE).mean(axis=0)
    assert places.sum() == pytest.approx(1)
    assert places == pytest.approx(1 / 64, abs=0.015)


def test_the_share_of_forced_patches_is_exact(phantom, labels):
    only_air = Patch(phantom.pool[0], (0, 0, 0), (2, 2, 2))
    lesion = centred(phantom, phantom.pool[1], 2)
    store = annotate(phantom, [only_air, lesion])
    sampler = PatchSampler(phantom, store, phantom.pool, (1, 1, 1), 0.33)
    _, targets = sampler.batch(stream(0, "test"), 100)
    assert (targets[:33] != 0).all()


def test_cases_are_drawn_equally_often_whatever_they_hold(phantom):
    small = Patch(phantom.pool[0], (0, 0, 0), (1, 1, 1))
    large = Patch(phantom.pool[1], (0, 0, 0), (16, 16, 16))
    store = annotate(phantom, [small, large])
    sampler = PatchSampler(phantom, store, phantom.pool, (1, 1, 1), 0.0)
    images, _ = sampler.batch(stream(0, "test"), 1000)
    corner = phantom.image(phantom.pool[0])[0, 0, 0, 0]
    assert (images.ravel() == corner).sum() == pytest.approx(500, abs=5 * np.sqrt(250))


def test_by_annotated_volume_each_annotated_voxel_is_drawn_equally_often(phantom):
    small = Patch(phantom.pool[0], (0, 0, 0), (4, 4, 4))
    large = Patch(phantom.pool[1], (0, 0, 0), (4, 4, 12))
    store = annotate(phantom, [small, large])
    sampler = PatchSampler(
        phantom, store, phantom.pool, (1, 1, 1), 0.0, case_sampling="annotated_volume"
    )
    images, _ = sampler.batch(stream(0, "test"), 1000)
    of_small = np.isin(images.ravel(), phantom.image(phantom.pool[0])[0, :4, :4, :4])
    assert of_small.sum() == pytest.approx(250, abs=5 * np.sqrt(187))


def test_free_labels_are_seen_in_the_windows_and_draw_none(phantom):
    case = phantom.pool[0]
    free = np.full(phantom.cases[case].shape, IGNORE, dtype=np.uint8)
    free[12:] = 0
    store = PartialLabels(
        {case: free.shape},
        3,
        Oracle(phantom),
        [Patch(case, (4, 4, 4), (1, 1, 1))],
        free=lambda name: free,
    )
    sampler = PatchSampler(phantom, store, [case], (1, 1, 1), 0.0)
    assert len(np.unique(sampler.batch(stream(0, "test"), 20)[0])) == 1
    wide = PatchSampler(phantom, store, [case], free.shape, 0.0)
    _, targets = wide.batch(stream(0, "test"), 1)
    assert (targets[0, 12:] == 0).all()
    assert (targets[0, :12] != IGNORE).sum() == 1


def test_a_sampler_keeps_a_bounded_number_of_image_files_open(phantom, labels, monkeypatch):
    from alsweep.data import patches

    monkeypatch.setattr(patches, "_OPEN_IMAGES", 1)
    sampler = PatchSampler(phantom, labels, phantom.pool, (4, 4, 4), 0.0)
    sampler.batch(stream(0, "test"), 20)
    cache = sampler._images._image.cache_info()
    assert (cache.currsize, cache.hits + cache.misses) == (1, 20)
    assert cache.misses > 3


def test_without_foreground_every_patch_is_of_the_other_kind(phantom):
    store = annotate(phantom, [Patch(phantom.pool[0], (0, 0, 0), (3, 3, 3))])
    sampler = PatchSampler(phantom, store, phantom.pool, (3, 3, 3), 1.0)
    _, targets = sampler.batch(stream(0, "test"), 8)
    assert set(np.unique(targets)) == {0, IGNORE}


def test_a_window_larger_than_the_volume_is_padded_on_both_sides(phantom):
    case = phantom.pool[0]
    whole = annotate(phantom, [Patch(case, (0, 0, 0), (24, 28, 32))])
    sampler = PatchSampler(phantom, whole, [case], (30, 28, 32), 0.0)
    images, targets = sampler.batch(stream(0, "test"), 2)
    assert np.array_equal(images[0, 0, 3:27], phantom.image(case)[0])
    assert (images[0, 0, :3] == 0).all()
    assert (images[0, 0, 27:] == 0).all()
    assert (targets[0, [0, 1, 2, 27, 28, 29]] == IGNORE).all()
    assert np.array_equal(targets[0, 3:27], ReferenceLabels(phantom).volume(case))


def test_voxels_that_the_annotator_left_out_are_never_drawn(phantom):
    class HalfBlind:
        def reveal(self, case, start, size):
            answer = np.full(size, IGNORE, dtype=np.uint8)
            answer[0, 0, 0] = 1
            return answer

    case = phantom.pool[0]
    shapes = {case: phantom.cases[case].shape}
    store = PartialLabels(shapes, 3, HalfBlind(), [Patch(case, (4, 4, 4), (9, 9, 9))])
    _, targets = PatchSampler(phantom, store, [case], (1, 1, 1), 0.5).batch(stream(0, "t"), 20)
    assert (targets == 1).all()


def test_a_draw_is_that_of_a_search_through_the_whole_box(phantom, labels):
    """What draws give is part of every result: it may become faster, but not other."""
    case = phantom.pool[0]
    sampler = PatchSampler(phantom, labels, [case], (1, 1, 1), 1.0)
    images, _ = sampler.batch(stream(1, "test"), 50)
    rng, patches = stream(1, "test"), labels.boxes(case)
    crops = [labels.crop(patch).ravel() for patch in patches]
    for image in images:
        rng.integers(1)
        label = [1, 2][rng.integers(2)]
        ends = np.cumsum([(crop == label).sum() for crop in crops])
        box = int(np.searchsorted(ends, rng.integers(ends[-1]), side="right"))
        fits = np.flatnonzero(crops[box] == label)
        place = np.unravel_index(fits[rng.integers(len(fits))], patches[box].size)
        voxel = tuple(np.add(patches[box].start, place))
        assert image.item() == phantom.image(case)[(0, *voxel)]


def test_equal_generators_give_equal_batches(phantom, labels):
    sampler = PatchSampler(phantom, labels, phantom.pool, (8, 8, 8), 0.5)
    first, second = (sampler.batch(stream(3, "test"), 4) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


def test_nothing_annotated_is_refused(phantom, labels):
    with pytest.raises(DatasetError, match="none of the 1 cases holds an annotated voxel"):
        PatchSampler(phantom, labels, [phantom.pool[5]], (8, 8, 8), 0.5)


def test_a_margin_is_read_round_the_same_windows(phantom):
    patches = [Patch(case, (4, 4, 4), (8, 8, 8)) for case in phantom.pool[:3]]
    labels = annotate(phantom, patches)
    plain = PatchSampler(phantom, labels, labels.cases, (8, 8, 8), 0.5)
    wide = PatchSampler(phantom, labels, labels.cases, (8, 8, 8), 0.5, margin=(2, 3, 4))
    images, targets = plain.batch(stream(0, "t"), 6)
    wider, wider_targets = wide.batch(stream(0, "t"), 6)
    assert wider.shape[2:] == wider_targets.shape[1:] == (12, 14, 16)
    np.testing.assert_array_equal(wider[:, :, 2:-2, 3:-3, 4:-4], images)
    np.testing.assert_array_equal(wider_targets[:, 2:-2, 3:-3, 4:-4], targets)


def test_windows_of_a_whole_case_do_not_crowd_at_its_borders(phantom):
    case = phantom.pool[0]
    shape = phantom.cases[case].shape
    labels = annotate(phantom, [Patch(case, (0, 0, 0), shape)])
    sampler = PatchSampler(phantom, labels, [case], (8, 8, 8), 0.0)
    starts = np.array([sampler._draw(stream(k, "t"), False)[1] for k in range(2000)])
    assert (starts >= 0).all()
    for column, length in zip(starts.T, shape, strict=True):
        places = length - 8 + 1
        assert column.max() == places - 1
        # Drawn first and then moved inside, 9 of ``length`` windows would lie at a border.
        assert np.isin(column, (0, places - 1)).mean() < 0.75 * 9 / length
