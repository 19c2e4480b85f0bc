"""What an ingest warns of: content that is legal and yet not what anybody wants."""

import numpy as np
import pytest

from alsweep.data.case import Region
from alsweep.data.ingest.conversion import IngestOptions, ingest
from alsweep.data.ingest.remarks_of_content import remarks_of_content
from alsweep.data.ingest.sizes import dwarfed, training_patch
from alsweep.data.phantom import write_phantom
from tests.data.raws import describe, nnunet, save, volume
from tests.trajectory.region_phantom import change_manifest

SHAPE = (20, 24, 28)


def roomy(root, cases=4, **options):
    """Volumes in which no class is small."""
    return nnunet(root, cases, shapes=(SHAPE,), **options)


def said(raw, out, **options):
    return ingest(raw, out, IngestOptions(**options)).remarks


def change_labels(raw, case, change, spacing=(1.0, 1.0, 1.0)):
    labels = volume(SHAPE)[1]
    save(raw / f"labelsTr/{case}.nii.gz", np.asarray(change(labels), np.uint8), spacing)


def test_ordinary_data_is_taken_without_a_word(tmp_path):
    assert said(roomy(tmp_path / "raw"), tmp_path / "out") == ()


def test_a_class_that_is_lost_in_resampling_is_named_with_its_voxels(tmp_path):
    raw = roomy(tmp_path / "raw")

    def point(labels):
        labels[labels == 2] = 1
        labels[9, 11, 13] = 2
        return labels

    change_labels(raw, "case_2", point)
    (remark,) = said(raw, tmp_path / "out", spacing=(2.0, 2.0, 2.0))
    assert remark == (
        "class 'lesion' is lost, or nearly, by resampling to 2 x 2 x 2 mm: case_2 (1 voxels "
        "before, 0 after); a finer grid (--spacing) keeps more"
    )


def test_a_class_that_the_crop_takes_away_is_named_with_its_voxels(tmp_path):
    raw = roomy(tmp_path / "raw")
    for case in range(4):
        image, _ = volume(SHAPE, seed=10 * case)
        image[:4] = 0
        save(raw / f"imagesTr/case_{case}_0000.nii.gz", image)

    def outside(labels):
        labels[labels == 2] = 0
        labels[:4, :5, :6] = 2
        return labels

    change_labels(raw, "case_2", outside)
    (remark,) = said(raw, tmp_path / "out")
    assert remark == (
        "class 'lesion' is lost, or nearly, by cropping to where the image is not zero: case_2 "
        "(120 voxels before, 0 after); look whether image and labels fit"
    )


def test_a_class_that_only_grows_coarser_is_not_lost(tmp_path):
    assert said(roomy(tmp_path / "raw"), tmp_path / "out", spacing=(2.0, 2.0, 2.0)) == ()


def test_a_class_that_is_lost_in_all_cases_occurs_in_none(tmp_path):
    remarks = said(nnunet(tmp_path / "raw"), tmp_path / "out", spacing=(2.25, 0.775, 0.775))
    assert remarks[0].startswith("class 'lesion' is lost, or nearly, by resampling")
    assert "case_0 (8 voxels before, 0 after), case_1 (" in remarks[0]
    assert "class 'lesion' occurs in no pool case" in remarks


def test_the_same_image_in_several_cases_is_named_with_its_parts(tmp_path):
    raw = roomy(tmp_path / "raw", cases=8)
    parts = {case.id: case.part for case in ingest(raw, tmp_path / "a").dataset.cases.values()}
    pool = [case for case, part in parts.items() if part == "pool"]
    validation = next(case for case, part in parts.items() if part == "validation")
    for source, copy in ((pool[0], validation), (pool[1], pool[2])):
        # In another type and place, and with other labels.
        image, _ = volume(SHAPE, seed=10 * int(source[-1]))
        save(raw / f"imagesTr/{copy}_0000.nii.gz", image.astype(np.float32), origin=(3, 4, 5))
        save(raw / f"labelsTr/{copy}.nii.gz", volume(SHAPE)[1], origin=(3, 4, 5))
    change_labels(raw, pool[2], lambda labels: np.minimum(labels, 1))
    save(raw / f"labelsTr/{pool[2]}.nii.gz", volume(SHAPE)[1], origin=(3, 4, 5))
    apart = " = ".join(f"{case} ({parts[case]})" for case in sorted((pool[0], validation)))
    assert said(raw, tmp_path / "b") == (
        "the same image is in several cases, so that Dice is measured on what was trained on: "
        f"{apart}; keep one",
        f"the same image is in several cases, so that it counts twice: {pool[1]} (pool) = "
        f"{pool[2]} (pool); keep one",
    )


def test_empty_images_are_no_copies_of_each_other(tmp_path):
    raw = roomy(tmp_path / "raw")
    for case in (1, 2):
        save(raw / f"imagesTr/case_{case}_0000.nii.gz", np.full(SHAPE, case, np.int16))
    assert said(raw, tmp_path / "out") == (
        "channel 'MR' has one value throughout in case_1, case_2",
    )


def test_a_channel_that_is_another_one_again_is_named(tmp_path):
    raw = roomy(tmp_path / "raw", channels=("MR", "MR"))
    image, _ = volume(SHAPE, seed=20)
    save(raw / "imagesTr/case_2_0001.nii.gz", image)
    assert said(raw, tmp_path / "out") == (
        "channel 'MR (channel 1)' is the same as an earlier channel in case_2; look whether a "
        "file was copied in place of another",
    )


def test_labels_that_are_all_empty_are_one_sentence(tmp_path):
    raw = roomy(tmp_path / "raw")
    for case in range(4):
        change_labels(raw, f"case_{case}", np.zeros_like)
    assert said(raw, tmp_path / "out") == (
        "no foreground is labelled in any case, so that there is nothing to learn; look whether "
        "these are the label files",
    )


def test_two_cases_in_all_are_remarked(tmp_path):
    (remark,) = said(roomy(tmp_path / "raw", cases=2), tmp_path / "out")
    assert remark.startswith("only two cases in all: 'case_")


def test_a_pool_of_one_case_is_remarked(tmp_path):
    raw = roomy(tmp_path / "raw")
    for number in (1, 2, 3):
        for kind, name in (("images", f"case_{number}_0000"), ("labels", f"case_{number}")):
            (raw / f"{kind}Val").mkdir(exist_ok=True)
            (raw / f"{kind}Tr/{name}.nii.gz").rename(raw / f"{kind}Val/{name}.nii.gz")
    describe(raw, numTraining=1)
    assert said(raw, tmp_path / "out") == ("only one case, 'case_0', can be annotated; add some",)


# Patients


def patients(root):
    """Two frames each of four patients."""
    raw = roomy(root, cases=8)
    for kind, end in (("imagesTr", "_0000.nii.gz"), ("labelsTr", ".nii.gz")):
        for index in range(8):
            name = f"patient{index // 2:03d}_frame{(1, 12)[index % 2]:02d}"
            (raw / kind / f"case_{index}{end}").rename(raw / kind / f"{name}{end}")
    return raw


def test_frames_of_a_patient_on_both_sides_are_remarked_and_the_mend_works(tmp_path):
    raw = patients(tmp_path / "raw")
    (remark,) = said(raw, tmp_path / "out")
    assert remark.startswith("case ids look like several of one patient, and ")
    assert " of 4 such patients are in pool and validation both: patient00" in remark
    assert "_frame01 (" in remark
    option = remark.split("--group-by '")[1].split("'")[0]
    ingested = ingest(raw, tmp_path / "grouped", IngestOptions(group_by=option))
    assert ingested.remarks == ()
    assert {case[:10] for case in ingested.dataset.validation}.isdisjoint(
        case[:10] for case in ingested.dataset.pool
    )


def test_where_a_file_gives_the_split_the_file_is_to_be_mended(tmp_path):
    raw = patients(tmp_path / "raw")
    ids = sorted(path.name.removesuffix(".nii.gz") for path in (raw / "labelsTr").iterdir())
    (raw / "splits_final.json").write_text(
        str([{"train": ids[1:], "val": ids[:1]}]).replace("'", '"')
    )
    (remark,) = said(raw, tmp_path / "out")
    assert "and 1 of 4 such patients are in pool and validation both" in remark
    assert remark.endswith("; if they are, mend splits_final.json")


def test_a_patient_in_pool_and_test_part_is_remarked(tmp_path):
    raw = patients(tmp_path / "raw")
    for kind, end in (("images", "_0000.nii.gz"), ("labels", ".nii.gz")):
        (raw / f"{kind}Ts").mkdir()
        for frame in ("patient003_frame01", "patient003_frame12", "patient002_frame12"):
            (raw / f"{kind}Tr/{frame}{end}").rename(raw / f"{kind}Ts/{frame}{end}")
    describe(raw, numTraining=5)
    remarks = said(raw, tmp_path / "out", group_by=r"^\D*\d+")
    assert remarks == (
        "case ids look like several of one patient, and 1 of 4 such patients are in pool and test "
        "both: patient002_frame01 (pool) with patient002_frame12 (test); if they are, keep them "
        "together in imagesTr or imagesTs",
    )


# Sizes


def test_a_case_that_a_training_patch_dwarfs_is_remarked(tmp_path):
    raw = nnunet(tmp_path / "raw", cases=4, shapes=((40, 40, 40), (40, 40, 40), (20, 22, 22)))
    assert said(raw, tmp_path / "out") == (
        "smaller than a training patch of 28x28x28 voxels, of which zeros fill the rest: case_2 "
        "(20x22x22); look whether they are whole",
    )


@pytest.mark.parametrize(
    ("asked", "patch"),
    [((32, 32, 32), (24, 28, 32)), ((8, 64, 16), (8, 28, 16)), ("plan", "plan")],
)
def test_a_training_patch_is_no_longer_than_the_longest_case(phantom, asked, patch):
    wanted = phantom.manifest.plan.patch_size if patch == "plan" else patch
    assert training_patch(asked, phantom) == wanted


def test_only_what_is_shorter_along_every_axis_and_under_half_is_small(phantom):
    cases = [phantom.cases[case] for case in phantom.pool]
    assert dwarfed(cases, (25, 29, 33)) == []
    assert dwarfed(cases, (32, 32, 32)) == []
    assert dwarfed(cases, (32, 40, 40)) == cases
    assert dwarfed(cases, (24, 80, 80)) == []


def test_a_stored_dataset_whose_regions_are_painted_wrongly_says_so(tmp_path):
    phantom = write_phantom(tmp_path / "p", cases=4, shape=(16, 16, 16))
    regions = (Region(name="whole", labels=(1, 2)), Region(name="core", labels=(2,)))
    wrong = change_manifest(phantom, regions=regions, regions_class_order=(2, 1))
    assert remarks_of_content(wrong) == (
        "regions_class_order [2, 1] turns label 1 into 2, of which only one is in 'core', so "
        "that a perfect prediction would score as a wrong one; write [1, 2] in "
        "the raw dataset, and ingest again",
    )
    assert remarks_of_content(change_manifest(wrong, regions_class_order=(1, 2))) == ()
