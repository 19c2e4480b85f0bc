"""Where a volume lies by its header, whoever wrote it."""

import gzip
import re

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from alsweep.data.raw.grids import displacement
from alsweep.data.raw.reading import read_volume

ARRAY = np.arange(120, dtype=np.int16).reshape(6, 5, 4)
SHAPE = ARRAY.shape
FACTORS = {"unknown": 1.0, "meter": 1000.0, "mm": 1.0, "micron": 1e-3}
AFFINE = np.array([[-0.4, 0, 0, 9], [0, 0.5, 0, -8], [0, 0, 1.2, 7], [0, 0, 0, 1]])

zooms = st.lists(st.floats(1e-3, 50), min_size=3, max_size=3)
quaternions = arrays(np.float64, 4, elements=st.floats(-1, 1)).filter(
    lambda q: np.linalg.norm(q) > 0.1
)


def written(path, affine, *, sform=1, qform=0, unit="mm", pixdim=None):
    """A NIfTI file whose forms have these codes; ``pixdim`` is set last, past the affines."""
    image = nib.Nifti1Image(ARRAY.T, None)
    image.set_sform(affine, sform)
    image.set_qform(affine, qform)
    image.header.set_xyzt_units(unit)
    raw = bytearray(image.to_bytes())
    if pixdim is not None:
        raw[80:92] = np.array(pixdim, "<f4").tobytes()
    path.write_bytes(gzip.compress(bytes(raw), 1))
    return path


def kinds(volume):
    return [oddity.kind for oddity in volume.oddities]


@pytest.mark.parametrize("unit", FACTORS)
def test_lengths_come_out_in_mm(tmp_path, unit):
    stored = np.diag([*[1 / FACTORS[unit]] * 3, 1]) @ AFFINE
    path = written(tmp_path / "x.nii.gz", stored, qform=1, unit=unit)
    volume = read_volume(path, "x")
    assert volume.spacing == pytest.approx((1.2, 0.5, 0.4))
    assert volume.affine == pytest.approx(AFFINE, abs=1e-5)
    assert volume.spacing[::-1] == pytest.approx(sitk.ReadImage(str(path)).GetSpacing())
    assert volume.oddities == ()


def test_a_unit_that_nobody_knows_is_taken_for_mm_and_told(tmp_path):
    path = written(tmp_path / "x.nii.gz", AFFINE)
    raw = bytearray(gzip.decompress(path.read_bytes()))
    raw[123] = 5 + 8  # and seconds
    path.write_bytes(gzip.compress(bytes(raw)))
    volume = read_volume(path, "x")
    assert volume.spacing == pytest.approx((1.2, 0.5, 0.4))
    assert [(odd.kind, odd.detail) for odd in volume.oddities] == [("unit", "xyzt_units 5")]


def test_metres_without_a_unit_are_suspected_by_the_length(tmp_path):
    small = np.diag([0.001, 0.001, 0.001, 1]) @ AFFINE
    told = []
    for unit in ("unknown", "mm", "micron"):
        told.append(kinds(read_volume(written(tmp_path / "x.nii.gz", small, unit=unit), "x")))
    assert told == [["unit"], [], []]
    told = rb"ElementSpacing = 0.0004 0.0005 0.0012"
    path = itk_file(tmp_path / "x.mha", lambda raw: re.sub(rb"ElementSpacing = .*", told, raw))
    assert kinds(read_volume(path, "x")) == ["unit"]


@given(
    quaternion=quaternions,
    sizes=zooms.map(lambda sizes: [size + 1 for size in sizes]),
    flip=st.booleans(),
    forms=st.sampled_from([(1, 0), (0, 1), (2, 1)]),
    unit=st.sampled_from(sorted(FACTORS)),
)
def test_axes_origin_and_spacing_are_those_of_one_affine(
    tmp_path_factory, quaternion, sizes, flip, forms, unit
):
    affine = np.eye(4)
    affine[:3, :3] = nib.quaternions.quat2mat(quaternion) @ np.diag(sizes)
    affine[:3, 3] = (10, -20, 30)
    affine[:3, 0] *= -1 if flip else 1
    path = tmp_path_factory.getbasetemp() / "one.nii.gz"
    written(path, affine, sform=forms[0], qform=forms[1], unit=unit)
    volume = read_volume(path, "x")
    assert volume.affine == pytest.approx(
        np.diag([*[FACTORS[unit]] * 3, 1]) @ nib.load(path).affine, rel=1e-9
    )
    axes = np.linalg.norm(volume.affine[:3, :3], axis=0)
    assert np.array(volume.spacing[::-1]) == pytest.approx(axes, rel=1e-3)
    assert volume.oddities == ()


def test_zooms_that_a_script_set_do_not_change_what_the_affine_says(tmp_path):
    path = written(tmp_path / "x.nii.gz", AFFINE, pixdim=(2, 2, 2))
    volume = read_volume(path, "x")
    assert volume.spacing == pytest.approx((1.2, 0.5, 0.4))
    assert kinds(volume) == ["spacing"]
    assert volume.oddities[0].detail == "2 x 2 x 2 against 1.2 x 0.5 x 0.4 mm"


def test_what_rounds_the_affine_does_not_round_the_spacing(tmp_path):
    tilted = np.eye(4)
    tilted[:3, :3] = nib.eulerangles.euler2mat(0.3, 0.2, 0.1) @ np.diag([0.5, 3.5, 3.5])
    path = written(tmp_path / "x.nii.gz", np.round(tilted, 4), pixdim=(0.5, 3.5, 3.5))
    volume = read_volume(path, "x")
    sizes = np.linalg.norm(volume.affine[:3, :3], axis=0)
    assert sizes[1] != sizes[2]
    # Else one of the two would be the coarser axis, along which nothing is interpolated.
    assert volume.spacing == (3.5, 3.5, 0.5)


def test_a_header_without_orientation_is_told(tmp_path):
    volume = read_volume(
        written(tmp_path / "x.nii.gz", AFFINE, sform=0, pixdim=(0.4, 0.5, 1.2)), "x"
    )
    assert volume.spacing == pytest.approx((1.2, 0.5, 0.4))
    assert kinds(volume) == ["nowhere"]


@pytest.mark.parametrize(("shift", "told"), [(0.4, []), (0.6, ["orientation"])])
def test_two_forms_that_lie_apart_are_told_by_voxels(tmp_path, shift, told):
    image = nib.Nifti1Image(ARRAY.T, None)
    image.set_sform(AFFINE, 1)
    moved = AFFINE.copy()
    moved[0, 3] += shift * 0.4
    image.set_qform(moved, 1)
    nib.save(image, tmp_path / "x.nii")
    volume = read_volume(tmp_path / "x.nii", "x")
    assert kinds(volume) == told
    assert volume.affine == pytest.approx(AFFINE, abs=1e-6)


def test_a_qform_that_is_no_rotation_is_told_where_there_is_an_sform(tmp_path):
    path = written(tmp_path / "x.nii.gz", AFFINE, qform=1)
    raw = bytearray(gzip.decompress(path.read_bytes()))
    raw[256:268] = np.array([2, 2, 2], "<f4").tobytes()
    path.write_bytes(gzip.compress(bytes(raw)))
    volume = read_volume(path, "x")
    assert (kinds(volume), volume.oddities[0].detail) == (
        ["orientation"],
        "a qform that is no rotation",
    )


def test_sheared_affines_are_read(tmp_path):
    sheared = AFFINE.copy()
    sheared[1, 2] = 0.3
    volume = read_volume(written(tmp_path / "x.nii.gz", sheared, pixdim=(0.4, 0.5, 1.2369)), "x")
    assert volume.affine == pytest.approx(sheared, abs=1e-6)
    assert volume.spacing == pytest.approx((np.hypot(0.3, 1.2), 0.5, 0.4), rel=1e-4)


def test_turned_volumes_keep_what_was_odd(tmp_path):
    path = written(tmp_path / "x.nii.gz", AFFINE[[2, 0, 1, 3]], pixdim=(7, 7, 7))
    volume = read_volume(path, "x", reorient=True)
    assert volume.spacing == pytest.approx(
        tuple(np.linalg.norm(volume.affine[:3, :3], axis=0))[::-1]
    )
    assert kinds(volume) == ["spacing"]


# NRRD and MetaImage


def itk_file(path, change=lambda content: content):
    image = sitk.GetImageFromArray(ARRAY)
    image.SetSpacing((0.4, 0.5, 1.2))
    image.SetOrigin((1, 2, 3))
    sitk.WriteImage(image, str(path))
    content = path.read_bytes()
    path.write_bytes(change(content))
    return path


@pytest.mark.parametrize(
    ("ending", "old", "new", "factor"),
    [
        (".nrrd", b"kinds", b'space units: "um" "um" "um"\nkinds', 1e-3),
        (".nrrd", b"kinds", b'space units: "\xb5m" "\xb5m" "\xb5m"\nkinds', 1e-3),
        (".nrrd", b"kinds", 'space units: "µm" "µm" "µm"\nkinds'.encode(), 1e-3),
        (".nrrd", b"kinds", b'space units: "" "" ""\nkinds', 1.0),
        (".nrrd", b"kinds", b'spaceunits: "Meters" "Meters" "Meters"\nkinds', 1000.0),
        (".mha", b"DimSize", b"DistanceUnits = cm\nDimSize", 10.0),
        (".mha", b"DimSize", b"DistanceUnits = ?\nDimSize", 1.0),
    ],
)
def test_units_of_nrrd_and_metaimage_are_heeded_too(tmp_path, ending, old, new, factor):
    path = itk_file(tmp_path / f"x{ending}", lambda content: content.replace(old, new, 1))
    plain = read_volume(itk_file(tmp_path / f"y{ending}"), "y")
    volume = read_volume(path, "x")
    assert volume.spacing == pytest.approx(tuple(factor * s for s in (1.2, 0.5, 0.4)))
    assert volume.affine[:3] == pytest.approx(factor * plain.affine[:3])
    assert volume.oddities == ()


def test_units_of_axes_without_directions_are_heeded(tmp_path):
    def change(content):
        head, end = content[: -ARRAY.nbytes], content[-ARRAY.nbytes :]
        lines = [line for line in head.split(b"\n") if not line.startswith(b"space")]
        lines[-2:-2] = [b"spacings: 400 500 1200", b'units: "micron" "micron" "micron"']
        return b"\n".join(lines) + end

    volume = read_volume(itk_file(tmp_path / "x.nrrd", change), "x")
    assert volume.spacing == pytest.approx((1.2, 0.5, 0.4))


def test_mixed_units_are_told(tmp_path):
    units = b'space units: "mm" "mm" "ms"\nkinds'
    path = itk_file(tmp_path / "x.nrrd", lambda content: content.replace(b"kinds", units, 1))
    volume = read_volume(path, "x")
    assert [(odd.kind, odd.detail) for odd in volume.oddities] == [("unit", "mm mm ms")]


def test_a_matrix_of_metaimage_that_stretches_is_part_of_the_spacing(tmp_path):
    path = itk_file(
        tmp_path / "x.mha",
        lambda content: content.replace(b"1 0 0 0 1 0 0 0 1", b"2 0 0 0 2 0 0 0 2"),
    )
    volume = read_volume(path, "x")
    assert volume.spacing == pytest.approx((2.4, 1.0, 0.8))
    assert kinds(volume) == ["spacing"]


# Displacement


@given(
    quaternion=quaternions,
    sizes=zooms,
    shift=arrays(np.float64, 3, elements=st.floats(-9, 9)),
)
def test_a_shift_is_measured_in_voxels_whatever_the_affine(quaternion, sizes, shift):
    affine = np.eye(4)
    affine[:3, :3] = nib.quaternions.quat2mat(quaternion) @ np.diag(sizes)
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ shift
    apart = displacement(moved, affine, SHAPE)
    assert apart == pytest.approx(np.abs(shift).max(), abs=1e-6)


def test_a_difference_of_sizes_counts_at_the_far_corner():
    larger = np.diag([1.01, 1, 1, 1])
    assert displacement(larger, np.eye(4), (6, 5, 101)) == pytest.approx(1.0)
