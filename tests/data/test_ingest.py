import gzip
import json
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from alsweep.data.annotator import ReferenceLabels
from alsweep.data.ingest.conversion import IngestOptions, _workers, ingest
from alsweep.data.ingest.writing import write_case
from alsweep.data.raw.folder import read_raw
from alsweep.errors import IngestError
from tests.data.raws import decathlon, describe, nnunet, save, volume


def made(raw, out, **options):
    return ingest(raw, out, IngestOptions(**options)).dataset


def test_labels_on_an_unchanged_grid_come_back_as_they_were(tmp_path):
    dataset = made(nnunet(tmp_path / "raw"), tmp_path / "out")
    reference = ReferenceLabels(dataset)
    for index in range(4):
        image, labels = volume(seed=10 * index)
        assert np.array_equal(reference.volume(f"case_{index}"), labels)
        scored = (image - image.mean()) / image.std()
        assert dataset.image(f"case_{index}")[0] == pytest.approx(scored, abs=1e-4)


def test_what_the_raw_dataset_said_is_kept(tmp_path):
    raw = nnunet(tmp_path / "Dataset007_Tiny", channels=("T1", "T2"), spacings=((2.0, 1.5, 1.0),))
    dataset = made(raw, tmp_path / "out")
    case = dataset.cases["case_1"]
    assert dataset.name == "Dataset007_Tiny"
    assert dataset.classes == ("background", "organ", "lesion")
    assert dataset.channels == ("T1", "T2")
    assert dataset.manifest.spacing == case.original_spacing == (2.0, 1.5, 1.0)
    assert case.affine == ((1, 0, 0, 0), (0, 1.5, 0, 0), (0, 0, 2, 0), (0, 0, 0, 1))
    assert sorted(case.sources) == [
        "imagesTr/case_1_0000.nii.gz",
        "imagesTr/case_1_0001.nii.gz",
        "labelsTr/case_1.nii.gz",
    ]
    second, _ = volume(seed=11)
    assert np.corrcoef(dataset.image("case_1")[1].ravel(), second.ravel())[0, 1] > 0.999


def test_a_decathlon_folder_is_read_with_its_channels(tmp_path):
    dataset = made(decathlon(tmp_path / "Task01_Tiny"), tmp_path / "out")
    assert dataset.channels == ("M0", "M1")
    assert dataset.classes == ("background", "organ", "lesion")
    assert list(dataset.cases) == [f"case_{i}" for i in range(4)]
    for channel in range(2):
        image, _ = volume(seed=20 + channel)
        stored = dataset.image("case_2")[channel]
        assert np.corrcoef(stored.ravel(), image.ravel())[0, 1] > 0.999
    first = volume(seed=0)[1]
    assert np.array_equal(ReferenceLabels(dataset).volume("case_0"), first)


def test_a_decathlon_folder_of_3d_files_has_one_channel(tmp_path):
    dataset = made(decathlon(tmp_path / "raw", channels=1), tmp_path / "out")
    assert dataset.channels == ("M0",)


def test_too_few_channels_in_a_4d_file_are_refused(tmp_path):
    raw = decathlon(tmp_path / "raw")
    describe(raw, modality={"0": "A", "1": "B", "2": "C"})
    with pytest.raises(IngestError, match=r"case_0.nii.gz: has 2 channels, .* names 3"):
        made(raw, tmp_path / "out")


@pytest.mark.parametrize("place", ["/etc/passwd.nii.gz", "../secret.nii.gz", "./a/../../x.nii.gz"])
def test_paths_that_leave_the_folder_are_refused(tmp_path, place):
    raw = decathlon(tmp_path / "raw")
    description = json.loads((raw / "dataset.json").read_text())
    description["training"][0]["label"] = place
    describe(raw, training=description["training"])
    with pytest.raises(IngestError, match="leads out of the dataset"):
        made(raw, tmp_path / "out")


def test_a_case_listed_twice_is_refused(tmp_path):
    raw = decathlon(tmp_path / "raw")
    entries = json.loads((raw / "dataset.json").read_text())["training"]
    describe(raw, training=[*entries, entries[0]])
    with pytest.raises(IngestError, match="'case_0' occurs twice"):
        made(raw, tmp_path / "out")


def test_cases_of_other_spacing_are_resampled_to_the_median(tmp_path):
    raw = nnunet(
        tmp_path / "raw",
        cases=6,
        spacings=((1.0, 1.0, 1.0), (1.0, 1.0, 1.0), (2.0, 1.0, 1.0)),
        shapes=((12, 10, 8), (12, 10, 8), (6, 10, 8)),
    )
    dataset = made(raw, tmp_path / "out")
    assert dataset.manifest.spacing == (1.0, 1.0, 1.0)
    case = dataset.cases["case_2"]
    assert (case.shape, case.original_shape) == ((12, 10, 8), (6, 10, 8))
    assert case.original_spacing == (2.0, 1.0, 1.0)
    assert set(np.unique(ReferenceLabels(dataset).volume("case_2"))) == {0, 1, 2}


def test_anisotropic_cases_repeat_slices_and_blend_within_them(tmp_path):
    raw = nnunet(tmp_path / "raw", spacings=((5.0, 1.0, 1.0),), shapes=((6, 20, 20),))
    dataset = made(raw, tmp_path / "out", spacing=(2.5, 1.0, 1.0))
    image = dataset.image("case_0")[0]
    assert image.shape == (12, 20, 20)
    assert np.array_equal(image[0::2], image[1::2])


def test_the_asked_for_spacing_wins(tmp_path):
    dataset = made(nnunet(tmp_path / "raw"), tmp_path / "out", spacing=(2.0, 1.0, 0.5))
    assert dataset.manifest.spacing == (2.0, 1.0, 0.5)
    assert dataset.cases["case_0"].shape == (6, 10, 16)


def test_ct_is_normalised_by_the_foreground_of_the_pool(tmp_path):
    dataset = made(nnunet(tmp_path / "raw", channels=("CT",)), tmp_path / "out")
    values = np.concatenate(
        [
            image[labels > 0]
            for image, labels in (volume(seed=10 * int(case[-1])) for case in dataset.pool)
        ]
    )
    low, high = np.percentile(values, (0.5, 99.5))
    how = dataset.manifest.normalisation[0]
    assert (how.scheme, how.low, how.high) == ("ct", pytest.approx(low), pytest.approx(high))
    case = dataset.validation[0]
    image, _ = volume(seed=10 * int(case[-1]))
    expected = (np.clip(image, low, high) - values.mean()) / values.std()
    assert dataset.image(case)[0] == pytest.approx(expected, abs=1e-4)


def test_images_val_is_the_validation_part_and_labelled_images_ts_the_test_part(tmp_path):
    raw = nnunet(tmp_path / "raw")
    for folder, case, labelled in (("Val", "v", True), ("Ts", "t", True), ("Ts", "u", False)):
        image, labels = volume()
        save(raw / f"images{folder}/{case}_0000.nii.gz", image)
        if labelled:
            save(raw / f"labels{folder}/{case}.nii.gz", labels)
    dataset = made(raw, tmp_path / "out")
    assert dataset.validation == ("v",)
    assert dataset.test == ("t",)
    assert len(dataset.pool) == 4


@pytest.mark.parametrize(("fold", "validation"), [(None, "case_3"), (0, "case_3"), (1, "case_1")])
def test_splits_final_decides_by_its_fold(tmp_path, fold, validation):
    raw = nnunet(tmp_path / "raw")
    cases = {f"case_{i}" for i in range(4)}
    folds = [{"train": sorted(cases - {c}), "val": [c]} for c in ("case_3", "case_1")]
    (raw / "splits_final.json").write_text(json.dumps(folds))
    assert made(raw, tmp_path / "out", fold=fold).validation == (validation,)


def test_a_fold_that_is_not_there_is_refused(tmp_path):
    raw = nnunet(tmp_path / "raw")
    (raw / "splits_final.json").write_text('[{"train": ["case_0"], "val": ["case_1"]}]')
    with pytest.raises(IngestError, match="has 1 folds"):
        made(raw, tmp_path / "out", fold=1)


def test_groups_stay_together(tmp_path):
    raw = nnunet(tmp_path / "raw", cases=8)
    for index in range(8):
        for folder, tail in (("images", "_0000"), ("labels", "")):
            old = raw / f"{folder}Tr/case_{index}{tail}.nii.gz"
            old.rename(raw / f"{folder}Tr/p{index // 2}_visit{index % 2}{tail}.nii.gz")
    dataset = made(raw, tmp_path / "out", group_by=r"^p\d+")
    patients = [{case[:2] for case in part} for part in (dataset.pool, dataset.validation)]
    assert not patients[0] & patients[1]
    assert (len(dataset.pool), len(dataset.validation)) == (6, 2)


def test_headers_that_differ_by_rounding_are_one_grid(tmp_path):
    raw = nnunet(tmp_path / "raw")
    save(raw / "labelsTr/case_0.nii.gz", volume()[1], origin=(5e-4, 0, 0))
    assert "case_0" in made(raw, tmp_path / "out").cases


def test_integral_labels_stored_as_floats_are_accepted(tmp_path):
    raw = nnunet(tmp_path / "raw")
    labels = volume()[1]
    save(raw / "labelsTr/case_0.nii.gz", labels.astype(np.float64))
    dataset = made(raw, tmp_path / "out")
    assert np.array_equal(ReferenceLabels(dataset).volume("case_0"), labels)


def test_constant_and_black_images_are_stored(tmp_path):
    raw = nnunet(tmp_path / "raw")
    save(raw / "imagesTr/case_0_0000.nii.gz", np.full((12, 10, 8), 7, np.int16))
    save(raw / "labelsTr/case_0.nii.gz", np.zeros((12, 10, 8), np.uint8))
    dataset = made(raw, tmp_path / "out")
    assert (dataset.image("case_0") == 0).all()
    assert dataset.cases["case_0"].class_voxels == (960, 0, 0)


def test_names_with_spaces_and_accents_work(tmp_path):
    raw = nnunet(tmp_path / "rohe Daten")
    for folder, tail in (("images", "_0000"), ("labels", "")):
        old = raw / f"{folder}Tr/case_0{tail}.nii.gz"
        old.rename(raw / f"{folder}Tr/Größe 0 [a]{tail}.nii.gz")
    dataset = made(raw, tmp_path / "fertige Daten")
    assert "Größe 0 [a]" in dataset.cases


def test_two_ingests_of_one_folder_have_one_fingerprint(tmp_path):
    raw = nnunet(tmp_path / "raw")
    first, second = (made(raw, tmp_path / name, workers=1) for name in "ab")
    assert first.fingerprint == second.fingerprint
    (raw / "imagesTr/case_0_0000.nii.gz").unlink()
    save(raw / "imagesTr/case_0_0000.nii.gz", volume(seed=99)[0])
    assert made(raw, tmp_path / "c").fingerprint != first.fingerprint


def test_processes_give_what_one_process_gives(tmp_path):
    raw = nnunet(tmp_path / "raw", channels=("CT",))
    seen = []
    one = made(raw, tmp_path / "one", workers=1)
    two = ingest(
        raw, tmp_path / "two", IngestOptions(workers=2), lambda *seen_now: seen.append(seen_now)
    ).dataset
    assert one.fingerprint == two.fingerprint
    assert seen == [(p, n, 4) for p in ("checking", "writing") for n in (1, 2, 3, 4)]


def test_oddities_are_remarked(tmp_path):
    raw = nnunet(tmp_path / "raw")
    describe(raw, numTraining=9, labels={"background": 0, "organ": 1, "lesion": 2, "ghost": 3})
    remarks = ingest(raw, tmp_path / "out").remarks
    assert remarks == (
        "dataset.json announces 9 training cases, 4 are there",
        "class 'ghost' occurs in no pool case",
        "class 'ghost' occurs in no validation case",
    )


def test_a_failure_while_writing_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("alsweep.data.ingest.conversion.write_case", full)
    with pytest.raises(OSError, match="No space left"):
        made(nnunet(tmp_path / "raw"), tmp_path / "out", workers=1)
    assert [p.name for p in tmp_path.iterdir()] == ["raw"]


def _stop_after(monkeypatch, cases):
    """Ctrl-C when so many cases are written."""
    done = []

    def counted(*arguments):
        if len(done) == cases:
            raise KeyboardInterrupt
        done.append(arguments)
        return write_case(*arguments)

    monkeypatch.setattr("alsweep.data.ingest.conversion.write_case", counted)
    return done


def test_an_interrupted_ingest_is_gone_on_with(tmp_path, monkeypatch):
    raw = nnunet(tmp_path / "raw", cases=5)
    whole = made(raw, tmp_path / "whole")
    _stop_after(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        made(raw, tmp_path / "out", workers=1)
    assert not (tmp_path / "out").exists()
    redone = _stop_after(monkeypatch, 99)
    assert made(raw, tmp_path / "out", workers=1).fingerprint == whole.fingerprint
    assert len(redone) == 2


def test_what_changed_in_between_is_done_anew(tmp_path, monkeypatch):
    raw = nnunet(tmp_path / "raw", cases=5)
    _stop_after(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        made(raw, tmp_path / "out", workers=1)
    save(raw / "imagesTr/case_1_0000.nii.gz", volume(seed=99)[0])
    redone = _stop_after(monkeypatch, 99)
    resumed = made(raw, tmp_path / "out", workers=1)
    assert len(redone) == 3
    assert resumed.fingerprint == made(raw, tmp_path / "fresh").fingerprint


def test_another_spacing_does_all_cases_anew_but_measures_none(tmp_path, monkeypatch):
    raw = nnunet(tmp_path / "raw", cases=5)
    _stop_after(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        made(raw, tmp_path / "out", workers=1)
    redone = _stop_after(monkeypatch, 99)
    monkeypatch.setattr("alsweep.data.ingest.measuring._facts", None)
    resumed = made(raw, tmp_path / "out", workers=1, spacing=(2.0, 1.0, 1.0))
    assert len(redone) == 5
    assert resumed.cases["case_0"].shape == (6, 10, 8)


def test_a_file_that_changes_between_the_passes_is_found(tmp_path):
    raw = nnunet(tmp_path / "raw")

    def meddle(phase, done, total):
        if (phase, done) == ("checking", total):
            save(raw / "labelsTr/case_3.nii.gz", 0 * volume()[1])

    with pytest.raises(IngestError, match="was changed while it was being ingested"):
        ingest(raw, tmp_path / "out", IngestOptions(workers=1), meddle)
    assert not (tmp_path / "out").exists()


def test_few_workers_are_used_where_a_case_is_large(tmp_path, monkeypatch):
    raw = nnunet(tmp_path / "raw")
    dataset = read_raw(raw)
    monkeypatch.setattr("alsweep.data.ingest.conversion._BYTES_PER_WORKER", 1)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(8))
    assert _workers(dataset) == 4
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    monkeypatch.setattr(
        "alsweep.data.ingest.conversion._BYTES_PER_VOXEL", physical // (960 * 2 * 3)
    )
    assert _workers(dataset) == 3


def test_rgb_that_is_none_is_refused(tmp_path):
    raw = nnunet(tmp_path / "raw", channels=("rgb_to_0_1",))
    save(raw / "imagesTr/case_2_0000.nii.gz", volume()[0] * 3)
    with pytest.raises(IngestError, match=r"case_2_0000.nii.gz: .* expected 0 to 255"):
        made(raw, tmp_path / "out")


def test_plans_that_normalise_otherwise_than_the_name_says_are_remarked(tmp_path):
    raw, plans = nnunet(tmp_path / "raw"), tmp_path / "plans.json"
    golden = json.loads((Path(__file__).parents[1] / "golden/nnunet_plans.json").read_text())
    plans.write_text(json.dumps(golden["tiny"]["ct"]["plans_file"]))
    ingested = ingest(raw, tmp_path / "out", IngestOptions(plans=plans))
    assert ingested.remarks[0] == (
        "the plans normalise channel 'MR' by ct, its name stands for zscore"
    )
    assert ingested.dataset.manifest.normalisation[0].scheme == "ct"


@pytest.mark.parametrize("slope", [1.00002, 0.99998])
def test_labels_that_scl_slope_rounds_are_integers(tmp_path, slope):
    raw = nnunet(tmp_path / "raw")
    names = {"background": 0, **{f"rib {index}": index for index in range(1, 250)}}
    describe(raw, labels=names)
    labels = np.arange(960, dtype=np.uint8).reshape(12, 10, 8) % 250
    image = nib.Nifti1Image(labels.T, np.eye(4))
    image.header.set_slope_inter(slope, 0)
    raw_bytes = bytearray(image.to_bytes())
    raw_bytes[112:116] = np.array(slope, "<f4").tobytes()
    (raw / "labelsTr/case_0.nii.gz").write_bytes(gzip.compress(bytes(raw_bytes)))
    values = nib.load(raw / "labelsTr/case_0.nii.gz").get_fdata()
    assert np.abs(values - np.rint(values)).max() > 0.004
    dataset = made(raw, tmp_path / "out")
    assert np.array_equal(ReferenceLabels(dataset).volume("case_0"), labels)


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_int64_labels_are_accepted(tmp_path, ending):
    raw = nnunet(tmp_path / "raw")
    for path in sorted(raw.glob("*Tr/*.nii.gz")):
        image = sitk.ReadImage(str(path))
        if path.parent.name == "labelsTr":
            image = sitk.Cast(image, sitk.sitkInt64)
        sitk.WriteImage(image, str(path).replace(".nii.gz", ending), True)
        path.unlink()
    describe(raw, file_ending=ending)
    dataset = made(raw, tmp_path / "out")
    assert np.array_equal(ReferenceLabels(dataset).volume("case_1"), volume(seed=10)[1])
