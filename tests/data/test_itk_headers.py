"""NRRD and MetaImage as the standards and ITK allow them, and what is not let through to ITK."""

import gzip
import time

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from alsweep.data.raw.reading import promised_voxels, read_volume
from alsweep.errors import IngestError

ARRAY = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
FIELDS = {
    "type": "short",
    "dimension": "3",
    "sizes": "5 4 3",
    "encoding": "raw",
    "endian": "little",
    "space": "left-posterior-superior",
    "space directions": "(1,0,0) (0,2,0) (0,0,3)",
    "space origin": "(0,0,0)",
}
META = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "ElementSpacing": "1 2 3",
    "DimSize": "5 4 3",
    "ElementType": "MET_SHORT",
    "ElementDataFile": "LOCAL",
}


VOXELS = ARRAY.tobytes()


def encoded(text):
    return text if isinstance(text, bytes) else text.encode()


def nrrd(path, data=VOXELS, end=b"", **changes):
    """An NRRD file; underscores stand for blanks, None removes a field."""
    fields = {k: v for k, v in (FIELDS | plain(changes)).items() if v is not None}
    lines = [b"%s: %s" % (encoded(k), encoded(v)) for k, v in fields.items()]
    path.write_bytes(b"NRRD0005\n" + b"\n".join(lines) + b"\n" + end + b"\n" + data)
    return path


def plain(changes):
    return {key.replace("_", " "): value for key, value in changes.items()}


def meta(path, data=VOXELS, **changes):
    """A MetaImage file; the voxels' place comes last."""
    fields = {k: v for k, v in (META | changes).items() if v is not None}
    place = fields.pop("ElementDataFile")
    lines = [b"%s = %s" % (encoded(k), encoded(v)) for k, v in fields.items()]
    path.write_bytes(b"\n".join([*lines, b"ElementDataFile = " + encoded(place), data]))
    return path


def check(path):
    """That the file is read as ITK reads it."""
    volume = read_volume(path, "x")
    theirs = sitk.ReadImage(str(path))
    assert np.array_equal(volume.array, ARRAY)
    assert volume.array.dtype == sitk.GetArrayViewFromImage(theirs).dtype
    assert volume.spacing == (3.0, 2.0, 1.0) == theirs.GetSpacing()[::-1]
    assert promised_voxels(path) == 60


@pytest.mark.parametrize(
    "changes",
    [
        {"number": "60", "min": "0", "max": "59", "old_min": "-nan", "old max": "NaN"},
        {"thicknesses": "NaN NaN 3"},
        {"sample_units": "HU"},
        {"kinds": "domain space ???", "centerings": "cell node none", "centers": None},
        {"labels": r'"a\"b" "" "c"', "content": b"M\xfcller \xd5\xc5"},
        {"type": None, "Type": "Signed Short Int"},
        {"spacedirections": "(1,0,0) (0,2.,0) (0,0,.3e1)", "space_directions": None},
        {"sizes": "5\t4  3", "byteskip": "0", "line skip": "0"},
        {"space": "right-anterior-superior"},
        {"space": None, "space_directions": None, "space_origin": None, "spacings": "1 2 3"},
        {"measurement frame": "(1,0,0) (0,1,0) (0,0,1)"},
    ],
)
def test_the_standard_fields_of_nrrd_are_read(tmp_path, changes):
    check(nrrd(tmp_path / "x.nrrd", **changes))


@pytest.mark.parametrize(
    ("data", "changes"),
    [
        (gzip.compress(ARRAY.tobytes(), mtime=0), {"encoding": "GZip"}),
        (b"abcd" + ARRAY.tobytes(), {"byte_skip": "4"}),
        (b"anything" + ARRAY.tobytes(), {"byte_skip": "-1"}),
        (b"one\ntwo\nxyz" + ARRAY.tobytes(), {"line_skip": "2", "byte_skip": "3"}),
    ],
)
def test_voxels_that_begin_later_are_found(tmp_path, data, changes):
    check(nrrd(tmp_path / "x.nrrd", data, **changes))


@pytest.mark.parametrize("name", ["long long", "signed long long int", "int64_t", "longlong"])
def test_int64_of_nrrd_is_read(tmp_path, name):
    path = nrrd(tmp_path / "x.nrrd", ARRAY.astype(np.int64).tobytes(), type=name)
    check(path)
    assert read_volume(path, "x").array.dtype == np.int64


@pytest.mark.parametrize("name", ["ulonglong", "unsigned long long", "uint64"])
def test_uint64_of_nrrd_is_read(tmp_path, name):
    path = nrrd(tmp_path / "x.nrrd", ARRAY.astype(np.uint64).tobytes(), type=name)
    check(path)
    assert read_volume(path, "x").array.dtype == np.uint64


@pytest.mark.parametrize(
    ("name", "dtype"), [("MET_LONG_LONG", np.int64), ("MET_ULONG_LONG", np.uint64)]
)
def test_int64_of_metaimage_is_read(tmp_path, name, dtype):
    path = meta(tmp_path / "x.mha", ARRAY.astype(dtype).tobytes(), ElementType=name)
    check(path)
    assert read_volume(path, "x").array.dtype == dtype


@pytest.mark.parametrize("tag", ["Müller".encode("latin-1"), "张三丰".encode("gbk"), "é".encode()])
def test_dicom_tags_of_any_encoding_are_let_be(tmp_path, tag):
    check(nrrd(tmp_path / "x.nrrd", end=b"0010|0010:=" + tag + b"\n# " + tag + b"\n"))
    check(meta(tmp_path / "x.mha", **{"0010|0010": tag}))


def test_a_header_may_be_long(tmp_path):
    tag = b"0029|1010:=" + b"x" * 300_000 + b"\n"
    check(nrrd(tmp_path / "x.nrrd", end=tag))


BAD = {
    "data elsewhere": (".nrrd", {"Data File": "../x.raw"}, "in another file"),
    "data elsewhere, meta": (".mha", {"ElementDataFile": "/etc/passwd"}, "in another file"),
    "data in many files": (".mha", {"ElementDataFile": "LIST"}, "in another file"),
    "promise": (".nrrd", {"sizes": "5 4 30"}, "truncated or corrupt"),
    "int64 promise": (".nrrd", {"type": "int64"}, "truncated or corrupt"),
    "packed promise": (".nrrd", {"sizes": "5000 400 300", "encoding": "gzip"}, "truncated"),
    "skips too much": (".nrrd", {"byte_skip": "9"}, "truncated or corrupt"),
    "skips lines that are not there": (".nrrd", {"line_skip": "999999999"}, "truncated"),
    "skips backwards": (".nrrd", {"byte_skip": "-2"}, "'byte skip' '-2'"),
    "absurd sizes": (".nrrd", {"sizes": "50000 40000 30000"}, "6e+13 voxels"),
    "absurd sizes, meta": (".mha", {"DimSize": "50000 40000 30000"}, "6e+13 voxels"),
    "two axes": (".nrrd", {"dimension": "2"}, "'dimension' '2'"),
    "blocks": (".nrrd", {"type": "block", "block_size": "2"}, "'block size: 2'"),
    "no type": (".nrrd", {"type": None}, "has no 'type'"),
    "unknown type": (".mha", {"ElementType": "MET_FOO"}, "'ElementType' 'MET_FOO'"),
    "vectors": (".mha", {"ElementNumberOfChannels": "3"}, "'ElementNumberOfChannels' '3'"),
    "unknown field": (".nrrd", {"foo": "bar"}, "'foo: bar'"),
    "twice": (".nrrd", {"Space_Origin": "(0,0,0)"}, "has 'space origin' twice"),
    "other encoding": (".nrrd", {"encoding": "bzip2"}, "raw or gzip"),
    "spacing of zero": (".mha", {"ElementSpacing": "0 1 1"}, "x: "),
    "infinite direction": (".nrrd", {"space_directions": "(inf,0,0) (0,1,0) (0,0,1)"}, "inf"),
    "flat": (".nrrd", {"space_directions": "(1,0,0) (1,0,0) (0,0,1)"}, "x: "),
    "huge direction": (".nrrd", {"space_directions": "(1e200,0,0) (0,1,0) (0,0,1)"}, "1e200"),
    "not text": (".nrrd", {"content": b"a\0b"}, "no text"),
    "not text, meta": (".mha", {"Comment": b"a\0b"}, "no text"),
    "units that contradict space": (".nrrd", {"units": '"mm" "mm" "mm"'}, "x: "),
}


@pytest.mark.parametrize("fault", BAD)
def test_no_bad_header_gets_through(tmp_path, capfd, fault):
    ending, changes, reason = BAD[fault]
    path = tmp_path / f"x{ending}"
    (meta if ending == ".mha" else nrrd)(path, **changes)
    with pytest.raises(IngestError) as refusal:
        read_volume(path, "x")
    message = str(refusal.value)
    assert message.startswith("x: ")
    assert reason in message
    assert len(message.splitlines()) == 1
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("ending", "start"),
    [
        (".mha", b"ElementDataFile = " + b" " * (1 << 20)),
        (
            ".mha",
            b"NDims = 3\nElementSpacing = " + b"1" * 1_000_000 + b"\nElementDataFile = LOCAL\n",
        ),
        (".nrrd", b"NRRD0004\nspacings: " + b"1" * 1_000_000 + b"x\n\n"),
        (".nrrd", b"NRRD0004\nspace origin: (" + b" " * 1_000_000 + b"x\n\n"),
    ],
)
def test_a_long_line_costs_no_time(tmp_path, ending, start):
    """Where a careless pattern would take minutes."""
    path = tmp_path / f"x{ending}"
    path.write_bytes(start)
    begun = time.process_time()
    with pytest.raises(IngestError, match="x: its header"):
        read_volume(path, "x")
    assert time.process_time() - begun < 5
