"""Which cases lie where they can, and which sizes of voxels belong together."""

from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsweep.data.annotator import ReferenceLabels
from alsweep.data.exchange.nnunet import grid_affine
from alsweep.data.ingest.conversion import IngestOptions, ingest
from alsweep.data.ingest.measuring import Measured
from alsweep.data.ingest.placing import contradictions, usable
from alsweep.data.raw.grids import ROUNDING, displacement
from alsweep.data.raw.layout import RawCase
from alsweep.errors import IngestError
from tests.data.raws import nnunet, save, volume


def ingested(raw, **options):
    return ingest(raw, raw.parent / "out", IngestOptions(workers=1, **options))


def rewrite(raw, case, affine, unit="mm"):
    """Give all files of a case another affine."""
    for path in sorted(raw.glob(f"*Tr/{case}*")):
        image = nib.Nifti1Image(np.asanyarray(nib.load(path).dataobj), affine)
        image.header.set_xyzt_units(unit)
        nib.save(image, path)


def with_spacings(spacings):
    """Facts of so many cases of which nothing but the spacing matters."""
    return {
        RawCase(str(index), "training", (Path("a"),), Path("b")): SimpleNamespace(
            source=SimpleNamespace(spacing=spacing, shape=(12, 12, 12)),
            offsets={"a": 0.0},
            oddities=(),
        )
        for index, spacing in enumerate(spacings)
    }


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1e-3), ("micron", 1e3)])
def test_a_case_in_another_unit_is_like_the_others(tmp_path, unit, factor):
    raw = nnunet(tmp_path / "raw", spacings=((1.2, 0.4, 0.4),))
    rewrite(raw, "case_0", np.diag([0.4 * factor, 0.4 * factor, 1.2 * factor, 1]), unit)
    found = ingested(raw)
    assert found.remarks == ()
    for index, case in enumerate(found.dataset.cases.values()):
        assert case.original_spacing == pytest.approx((1.2, 0.4, 0.4))
        labels = ReferenceLabels(found.dataset).volume(case.id)
        assert np.array_equal(labels, volume(seed=10 * index)[1])
        sizes = nib.affines.voxel_sizes(grid_affine(case))
        assert sizes == pytest.approx((0.4, 0.4, 1.2))


def test_an_export_of_a_dataset_in_metres_is_in_mm(tmp_path):
    raw = nnunet(tmp_path / "raw")
    for index in range(4):
        rewrite(raw, f"case_{index}", np.diag([0.001, 0.001, 0.002, 1]), "meter")
    dataset = ingested(raw).dataset
    assert dataset.manifest.spacing == pytest.approx((2, 1, 1))
    assert grid_affine(dataset.cases["case_0"]) == pytest.approx(np.diag([1, 1, 2, 1]))


def test_metres_without_a_unit_are_refused_by_the_other_cases(tmp_path):
    raw = nnunet(tmp_path / "raw")
    rewrite(raw, "case_1", np.diag([0.001, 0.001, 0.001, 1]))
    reason = r"case_1_0000.nii.gz: its voxels of 0.001 x .* 1e\+03 times shorter .* unit"
    with pytest.raises(IngestError, match=reason):
        ingested(raw)
    found = ingested(raw, skip_bad=True)
    assert list(found.skipped) == ["case_1"]
    assert found.dataset.cases["case_0"].shape == (12, 10, 8)


@pytest.mark.parametrize(
    ("edges", "told"),
    [
        ((9, 9, 9), "9 times longer"),
        ((0.1, 0.1, 0.1), "10 times shorter"),
        ((25, 1, 1), "25 times longer"),
        ((15, 1, 1), None),
        ((1, 1, 8), None),
    ],
)
def test_voxels_of_several_times_the_length_are_warned_of(edges, told):
    facts = with_spacings([(1, 1, 1), edges, (1, 1, 1), (1, 1, 1)])
    size = "voxel edges differ much from those of the other cases in"
    assert contradictions(facts) == (
        [f"{size} 1 ({told}); check units and spacing"] if told else []
    )


@given(
    spacings=st.lists(st.tuples(*[st.floats(0.3, 1.4)] * 3), min_size=3, max_size=9),
    factor=st.sampled_from([1e3, 1e-3]),
    index=st.integers(0, 8),
)
def test_a_wrong_unit_is_always_found_and_no_other_case_with_it(spacings, factor, index):
    odd = index % len(spacings)
    spacings[odd] = tuple(factor * value for value in spacings[odd])
    facts = with_spacings(spacings)
    dataset = SimpleNamespace(cases=list(facts), root=Path("raw"))
    found = usable(dataset, Measured(facts, {}), 0.5, skip_bad=True)
    assert list(found.skipped) == [str(odd)]
    assert list(found.facts) == [case for case in facts if case.id != str(odd)]


def test_volumes_longer_than_anybody_are_warned_of(tmp_path):
    raw = nnunet(tmp_path / "raw", cases=3, spacings=((400.0, 400.0, 400.0),))
    assert ingested(raw).remarks == (
        "volumes are over 3 m long in case_0, case_1, case_2; check the unit in the header",
    )


@pytest.mark.parametrize(
    ("spacing", "reason"),
    [
        ((1e-3, 1e-3, 1e-3), r"12000x10000x8000 voxels instead of 12x10x8 .* coarser --spacing"),
        (
            (9.0, 9.0, 1.0),
            r"1x1x8 voxels instead of 12x10x8 at a spacing of 9 x 9 x 1 mm; .* finer",
        ),
    ],
)
def test_a_spacing_that_leaves_too_much_or_nothing_is_refused(tmp_path, spacing, reason):
    with pytest.raises(IngestError, match=reason):
        ingested(nnunet(tmp_path / "raw"), spacing=spacing)


def test_an_axis_is_not_shortened_beyond_sense(tmp_path):
    raw = nnunet(tmp_path / "raw", cases=2, shapes=((64, 6, 6),))
    with pytest.raises(IngestError, match=r"3x6x6 voxels instead of 64x6x6 .* finer --spacing"):
        ingested(raw, spacing=(21.0, 1.0, 1.0))
    assert ingested(raw, spacing=(16.0, 1.0, 1.0)).dataset.cases["case_0"].shape == (4, 6, 6)


@pytest.mark.parametrize(
    ("offset", "tolerance", "outcome"),
    [
        (0.04, 0.5, "silent"),
        (0.2, 0.5, "warned"),
        (0.6, 0.5, "refused"),
        (0.6, 1.0, "warned"),
        (0.2, 0.1, "refused"),
        (0.04, 0.01, "refused"),
    ],
)
def test_the_affines_of_a_case_may_differ_by_so_many_voxels(tmp_path, offset, tolerance, outcome):
    raw = nnunet(tmp_path / "raw", spacings=((1.0, 1.0, 2.0),))
    # x is the axis of the coarser voxels.
    save(raw / "labelsTr/case_2.nii.gz", volume()[1], (1.0, 1.0, 2.0), (2 * offset, 0, 0))
    told = rf"labelsTr/case_2.nii.gz: its affine puts it {offset} voxels off .*case_2_0000"
    if outcome == "refused":
        with pytest.raises(IngestError, match=rf"{told}.*--affine-tolerance {tolerance}"):
            ingested(raw, affine_tolerance=tolerance)
        return
    found = ingested(raw, affine_tolerance=tolerance)
    assert np.array_equal(ReferenceLabels(found.dataset).volume("case_2"), volume()[1])
    warned = [remark for remark in found.remarks if f"case_2.nii.gz ({offset} voxels)" in remark]
    assert len(warned) == len(found.remarks) == (outcome == "warned")


def qform_only(path, affine):
    """Rewrite a file as tools do that hold an affine as a quaternion in single precision."""
    image = nib.Nifti1Image(np.asanyarray(nib.load(path).dataobj), None)
    image.set_qform(affine, 1)
    nib.save(image, path)


def test_a_quaternion_in_single_precision_is_the_matrix(tmp_path):
    """Half a degree oblique and half a turn round: where float32 quaternions are worst."""
    raw = nnunet(tmp_path / "raw", cases=3, shapes=((4, 256, 256),))
    affine = np.eye(4)
    turn = nib.eulerangles.euler2mat(np.pi + 0.0023, 0.0046, -0.0092)
    affine[:3, :3] = turn @ np.diag([0.9, 0.9, 3])
    affine[:3, 3] = (110, 120, -70)
    for case in ("case_0", "case_1", "case_2"):
        rewrite(raw, case, affine)
        qform_only(raw / f"labelsTr/{case}.nii.gz", affine)
    apart = displacement(nib.load(raw / "labelsTr/case_0.nii.gz").affine, affine, (4, 256, 256))
    assert 0.003 < apart < ROUNDING
    assert ingested(raw).remarks == ()


@pytest.mark.parametrize("place", ["labelsTr/case_2.nii.gz", "imagesTr/case_2_0000.nii.gz"])
def test_a_file_without_orientation_is_named_as_such(tmp_path, place):
    raw = nnunet(tmp_path / "raw")
    path = raw / place
    nib.save(nib.Nifti1Image(np.asanyarray(nib.load(path).dataobj), None), path)
    told = rf"labelsTr/case_2.nii.gz: .* 10.5 voxels off .*header of {place} holds no orientation"
    with pytest.raises(IngestError, match=told):
        ingested(raw)


def test_metres_that_only_one_file_of_a_case_leaves_unnamed_are_suspected(tmp_path):
    raw = nnunet(tmp_path / "raw")
    path = raw / "labelsTr/case_2.nii.gz"
    array = np.asanyarray(nib.load(path).dataobj)
    nib.save(nib.Nifti1Image(array, np.diag([1e-3, 1e-3, 1e-3, 1])), path)
    with pytest.raises(IngestError, match=r"correct the unit .* labelsTr/case_2\.nii\.gz"):
        ingested(raw)


def test_files_without_orientation_are_warned_of_together(tmp_path):
    raw = nnunet(tmp_path / "raw")
    for path in raw.glob("*Tr/case_[12]*"):
        nib.save(nib.Nifti1Image(np.asanyarray(nib.load(path).dataobj), None), path)
    (remark,) = ingested(raw).remarks
    assert "no orientation" in remark
    assert all(f"case_{case}" in remark for case in (1, 2))


def test_zooms_that_a_script_set_on_the_image_alone_are_warned_of(tmp_path):
    raw = nnunet(tmp_path / "raw")
    path = raw / "imagesTr/case_0_0000.nii.gz"
    image = nib.load(path)
    image = nib.Nifti1Image(np.asanyarray(image.dataobj), image.affine, image.header)
    image.header.set_zooms((2, 2, 2))
    nib.save(image, path)
    found = ingested(raw)
    case = found.dataset.cases["case_0"]
    assert (case.shape, case.original_spacing) == ((12, 10, 8), (1.0, 1.0, 1.0))
    assert nib.affines.voxel_sizes(grid_affine(case)) == pytest.approx((1, 1, 1))
    (remark,) = found.remarks
    assert "imagesTr/case_0_0000.nii.gz (2 x 2 x 2 against 1 x 1 x 1 mm)" in remark
