import numpy as np
import pytest

from alsweep.data.annotator import ReferenceLabels
from alsweep.data.phantom import make_case, write_phantom
from alsweep.errors import DatasetError
from alsweep.rng import stream


@pytest.fixture(scope="module")
def label_maps():
    """Of eight cases."""
    return [make_case(stream(0, i), (48, 48, 48))[1] for i in range(8)]


def test_classes_have_their_shares_in_every_case(label_maps):
    shares = np.array([np.bincount(one.ravel(), minlength=3) / 48**3 for one in label_maps])
    assert shares[:, 1].mean() == pytest.approx(0.03, rel=0.2)
    assert shares[:, 2].mean() == pytest.approx(0.007, rel=0.2)
    assert shares[:, 2].min() > 0.004


def test_a_random_patch_of_ten_voxels_misses_the_lesions_four_times_in_five(label_maps):
    rng = np.random.default_rng(0)
    hits = []
    for labels in label_maps[:6]:
        for z, y, x in rng.integers(0, 39, (200, 3)):
            hits.append(2 in labels[z : z + 10, y : y + 10, x : x + 10])
    assert 0.02 < np.mean(hits) < 0.2


def test_lesions_are_brighter_than_the_organ_and_the_body_than_air():
    image, labels = make_case(stream(0, "case"), (48, 48, 48))
    air = image[:3, :3, :3].mean()
    body = np.median(image[(labels == 0) & (image > 0.2)])
    assert air < 0.1 < body < image[labels == 1].mean() < image[labels == 2].mean()


def test_some_background_is_as_bright_as_a_lesion():
    image, labels = make_case(stream(0, "case"), (48, 48, 48))
    assert (image[labels == 0] > np.median(image[labels == 2])).sum() > 50


@pytest.mark.parametrize("shape", [(16, 16, 16), (16, 40, 24)])
def test_small_and_flat_shapes_hold_both_classes(tmp_path, shape):
    dataset = write_phantom(tmp_path / "out", cases=3, shape=shape)
    for case in dataset.cases.values():
        assert case.shape == shape
        assert min(case.class_voxels) > 0


@pytest.mark.parametrize(("classes", "shape"), [(3, (24, 24, 24)), (12, (16, 16, 16))])
def test_every_case_holds_every_class(classes, shape):
    for case in range(4):
        _, labels = make_case(stream(0, case), shape, classes)
        assert np.unique(labels).tolist() == list(range(classes + 1))


def test_further_organs_differ_in_size_and_intensity():
    cases = [make_case(stream(0, case), (32, 32, 32), 10) for case in range(3)]
    organs = range(3, 11)
    sizes = np.array([[(labels == one).sum() for one in organs] for _, labels in cases]).mean(0)
    bright = [np.mean([image[labels == one].mean() for image, labels in cases]) for one in organs]
    assert 0.02 < sizes.sum() / 32**3 < 0.05
    assert sizes.max() > 2 * sizes.min()
    assert (np.diff(bright) > 0.02).all()


def test_a_phantom_of_more_classes_names_them(tmp_path):
    dataset = write_phantom(tmp_path / "out", cases=2, shape=(16, 16, 16), classes=4)
    assert dataset.classes == ("background", "organ", "lesion", "organ_3", "organ_4")


def test_equal_arguments_give_equal_voxels_and_another_seed_others(tmp_path):
    prints = [
        write_phantom(tmp_path / name, cases=2, shape=(16, 16, 16), seed=seed).fingerprint
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert prints[0] == prints[1] != prints[2]


def test_a_case_does_not_change_when_more_are_drawn(tmp_path):
    few = write_phantom(tmp_path / "few", cases=2, shape=(16, 16, 16))
    more = write_phantom(tmp_path / "more", cases=5, shape=(16, 16, 16))
    assert np.array_equal(few.image("phantom_001"), more.image("phantom_001"))
    first, second = (ReferenceLabels(d).volume("phantom_001") for d in (few, more))
    assert np.array_equal(first, second)


def test_a_name_is_shown_and_changes_no_voxel(tmp_path):
    named = write_phantom(tmp_path / "a", cases=2, shape=(16, 16, 16), name="easy")
    other = write_phantom(tmp_path / "b", cases=2, shape=(16, 16, 16))
    assert (named.name, other.name) == ("easy", "phantom")
    assert named.fingerprint == other.fingerprint


def test_sixteen_cases_are_twelve_to_annotate_and_four_to_validate(tmp_path):
    dataset = write_phantom(tmp_path / "out", shape=(16, 16, 16))
    assert (len(dataset.pool), len(dataset.validation)) == (12, 4)


def test_images_are_normalised(phantom):
    image = phantom.image(phantom.pool[0])
    assert image.mean() == pytest.approx(0, abs=1e-5)
    assert image.std() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cases": 1}, "at least 2"),
        ({"shape": (48, 48, 15)}, "at least 16 voxels"),
        (
            {"shape": (24, 24, 24), "margin": 5},
            "16 voxels on each axis within a margin of 5; write l",
        ),
        ({"margin": -1}, "--margin -1: write 0 or more"),
        ({"classes": 1}, "--classes 1: a phantom has 2 to 30"),
        ({"classes": 31}, "2 to 30 classes beside the background"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path, arguments, message):
    with pytest.raises(DatasetError, match=message):
        write_phantom(tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_noise_changes_intensities_alone():
    quiet, same = make_case(stream(0, "case"), (16, 16, 16), noise=0.0)
    loud, labels = make_case(stream(0, "case"), (16, 16, 16), noise=0.5)
    assert np.array_equal(same, labels)
    assert (loud - quiet).std() == pytest.approx(0.5, rel=0.05)


def test_a_margin_is_air_round_the_same_body():
    image, labels = make_case(stream(0, "case"), (16, 18, 20), noise=0.0)
    wide, wide_labels = make_case(stream(0, "case"), (22, 24, 26), noise=0.0, margin=3)
    assert np.array_equal(wide, np.pad(image, 3))
    assert np.array_equal(wide_labels, np.pad(labels, 3))
    noisy, _ = make_case(stream(0, "case"), (22, 24, 26), noise=0.5, margin=3)
    assert (noisy - wide)[:3].std() == pytest.approx(0.5, rel=0.05)
