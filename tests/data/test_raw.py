"""What the layouts of nnU-Net v2 and the Decathlon allow."""

import json
import re
import unicodedata

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from alsweep import Dataset
from alsweep.data.annotator import ReferenceLabels
from alsweep.data.case import Region
from alsweep.data.ingest.conversion import IngestOptions, ingest
from alsweep.data.raw.folder import read_raw
from alsweep.errors import IngestError
from tests.data.raws import decathlon, describe, nnunet, save, volume

BRATS = {
    "background": 0,
    "whole tumor": [1, 2, 3],
    "tumor core": [2, 3],
    "enhancing tumor": [3],
}

PEDIATRIC = {
    "background": 0,
    "whole_tumor": [1, 2, 3, 4],
    "tumor_core": [1, 2, 3],
    "enhancing_tumor": 1,
}
INSIDE_OUT = {"background": 0, "core": [2], "whole": [1, 2]}
CROSSING = {"background": 0, "lung": [1, 2], "lesion": [2, 3]}


def relabel(raw, change):
    """Change the labels of all cases."""
    for path in sorted((raw / "labelsTr").iterdir()):
        image = nib.load(path)
        labels = change(np.asanyarray(image.dataobj)).astype(np.uint8)
        nib.save(nib.Nifti1Image(labels, image.affine), path)


def made(raw, out, **options) -> Dataset:
    return ingest(raw, out, IngestOptions(**options)).dataset


# Labels


def test_regions_are_kept_beside_the_labels_they_are_made_of(tmp_path):
    raw = nnunet(tmp_path / "raw")
    describe(raw, labels=BRATS, regions_class_order=[1, 2, 3])
    relabel(raw, lambda labels: np.where(labels == 2, 3, labels))
    manifest = made(raw, tmp_path / "out").manifest
    assert manifest.classes == ("background", "label_1", "label_2", "enhancing tumor")
    assert manifest.regions == (
        Region(name="whole tumor", labels=(1, 2, 3)),
        Region(name="tumor core", labels=(2, 3)),
        Region(name="enhancing tumor", labels=(3,)),
    )
    assert manifest.regions_class_order == (1, 2, 3)
    assert manifest.cases[0].class_voxels[2] == 0 < manifest.cases[0].class_voxels[3]


def test_an_order_that_gives_every_region_back_is_taken(tmp_path):
    raw = nnunet(tmp_path / "raw")
    describe(raw, labels=PEDIATRIC, regions_class_order=[4, 3, 1])
    assert read_raw(raw).labels.regions_class_order == (4, 3, 1)


def test_channels_may_have_one_name_and_each_is_normalised_by_its_own_values(tmp_path):
    """That is how nnU-Net is told to treat two channels as CT."""
    raw = nnunet(tmp_path / "raw", channels=("CT", "CT"))
    for index in range(4):
        other = volume(seed=10 * index + 1)[0] * 3 + 1000
        save(raw / f"imagesTr/case_{index}_0001.nii.gz", other.astype(np.int16))
    dataset = made(raw, tmp_path / "out")
    first, second = dataset.manifest.normalisation
    assert dataset.channels == ("CT", "CT")
    assert (first.scheme, second.scheme) == ("ct", "ct")
    pool = [index for index in range(4) if f"case_{index}" in dataset.pool]
    for channel, how in enumerate((first, second)):
        values = np.concatenate(
            [
                volume(seed=10 * index + channel)[0][volume()[1] > 0] * (1, 3)[channel]
                + (0, 1000)[channel]
                for index in pool
            ]
        )
        assert (how.mean, how.std) == pytest.approx((values.mean(), values.std()), rel=1e-4)


def test_zeros_round_an_image_of_an_own_export_are_no_margin(tmp_path):
    raw = nnunet(tmp_path / "raw")
    for path in (raw / "imagesTr").iterdir():
        save(path, np.pad(volume()[0][2:-2], ((2, 2), (0, 0), (0, 0))))
    assert made(raw, tmp_path / "cropped").cases["case_0"].shape == (8, 10, 8)
    describe(raw, alsweep={"cropped": True, "dataset_fingerprint": "of another time"})
    assert made(raw, tmp_path / "whole").cases["case_0"].shape == (12, 10, 8)


def test_modalities_of_a_decathlon_task_may_have_one_name(tmp_path):
    raw = decathlon(tmp_path / "raw")
    describe(raw, modality={"0": "CT", "1": "CT"})
    assert made(raw, tmp_path / "out").channels == ("CT", "CT")


def test_a_list_of_one_label_is_a_class_and_no_region(tmp_path):
    raw = nnunet(tmp_path / "raw")
    describe(raw, labels={"background": [0], "organ": [1], "lesion": 2})
    labels = read_raw(raw).labels
    assert labels.classes == ("background", "organ", "lesion")
    assert labels.regions == ()


def test_ignored_voxels_are_stored_as_255_and_in_no_class(tmp_path):
    raw = nnunet(tmp_path / "raw")
    describe(raw, labels={"background": 0, "organ": 1, "ignore": 2})
    dataset = made(raw, tmp_path / "out")
    labels = volume()[1]
    stored = ReferenceLabels(dataset).volume("case_0")
    assert np.array_equal(stored, np.where(labels == 2, 255, labels))
    counts = tuple(int((labels == label).sum()) for label in (0, 1))
    assert dataset.classes == ("background", "organ")
    assert dataset.cases["case_0"].class_voxels == counts


def test_ignored_voxels_are_no_foreground_of_the_ct_window(tmp_path):
    raw = nnunet(tmp_path / "raw", channels=("CT",))
    describe(raw, labels={"background": 0, "organ": 1, "ignore": 2})
    dataset = made(raw, tmp_path / "out")
    values = [volume(seed=10 * int(case[-1])) for case in dataset.pool]
    organ = np.concatenate([image[labels == 1] for image, labels in values])
    assert dataset.manifest.intensities[0].max == organ.max()


def test_regions_and_an_ignore_label_may_meet(tmp_path):
    raw = nnunet(tmp_path / "raw")
    describe(raw, labels={**BRATS, "ignore": 4}, regions_class_order=[1, 2, 3])
    relabel(raw, lambda labels: labels * 2)
    labels = read_raw(raw).labels
    assert (labels.ignore, labels.declared, len(labels.regions)) == (4, 5, 3)
    stored = ReferenceLabels(made(raw, tmp_path / "out")).volume("case_0")
    assert set(np.unique(stored)) == {0, 2, 255}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"labels": {"background": 0, "organ": 1, "ignore": 1}}, "must be the highest label, 2"),
        ({"labels": {"background": 0, "ignore": 1, "organ": 2}}, "without a gap, got 0, 2"),
        ({"labels": {"background": 0, "organ": 1, "ignore": [2, 3]}}, "must be the highest label"),
        ({"labels": BRATS}, "'regions_class_order': is missing"),
        ({"labels": BRATS}, "with one label; write [1, 2, 3]"),
        ({"labels": BRATS, "regions_class_order": [1, 2]}, "expected 3 of the labels"),
        ({"labels": BRATS, "regions_class_order": []}, "got none; write [1, 2, 3]"),
        ({"labels": BRATS, "regions_class_order": [1, 2, 9]}, "got 1, 2, 9; write [1, 2, 3]"),
        (
            {"labels": BRATS, "regions_class_order": [1, 2, 2]},
            "turns label 3 into 2, of which only one is in 'enhancing tumor', so that a perfect "
            "prediction would score as a wrong one; write [1, 2, 3]",
        ),
        (
            {"labels": PEDIATRIC, "regions_class_order": [1, 2, 3]},
            "turns label 1 into 3, of which only one is in 'enhancing_tumor', so that a perfect "
            "prediction would score as a wrong one; write [4, 2, 1]",
        ),
        (
            {"labels": INSIDE_OUT, "regions_class_order": [2, 1]},
            "in the order 'whole', 'core', each before what lies in it, and write [1, 2]",
        ),
        ({"labels": CROSSING, "regions_class_order": [1, 3]}, "no order would do"),
        ({"labels": {"background": 0, "organ": []}}, "must name different labels, got none"),
        ({"labels": {"background": 0, "organ": [1, 1]}}, "must name different labels, got 1, 1"),
        ({"labels": {"background": 0, "organ": 1, "liver": 1}}, "same number"),
        ({"labels": {"organ": 1, "lesion": 2}}, 'add "background": 0'),
        ({"labels": {"organ": 0, "background": 1}}, "'labels.background': must be 0, got 1"),
        ({"labels": {"background": 0, "organ": -1}}, "without a gap"),
        ({"labels": {"background": 0, "or\ud800gan": 1}}, "not a printable name"),
        ({"labels": {"background": 0, "a\nb": 1}}, "not a printable name"),
        ({"labels": {"background": 0, "": 1}}, "not a printable name"),
        ({"labels": {"background": 0, "x" * 300: 1}}, "longer than 200 bytes"),
        ({"channel_names": {"1": "T1"}}, "without a gap"),
        ({"channel_names": []}, "'channel_names': must be an object, {...}, got '[]'"),
        ({"channel_names": {}}, "'channel_names': is empty"),
        ({"labels": {"0": "background", "a": 1}}, "'labels.0': must be a whole number, got 'ba"),
        ({"overwrite_image_reader_writer": "Tiff3DIO"}, "got 'Tiff3DIO'"),
        ({"use_mask_for_norm": [True, False]}, "expected 1 values"),
        ({"dataset": {"../x": {"images": ["a.nii.gz"], "label": "b"}}}, "cannot be a case id"),
        ({"dataset": {"x": {"images": [], "label": "b"}}}, "dataset.x.images"),
        ({"dataset": {"x": {"images": ["\0"], "label": "b"}}}, "cannot be a path"),
        ({"dataset": {"x": {"images": ["$A/b"], "label": "b"}}}, "'$A/b' holds a variable"),
    ],
)
def test_a_description_that_contradicts_itself_is_refused(tmp_path, changes, reason):
    raw = nnunet(tmp_path / "raw")
    describe(raw, **changes)
    with pytest.raises(IngestError, match=re.escape(reason)):
        made(raw, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# Free labels


def free_labels(raw, case="case_0"):
    labels = np.full(volume()[1].shape, 255, np.uint8)
    labels[:3] = 0
    save(raw / f"addTr/{case}.nii.gz", labels)
    return labels


def test_free_labels_are_one_more_label_image(tmp_path):
    raw = nnunet(tmp_path / "raw")
    labels = free_labels(raw)
    dataset = made(raw, tmp_path / "out")
    assert np.array_equal(dataset.free("case_0"), labels)
    assert dataset.free("case_1") is None
    assert "addTr/case_0.nii.gz" in dataset.cases["case_0"].sources
    with pytest.raises(ValueError, match="read-only"):
        dataset.free("case_0")[0] = 1


def test_free_labels_are_part_of_the_fingerprint(tmp_path):
    raw = nnunet(tmp_path / "raw")
    without = made(raw, tmp_path / "a")
    free_labels(raw)
    assert made(raw, tmp_path / "b").fingerprint != without.fingerprint


def test_free_labels_of_no_case_are_refused(tmp_path):
    raw = nnunet(tmp_path / "raw")
    free_labels(raw, "who")
    with pytest.raises(IngestError, match=r"addTr/who.nii.gz: belongs to no training case"):
        made(raw, tmp_path / "out")


def test_free_labels_that_mean_nothing_are_refused(tmp_path):
    raw = nnunet(tmp_path / "raw")
    save(raw / "addTr/case_0.nii.gz", np.full(volume()[1].shape, 254, np.uint8))
    with pytest.raises(IngestError, match=r"addTr/case_0.nii.gz: .*does not name \(254\)"):
        made(raw, tmp_path / "out")


# Files


def convert(raw, ending):
    """Write all volumes anew with another ending, by SimpleITK."""
    for path in sorted(raw.glob("*Tr/*.nii.gz")):
        image = sitk.ReadImage(str(path))
        sitk.WriteImage(image, str(path).replace(".nii.gz", ending), True)
        path.unlink()
    describe(raw, file_ending=ending)


@pytest.mark.parametrize("ending", [".nii", ".nrrd", ".mha"])
def test_every_ending_gives_the_same_dataset(tmp_path, ending):
    spacings = ((2.0, 1.5, 1.0), (2.5, 1.5, 1.0))
    raw = nnunet(tmp_path / "raw", spacings=spacings)
    first = made(raw, tmp_path / "first")
    convert(raw, ending)
    second = made(raw, tmp_path / "second")
    assert second.fingerprint == first.fingerprint
    for case in first.cases:
        assert second.cases[case].affine == first.cases[case].affine


@pytest.mark.parametrize("reader", ["SimpleITKIO", "NibabelIO"])
def test_readers_that_keep_the_axes_make_no_difference(tmp_path, reader):
    raw = nnunet(tmp_path / "raw")
    plain = made(raw, tmp_path / "plain")
    describe(raw, overwrite_image_reader_writer=reader)
    assert made(raw, tmp_path / "out").fingerprint == plain.fingerprint


def test_a_reader_that_reorients_turns_voxels_spacing_and_affine(tmp_path):
    raw = nnunet(tmp_path / "raw", spacings=((2.0, 1.5, 1.0),))
    describe(raw, overwrite_image_reader_writer="NibabelIOWithReorient")
    expected = {}
    for path in sorted(raw.glob("*Tr/*.nii.gz")):
        image = nib.load(path)
        # Axes that point to the left, posterior and superior, in another order.
        turned = image.as_reoriented(np.array([[2, -1], [0, -1], [1, 1]]))
        nib.save(turned, path)
        canonical = nib.as_closest_canonical(nib.load(path))
        expected[path.name] = canonical
    dataset = made(raw, tmp_path / "out")
    case, theirs = dataset.cases["case_0"], expected["case_0.nii.gz"]
    assert case.original_spacing == pytest.approx(theirs.header.get_zooms()[::-1])
    assert case.original_shape == theirs.shape[::-1]
    assert np.array(case.affine) == pytest.approx(theirs.affine)
    labels = np.asanyarray(theirs.dataobj).T
    assert np.array_equal(ReferenceLabels(dataset).volume("case_0"), labels)


def test_files_that_the_description_lists_are_found_where_it_says(tmp_path):
    raw = nnunet(tmp_path / "raw")
    (raw / "imagesTr").rename(raw / "scans")
    (raw / "labelsTr").rename(raw / "masks")
    cases = {
        f"patient {i}": {
            "images": [f"scans/case_{i}_0000.nii.gz"],
            "label": f"masks/case_{i}.nii.gz",
        }
        for i in range(3)
    }
    describe(raw, dataset=cases)
    dataset = made(raw, tmp_path / "out")
    assert sorted(dataset.cases) == ["patient 0", "patient 1", "patient 2"]
    assert np.array_equal(ReferenceLabels(dataset).volume("patient 1"), volume(seed=10)[1])


def as_v1(raw, modality):
    """Describe an nnU-Net v2 folder as nnU-Net v1 did: its files are named the same."""
    names = sorted(path.name for path in (raw / "labelsTr").iterdir())
    describe(
        raw,
        channel_names=None,
        file_ending=None,
        modality=modality,
        labels={"0": "background", "1": "organ", "2": "lesion"},
        training=[{"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"} for name in names],
        test=[],
    )


@pytest.mark.parametrize("channels", [("CT",), ("T1", "T2")])
def test_nnunet_v1_is_read_as_the_same_dataset_of_v2(tmp_path, channels):
    raw = nnunet(tmp_path / "Task500_Tiny", channels=channels)
    second = made(raw, tmp_path / "v2")
    as_v1(raw, {str(index): name for index, name in enumerate(channels)})
    first = made(raw, tmp_path / "v1")
    assert first.channels == channels
    assert first.fingerprint == second.fingerprint


def test_a_channel_that_v1_does_not_name_is_refused(tmp_path):
    raw = nnunet(tmp_path / "raw", channels=("T1", "T2"))
    as_v1(raw, {"0": "T1"})
    with pytest.raises(IngestError, match=r"case_0_0001.nii.gz: is channel 1, .*; add it to moda"):
        read_raw(raw)


def test_a_missing_file_of_v1_is_that_of_its_channel(tmp_path):
    raw = nnunet(tmp_path / "raw")
    as_v1(raw, {"0": "CT"})
    (raw / "imagesTr/case_1_0000.nii.gz").unlink()
    with pytest.raises(IngestError, match=r"imagesTr/case_1_0000.nii.gz: is missing"):
        made(raw, tmp_path / "out")


LEFTOVERS = (
    ".DS_Store",
    "._case_0_0000.nii.gz",
    ".nfs00000123",
    "Thumbs.db",
    "Desktop.ini",
    "desktop.ini",
    "@eaDir",
    "#recycle",
    "__MACOSX",
    "lost+found",
)


@pytest.mark.parametrize("make", [nnunet, decathlon])
def test_what_file_systems_leave_in_folders_counts_for_nothing(tmp_path, make):
    raw = make(tmp_path / "raw")
    for folder in ("imagesVal", "labelsVal", "imagesTs", "labelsTs", "addTr"):
        (raw / folder).mkdir()
    clean = read_raw(raw)
    for folder in ("", "imagesTr", "labelsTr", "imagesVal", "labelsVal", "labelsTs", "addTr"):
        for name in LEFTOVERS:
            (raw / folder / name).write_bytes(b"rubbish")
    assert read_raw(raw) == clean


def test_what_a_mac_left_is_no_case_where_it_is_listed(tmp_path):
    raw = decathlon(tmp_path / "raw")
    clean = read_raw(raw)
    entries = json.loads((raw / "dataset.json").read_text())["training"]
    mac = {key: path.replace("case_0", "._case_0") for key, path in entries[0].items()}
    describe(raw, training=[*entries, mac])
    assert read_raw(raw) == clean


def test_test_images_without_labels_may_be_named_as_they_like(tmp_path):
    raw = nnunet(tmp_path / "raw")
    clean = read_raw(raw)
    save(raw / "imagesTs/scan.nii.gz", volume()[0])
    assert read_raw(raw) == clean


# Links


def linked_files(raw, away):
    for path in sorted(raw.glob("*Tr/*")):
        (away / path.parent.name).mkdir(exist_ok=True)
        path.symlink_to(path.rename(away / path.parent.name / path.name))


def linked_folders(raw, away):
    for path in sorted(raw.glob("*Tr")):
        path.symlink_to(path.rename(away / path.name))


def linked_description(raw, away):
    path = raw / "dataset.json"
    path.symlink_to(path.rename(away / path.name))


@pytest.mark.parametrize("spread", [linked_files, linked_folders, linked_description])
def test_links_that_leave_the_folder_are_followed_if_that_is_asked_for(tmp_path, spread):
    raw, away = nnunet(tmp_path / "raw"), tmp_path / "away"
    whole = made(raw, tmp_path / "whole")
    away.mkdir()
    spread(raw, away)
    with pytest.raises(IngestError, match=r"leads out .* allow it with --follow-links"):
        made(raw, tmp_path / "out")
    assert made(raw, tmp_path / "out", follow_links=True).fingerprint == whole.fingerprint


@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.parametrize("make", [nnunet, decathlon])
def test_listed_paths_that_leave_the_folder_are_read_if_that_is_asked_for(tmp_path, make, absolute):
    raw, away = make(tmp_path / "raw"), tmp_path / "away"
    away.mkdir()
    whole = made(raw, tmp_path / "whole")
    for path in sorted(raw.glob("*Tr")):
        path.rename(away / path.name)
    place = str(away) if absolute else "../away"
    if make is nnunet:
        cases = {
            f"case_{i}": {
                "images": [f"{place}/imagesTr/case_{i}_0000.nii.gz"],
                "label": f"{place}/labelsTr/case_{i}.nii.gz",
            }
            for i in range(4)
        }
        describe(raw, dataset=cases)
    else:
        entries = json.loads((raw / "dataset.json").read_text())["training"]
        describe(
            raw, training=[{k: v.replace("./", f"{place}/") for k, v in e.items()} for e in entries]
        )
    with pytest.raises(IngestError, match=r"leads out .* allow it with --follow-links"):
        made(raw, tmp_path / "out")
    found = made(raw, tmp_path / "out", follow_links=True)
    assert list(found.cases) == list(whole.cases)
    assert np.array_equal(found.image("case_2"), whole.image("case_2"))


@pytest.mark.parametrize(
    ("target", "reason"),
    [("/dev/zero", "not a regular file"), ("gone", "is missing"), ("case_0", "a link in a circle")],
)
def test_a_link_that_is_followed_must_end_at_a_file(tmp_path, target, reason):
    raw = nnunet(tmp_path / "raw")
    path = raw / "imagesTr/case_0_0000.nii.gz"
    path.unlink()
    path.symlink_to(path if target == "case_0" else target)
    with pytest.raises(IngestError, match=f"case_0_0000.nii.gz: .*{reason}"):
        made(raw, tmp_path / "out", follow_links=True)


def test_what_was_read_by_links_is_not_taken_over_by_who_does_not_follow_them(
    tmp_path, monkeypatch
):
    raw, away = nnunet(tmp_path / "raw"), tmp_path / "away"
    away.mkdir()
    linked_files(raw, away)

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("alsweep.data.ingest.conversion.write_case", interrupted)
        with pytest.raises(KeyboardInterrupt):
            made(raw, tmp_path / "out", follow_links=True, workers=1)
    with pytest.raises(IngestError, match="leads out of the dataset"):
        made(raw, tmp_path / "out", workers=1)


# dataset.json


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
def test_a_description_may_be_in_any_encoding_of_json(tmp_path, encoding):
    raw = nnunet(tmp_path / "raw")
    describe(raw, labels={"background": 0, "organ": 1, "Läsion": 2})
    text = json.dumps(json.loads((raw / "dataset.json").read_text()), ensure_ascii=False)
    (raw / "dataset.json").write_text(text, encoding=encoding)
    assert read_raw(raw).labels.classes[2] == "Läsion"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            b'{"a": 1,\n "b": [1, 2,],\n}',
            "comma before the closing bracket in line 2, column 12; remove it",
        ),
        (b"{'a': 1}", "in line 1, column 2; mend it there"),
        (b'{\n "a": 1\n "b": 2}', "in line 3, column 2; mend it there"),
        (b'{\n "a": "\xe4"}', "byte 10 is no UTF-8; save it as UTF-8"),
        (b"{}", "add 'channel_names' and 'labels' and 'file_ending'"),
        (b'{"channel_names": {}, "labels": {}}', "; add 'file_ending'"),
        (b'{"modality": {}, "labels": {}}', "; add 'training'"),
        (b'{"channel_names": {"0": "CT"}, "file_ending": ".nii"}', "'labels': is missing; add it"),
    ],
)
def test_what_is_wrong_with_a_description_is_told_with_its_place(tmp_path, text, reason):
    (tmp_path / "dataset.json").write_bytes(text)
    with pytest.raises(IngestError, match=rf"^{tmp_path}/dataset.json: .*{reason}$"):
        read_raw(tmp_path)


def test_the_folder_that_is_meant_is_named(tmp_path):
    raw = nnunet(tmp_path / "nnUNet_raw/Dataset007_Tiny")
    with pytest.raises(IngestError, match=rf"name the folder that holds it, such as {raw}$"):
        read_raw(raw.parent)
    with pytest.raises(IngestError, match=rf"name the folder that holds it, such as {raw}$"):
        read_raw(raw / "imagesTr")
    with pytest.raises(IngestError, match=rf"is not a folder; name its folder, {raw}$"):
        read_raw(raw / "dataset.json")


def test_names_that_differ_by_the_way_an_accent_is_written_are_one(tmp_path):
    raw = nnunet(tmp_path / "raw")
    for form in ("NFC", "NFD"):
        name = unicodedata.normalize(form, "Müller")
        save(raw / f"imagesTr/{name}_0000.nii.gz", volume()[0])
        save(raw / f"labelsTr/{name}.nii.gz", volume()[1])
    with pytest.raises(IngestError, match="occurs twice"):
        read_raw(raw)


def test_two_endings_of_one_decathlon_case_are_one_id(tmp_path):
    raw = decathlon(tmp_path / "raw")
    entries = json.loads((raw / "dataset.json").read_text())["training"]
    entries.append({"image": "imagesTr/case_0.nii", "label": "labelsTr/case_0.nii"})
    describe(raw, training=entries)
    with pytest.raises(IngestError, match="'case_0' occurs twice"):
        read_raw(raw)


def test_the_nonzero_part_is_kept_and_where_it_was(tmp_path):
    raw = nnunet(tmp_path / "raw")
    image, labels = volume()
    image[:3], image[:, :, 7:] = 0, 0
    labels[:3], labels[:, :, 7:] = 0, 0
    save(raw / "imagesTr/case_0_0000.nii.gz", image)
    save(raw / "labelsTr/case_0.nii.gz", labels)
    dataset = made(raw, tmp_path / "out")
    case = dataset.cases["case_0"]
    assert (case.crop.start, case.crop.size) == ((3, 0, 0), (9, 10, 7))
    assert (case.shape, case.original_shape) == ((9, 10, 7), (12, 10, 8))
    back = np.zeros(case.original_shape, np.uint8)
    box = tuple(slice(a, a + n) for a, n in zip(case.crop.start, case.crop.size, strict=True))
    back[box] = ReferenceLabels(dataset).volume("case_0")
    assert np.array_equal(back, labels)


def test_the_mask_for_the_norm_can_be_asked_for(tmp_path):
    raw = nnunet(tmp_path / "raw", channels=("T1", "CT"))
    assert [h.masked for h in made(raw, tmp_path / "a").manifest.normalisation] == [False, False]
    describe(raw, use_mask_for_norm=True)
    assert [h.masked for h in made(raw, tmp_path / "b").manifest.normalisation] == [True, False]


def test_the_plan_does_not_change_with_the_labels(tmp_path):
    raw = nnunet(tmp_path / "raw", spacings=((2.0, 1.5, 1.0), (2.5, 1.5, 1.0)))
    before = made(raw, tmp_path / "before").manifest
    relabel(raw, lambda labels: np.where(labels == 1, 0, labels))
    after = made(raw, tmp_path / "after").manifest
    assert (after.plan, after.spacing) == (before.plan, before.spacing)
    assert after.normalisation == before.normalisation
