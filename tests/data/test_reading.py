import gzip

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from alsweep.data.raw.reading import read_volume
from alsweep.errors import IngestError
from tests.data.raws import save

ARRAY = np.random.default_rng(0).integers(-500, 500, (6, 5, 4)).astype(np.int16)


def save_itk(path, array=ARRAY, compressed=True):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.0, 1.5, 2.0))
    image.SetOrigin((10.0, -20.0, 30.0))
    image.SetDirection((0, 1, 0, -1, 0, 0, 0, 0, 1))
    sitk.WriteImage(image, str(path), compressed)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_all_formats_give_the_same_volume(tmp_path, ending):
    path = tmp_path / f"image{ending}"
    save_itk(path)
    volume = read_volume(path, "image")
    assert np.array_equal(volume.array, ARRAY)
    assert volume.array.dtype == np.int16
    assert volume.spacing == pytest.approx((2.0, 1.5, 1.0))
    reference = tmp_path / "reference.nii"
    save_itk(reference)
    assert volume.affine == pytest.approx(nib.load(reference).affine, abs=1e-5)


def test_scaled_and_big_endian_values_are_decoded(tmp_path):
    image = nib.Nifti1Image(ARRAY.T.astype(">i2"), np.eye(4), nib.Nifti1Header(endianness=">"))
    image.header.set_slope_inter(0.5, 3)
    nib.save(image, tmp_path / "x.nii.gz")
    expected = np.asanyarray(nib.load(tmp_path / "x.nii.gz").dataobj).T
    volume = read_volume(tmp_path / "x.nii.gz", "x")
    assert np.allclose(volume.array, expected)
    assert volume.array.dtype.isnative


def test_nifti_2_is_read(tmp_path):
    nib.save(nib.Nifti2Image(ARRAY.T, np.eye(4)), tmp_path / "x.nii.gz")
    assert np.array_equal(read_volume(tmp_path / "x.nii.gz", "x").array, ARRAY)


def test_gzip_files_of_several_members_are_read(tmp_path):
    save(tmp_path / "x.nii", ARRAY)
    raw = (tmp_path / "x.nii").read_bytes()
    (tmp_path / "x.nii.gz").write_bytes(gzip.compress(raw[:400]) + gzip.compress(raw[400:]))
    assert np.array_equal(read_volume(tmp_path / "x.nii.gz", "x").array, ARRAY)


def test_channels_of_a_4d_file_come_first(tmp_path):
    both = np.stack([ARRAY, 2 * ARRAY])
    save(tmp_path / "x.nii.gz", both)
    assert np.array_equal(read_volume(tmp_path / "x.nii.gz", "x", stacked=True).array, both)


@pytest.mark.parametrize("stacked", [True, False])
def test_a_trailing_axis_of_length_one_is_no_fourth_axis(tmp_path, stacked):
    save(tmp_path / "x.nii.gz", ARRAY[None])
    assert np.array_equal(read_volume(tmp_path / "x.nii.gz", "x", stacked=stacked).array, ARRAY)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("kept", [0.2, 0.7, 0.97])
def test_truncated_files_are_found(tmp_path, ending, kept):
    path = tmp_path / f"image{ending}"
    save_itk(path, np.random.default_rng(0).integers(0, 999, (12, 12, 12)).astype(np.int16))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(IngestError, match="truncated"):
        read_volume(path, "image")


@pytest.mark.parametrize(
    ("ending", "field", "value"),
    [(".mha", b"ElementDataFile = LOCAL", b"ElementDataFile = /etc/x"), (".nrrd", None, None)],
)
def test_headers_that_point_to_another_file_are_refused(tmp_path, ending, field, value):
    path = tmp_path / f"image{ending}"
    save_itk(path, compressed=False)
    content = path.read_bytes()
    if field is None:
        content = content.replace(b"\n\n", b"\ndata file: ../x.raw\n\n", 1)
    else:
        assert field in content
        content = content.replace(field, value)
    path.write_bytes(content)
    with pytest.raises(IngestError, match="in another file"):
        read_volume(path, "image")


def test_a_huge_promise_in_an_itk_header_is_refused_before_memory_is_taken(tmp_path):
    path = tmp_path / "image.mha"
    save_itk(path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"DimSize = 4 5 6", b"DimSize = 40000 50000 6000"))
    with pytest.raises(IngestError, match="truncated or corrupt"):
        read_volume(path, "image")


@pytest.mark.parametrize("spacing", [b"0 1.5 2", b"-1 1.5 2", b"nan 1.5 2"])
def test_a_bad_spacing_of_an_itk_file_is_refused(tmp_path, spacing):
    path = tmp_path / "image.mha"
    save_itk(path)
    content = path.read_bytes()
    assert b"ElementSpacing = 1 1.5 2" in content
    path.write_bytes(content.replace(b"ElementSpacing = 1 1.5 2", b"ElementSpacing = " + spacing))
    with pytest.raises(IngestError, match="image"):
        read_volume(path, "image")


def test_complex_and_singular_volumes_are_refused(tmp_path):
    nib.save(nib.Nifti1Image(ARRAY.T.astype(np.complex64), np.eye(4)), tmp_path / "c.nii")
    with pytest.raises(IngestError, match="complex64"):
        read_volume(tmp_path / "c.nii", "c")
    image = nib.Nifti1Image(ARRAY.T, np.eye(4))
    image.header["srow_x"] = image.header["srow_y"]
    image.to_filename(tmp_path / "s.nii")
    raw = bytearray((tmp_path / "s.nii").read_bytes())
    raw[280:296] = raw[296:312]
    (tmp_path / "s.nii").write_bytes(raw)
    with pytest.raises(IngestError, match="affine is singular"):
        read_volume(tmp_path / "s.nii", "s")
