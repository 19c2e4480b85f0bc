"""Headers and descriptions that nobody meant: never anything but an IngestError."""

import gzip
import json
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import example, given
from hypothesis import strategies as st

from alsweep.data.ingest.plans_file import read_plans
from alsweep.data.raw.folder import read_raw
from alsweep.data.raw.foreign import read_foreign
from alsweep.data.raw.reading import promised_voxels, read_volume
from alsweep.errors import IngestError

leaves = (
    st.none()
    | st.booleans()
    | st.integers(-3, 300)
    | st.floats()
    | st.sampled_from(["0", "1", "background", "CT", ".nii.gz", "a/../b", "\ud800", "\0", ""])
    | st.text(max_size=5)
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["0", "1", "background", "image", "label"]), inner)
    ),
    max_leaves=8,
)
GOOD = {
    "nnunet": {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "organ": [1, 2], "lesion": 2},
        "regions_class_order": [1, 2],
        "numTraining": 1,
        "file_ending": ".nii.gz",
        "overwrite_image_reader_writer": "NibabelIO",
        "use_mask_for_norm": [True],
    },
    "listed": {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0},
        "file_ending": ".nrrd",
        "dataset": {"a": {"images": ["b.nrrd"], "label": "c.nrrd"}},
    },
    "decathlon": {
        "name": "x",
        "modality": {"0": "CT"},
        "labels": {"0": "background"},
        "training": [{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}],
        "numTraining": 1,
    },
}
PLANS = {
    "transpose_forward": [0, 1, 2],
    "foreground_intensity_properties_per_channel": {},
    "configurations": {
        "3d_fullres": {
            "inherits_from": None,
            "spacing": [1, 1, 1],
            "patch_size": [8, 8, 8],
            "batch_size": 2,
            "median_image_size_in_voxels": [9, 9, 9],
            "normalization_schemes": ["ZScoreNormalization"],
            "use_mask_for_norm": [False],
            "architecture": {"arch_kwargs": {"strides": [[1, 1, 1]], "kernel_sizes": [[3, 3, 3]]}},
        }
    },
}


@st.composite
def spoilt(draw, good):
    """A description with some entries, however deep, replaced or removed."""
    raw = json.loads(json.dumps(good))
    for _ in range(draw(st.integers(1, 3))):
        place, keys = raw, [draw(st.sampled_from(sorted(raw)))] if raw else []
        while (
            keys and isinstance(place[keys[-1]], dict) and place[keys[-1]] and draw(st.booleans())
        ):
            place = place[keys[-1]]
            keys.append(draw(st.sampled_from(sorted(place))))
        if keys and draw(st.booleans()):
            place[keys[-1]] = draw(values)
        elif keys:
            del place[keys[-1]]
    return raw


@pytest.fixture(scope="module")
def place():
    with tempfile.TemporaryDirectory() as folder:
        for name in ("imagesTr", "labelsTr"):
            (Path(folder) / name).mkdir()
        (Path(folder) / "imagesTr/a_0000.nii.gz").touch()
        yield Path(folder)


def quietly(read, *arguments, **options):
    try:
        return read(*arguments, **options)
    except IngestError as error:
        told = str(error)
    assert len(told.splitlines()) == 1
    return None


@given(st.data())
def test_spoilt_descriptions(place, data):
    good = GOOD[data.draw(st.sampled_from(sorted(GOOD)))]
    (place / "dataset.json").write_text(json.dumps(data.draw(spoilt(good))))
    splits = data.draw(st.none() | values)
    (place / "splits_final.json").write_text(json.dumps([] if splits is None else splits))
    quietly(read_raw, place)


@given(spoilt(PLANS))
@example(PLANS)
def test_spoilt_plans(place, raw):
    (place / "plans.json").write_text(json.dumps(raw))
    found = quietly(read_plans, place / "plans.json", 1)
    assert found is None or found.plan.batch_size >= 1


@given(st.binary(max_size=60) | values.map(lambda value: json.dumps(value).encode()))
@example(b"[" * 200_000)
@example(b'{"a":' * 100_000)
@example(b"1" * 5000)
def test_bytes_that_may_be_json(place, content):
    (place / "x.json").write_bytes(content)
    quietly(read_foreign, place / "x.json")


MORE = {
    ".nrrd": (
        b"encoding",
        b"number: 60\nthicknesses: NaN 1 3\nbyte skip: 0\nline skip: 0\nold min: 0\n"
        b'space units: "mm" "mm" "mm"\nlabels: "a" "" "c"\n0010|0010:=M\xfcller\nencoding',
    ),
    ".mha": (b"DimSize", b"DistanceUnits = mm\n0010|0010 = M\xfcller\nDimSize"),
}
"""What SimpleITK does not write by itself."""


def header_bytes(ending):
    """A small valid file, uncompressed, and how many bytes of it are header."""
    array = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x{ending}"
        if ending == ".nii":
            nib.save(nib.Nifti1Image(array, np.eye(4)), path)
        else:
            sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
        content = path.read_bytes().replace(*MORE.get(ending, (b"", b"")), 1)
    return content, len(content) - array.nbytes


VALID = {ending: header_bytes(ending) for ending in (".nii", ".nrrd", ".mha")}


@st.composite
def damaged(draw, ending):
    content, length = VALID[ending]
    raw = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, length - 1))
        patch = draw(st.binary(min_size=1, max_size=4) | st.sampled_from([b"\xff" * 4, b"0", b"9"]))
        if draw(st.booleans()):
            raw[at : at + len(patch)] = patch
        else:
            raw[at:at] = patch
    return bytes(raw[: draw(st.sampled_from([len(raw), length, 400, 3]))])


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".mha"])
@given(data=st.data())
def test_damaged_headers(place, ending, data):
    content = data.draw(damaged(ending.removesuffix(".gz")))
    path = place / f"x{ending}"
    path.write_bytes(gzip.compress(content) if ending == ".nii.gz" else content)
    stacked, reorient = data.draw(st.booleans()), data.draw(st.booleans())
    volume = quietly(read_volume, path, "x", stacked=stacked, reorient=reorient)
    assert promised_voxels(path) >= 0
    if volume is not None:
        assert volume.array.ndim in ((3, 4) if stacked else (3,))
        assert min(volume.spacing) > 0
        assert np.isfinite(volume.affine).all()


@given(st.data())
def test_damaged_gzip(place, data):
    raw = bytearray(gzip.compress(VALID[".nii"][0]))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    (place / "y.nii.gz").write_bytes(bytes(raw))
    volume = quietly(read_volume, place / "y.nii.gz", "y")
    # Only what the CRC does not cover may differ: flags, time and name in gzip's own header.
    if volume is not None:
        assert np.array_equal(volume.array.ravel("F"), np.arange(60).reshape(3, 4, 5).ravel("C"))
