"""Free labels that ingest derives: outside the mask of the intensities, and in the air."""

import json

import numpy as np
import pytest

from alsweep.cli.main import _exit_code
from alsweep.data.annotator import ReferenceLabels
from alsweep.data.ingest.conversion import IngestOptions, ingest
from alsweep.data.phantom import write_phantom
from tests.data.raws import describe, nnunet, save, volume

SHAPE = (20, 24, 22)


def scan(seed):
    """A bright box with labels in it, in air of some noise; no voxel is zero."""
    noise = np.random.default_rng(seed).integers(1, 9, SHAPE)
    image, labels = noise.astype(np.int16), np.zeros(SHAPE, np.uint8)
    image[5:-5, 6:-6, 6:-6] += 400
    labels[8:-8, 9:-9, 9:-9] = 1
    labels[9:-9, 10:-10, 10:-10] = 2
    return image, labels


def raw_scans(root, cases=5, spacings=((1.0, 1.0, 1.0),)):
    raw = nnunet(root, cases=cases)
    for index in range(cases):
        image, labels = scan(index)
        spacing = spacings[index % len(spacings)]
        save(raw / f"imagesTr/case_{index}_0000.nii.gz", image, spacing)
        save(raw / f"labelsTr/case_{index}.nii.gz", labels, spacing)
    return raw


def change_label(raw, case, place, label):
    _, labels = scan(int(case[-1]))
    labels[place] = label
    save(raw / f"labelsTr/{case}.nii.gz", labels)


def masked(root):
    """Images that are zero outside a ball, in a crop that cuts the ball's box tightly."""
    raw = nnunet(root, cases=5)
    describe(raw, use_mask_for_norm=True)
    z, y, x = np.ogrid[:12, :10, :8]
    ball = ((z - 5.5) / 6) ** 2 + ((y - 4.5) / 5) ** 2 + ((x - 3.5) / 4) ** 2 < 1
    for index in range(5):
        image, labels = volume(seed=index)
        save(raw / f"imagesTr/case_{index}_0000.nii.gz", np.where(ball, image, 0).astype(np.int16))
        save(raw / f"labelsTr/case_{index}.nii.gz", np.where(ball, labels, 0).astype(np.uint8))
    return raw, ball


def test_background_outside_the_mask_of_the_intensities_is_free(tmp_path):
    raw, ball = masked(tmp_path / "raw")
    made = ingest(raw, tmp_path / "out")
    for case in made.dataset.pool:
        assert np.array_equal(made.dataset.free(case), np.where(ball, 255, 0))
    assert all(made.dataset.free(case) is None for case in made.dataset.validation)
    assert not any("free" in remark for remark in made.remarks)


def test_a_label_outside_the_mask_is_not_free_and_told(tmp_path):
    raw, ball = masked(tmp_path / "raw")
    pool = ingest(raw, tmp_path / "first").dataset.pool
    _, labels = volume(seed=int(pool[0][-1]))
    labels = np.where(ball, labels, 0).astype(np.uint8)
    labels[0, 0, :2] = 1
    save(raw / f"labelsTr/{pool[0]}.nii.gz", labels)
    made = ingest(raw, tmp_path / "second")
    expected = np.where(ball, 255, 0)
    expected[0, 0, :2] = 255
    assert np.array_equal(made.dataset.free(pool[0]), expected)
    assert [r for r in made.remarks if f"{pool[0]} (2 voxels)" in r and "not free" in r]


def test_a_case_with_free_labels_of_its_own_keeps_them_as_they_are(tmp_path):
    raw, ball = masked(tmp_path / "raw")
    pool = ingest(raw, tmp_path / "first").dataset.pool
    own = np.full(ball.shape, 255, np.uint8)
    own[0] = 0
    save(raw / f"addTr/{pool[0]}.nii.gz", own)
    dataset = ingest(raw, tmp_path / "second").dataset
    assert np.array_equal(dataset.free(pool[0]), own)
    assert np.array_equal(dataset.free(pool[1]), np.where(ball, 255, 0))


def test_free_air_adds_nothing_to_masked_intensities_and_says_so(tmp_path):
    raw, _ = masked(tmp_path / "raw")
    plain = ingest(raw, tmp_path / "first").dataset
    made = ingest(raw, tmp_path / "second", IngestOptions(free_air=True))
    assert made.dataset.fingerprint == plain.fingerprint
    assert any("--free-air adds nothing" in remark for remark in made.remarks)


def test_without_being_asked_nothing_of_an_unmasked_dataset_is_free(tmp_path):
    dataset = ingest(raw_scans(tmp_path / "raw"), tmp_path / "out").dataset
    assert all(dataset.free(case) is None for case in dataset.cases)


@pytest.mark.parametrize("spacing", [None, (1.3, 0.7, 1.6)])
def test_free_air_lies_round_the_body_and_holds_no_label(tmp_path, spacing):
    raw = raw_scans(tmp_path / "raw", spacings=((1.0, 1.0, 1.0), (2.0, 1.0, 1.2)))
    options = IngestOptions(free_air=True, spacing=spacing)
    made = ingest(raw, tmp_path / "out", options)
    reference = ReferenceLabels(made.dataset)
    assert made.dataset.pool
    for case in made.dataset.pool:
        free = made.dataset.free(case)
        assert set(np.unique(free)) == {0, 255}
        assert not reference.volume(case)[free == 0].any()
        # Nothing of the body, which is bright, is free.
        assert made.dataset.image(case)[0][free == 0].max() < 0
        assert 0.1 < (free == 0).mean() < 0.8
    assert not any("air" in remark for remark in made.remarks)


def test_air_that_holds_a_label_is_free_in_no_part_and_told_in_one_line(tmp_path):
    raw = raw_scans(tmp_path / "raw")
    pool = ingest(raw, tmp_path / "first").dataset.pool
    change_label(raw, pool[0], (0, 0, 0), 1)
    made = ingest(raw, tmp_path / "second", IngestOptions(free_air=True))
    assert made.dataset.free(pool[0]) is None
    assert all(made.dataset.free(case) is not None for case in pool[1:])
    (told,) = [remark for remark in made.remarks if "no air is free" in remark]
    assert f"{pool[0]} (1 voxels)" in told
    assert "holds a label" in told


def test_a_case_without_air_is_told(tmp_path):
    made = ingest(nnunet(tmp_path / "raw"), tmp_path / "out", IngestOptions(free_air=True))
    lacking = [case for case in made.dataset.pool if made.dataset.free(case) is None]
    told = [remark for remark in made.remarks if "no air is free" in remark]
    assert len(told) == (1 if lacking else 0)
    assert all(case in told[0] for case in lacking)


def test_a_hot_lesion_frees_nothing_of_the_body_and_the_cases_are_told(tmp_path):
    raw = nnunet(tmp_path / "raw", cases=5)
    _, y, x = np.ogrid[:24, :32, :32]
    inside = np.broadcast_to((y - 15.5) ** 2 + (x - 15.5) ** 2 < 144, (24, 32, 32))
    labels = np.zeros(inside.shape, np.uint8)
    labels[9:14, 13:18, 13:18], labels[18:20, 13:18, 13:18] = 1, 2
    for index in range(5):
        noise = np.random.default_rng(index).normal(0, 0.1, inside.shape)
        image = np.where(labels == 1, 40.0, np.where(inside, 1.0, 0.0)) + noise
        save(raw / f"imagesTr/case_{index}_0000.nii.gz", image.astype(np.float32))
        save(raw / f"labelsTr/case_{index}.nii.gz", labels)
    made = ingest(raw, tmp_path / "out", IngestOptions(free_air=True))
    assert all(made.dataset.free(case) is None for case in made.dataset.pool)
    (told,) = [remark for remark in made.remarks if "no air is free" in remark]
    assert f"in {len(made.dataset.pool)} cases" in told
    assert "addTr" in told


def test_ingest_and_inspect_say_how_much_is_free(tmp_path, capsys):
    raw, out = raw_scans(tmp_path / "raw"), tmp_path / "out"
    assert _exit_code(["ingest", str(raw), "--out", str(out), "--free-air"], debug=False) == 0
    assert "free labels in 4 of 4 pool cases" in capsys.readouterr().out
    assert _exit_code(["inspect", str(out), "--json"], debug=False) == 0
    shares = {
        case["id"]: case["free_share"] for case in json.loads(capsys.readouterr().out)["cases"]
    }
    dataset = ingest(raw, tmp_path / "again", IngestOptions(free_air=True)).dataset
    expected = {case: float((dataset.free(case) == 0).mean()) for case in dataset.pool}
    assert {case: share for case, share in shares.items() if share is not None} == expected


def test_the_air_of_a_phantom_is_free_where_it_is_asked_for(tmp_path):
    plain = write_phantom(tmp_path / "plain", cases=3, shape=(32, 32, 32))
    airy = write_phantom(tmp_path / "airy", cases=3, shape=(32, 32, 32), free_air=True)
    assert plain.fingerprint != airy.fingerprint
    for case in airy.pool:
        free = airy.free(case) == 0
        assert 0.1 < free.mean() < 0.6
        assert not ReferenceLabels(airy).volume(case)[free].any()
        assert plain.free(case) is None
    assert all(airy.free(case) is None for case in airy.validation)
