import struct
import zipfile

import numpy as np
import pytest

from alsweep import PartialLabels, Patch
from alsweep.data.label_store import IGNORE
from alsweep.data.labels.human import HumanLabels
from alsweep.errors import DatasetError

PATCH = Patch("case one/ä", (1, 2, 3), (2, 3, 4))
LABELS = np.arange(24, dtype=np.uint8).reshape(2, 3, 4) % 3


@pytest.fixture
def crops(tmp_path):
    return HumanLabels(tmp_path / "crops", classes=3)


def reveal(crops, patch=PATCH):
    return crops.reveal(patch.case, patch.start, patch.size)


def test_what_was_saved_is_read_by_another_process_and_by_plain_numpy(tmp_path, crops):
    crops.save(PATCH, LABELS)
    assert np.array_equal(reveal(HumanLabels(tmp_path / "crops", 3)), LABELS)
    (file,) = (tmp_path / "crops").iterdir()
    plain = np.load(file, allow_pickle=False)
    assert np.array_equal(plain["labels"], LABELS)
    assert (str(plain["case"]), plain["start"].tolist()) == ("case one/ä", [1, 2, 3])


def test_patches_that_differ_in_one_number_have_files_of_their_own(tmp_path, crops):
    others = [
        PATCH,
        Patch(PATCH.case, (1, 2, 4), PATCH.size),
        Patch("case one_ä", PATCH.start, PATCH.size),
    ]
    for value, patch in enumerate(others):
        crops.save(patch, np.full(patch.size, value, np.uint8))
    assert [int(reveal(crops, patch).max()) for patch in others] == [0, 1, 2]
    assert len(list((tmp_path / "crops").iterdir())) == 3


def test_the_missing_are_those_not_saved(crops):
    other = Patch("b", (0, 0, 0), (1, 1, 1))
    assert crops.missing([PATCH, other]) == (PATCH, other)
    crops.save(PATCH, LABELS)
    assert crops.missing([PATCH, other]) == (other,)


def test_saving_twice_is_nothing_and_saving_otherwise_is_refused(crops):
    crops.save(PATCH, LABELS)
    crops.save(PATCH, LABELS)
    with pytest.raises(DatasetError, match="labelled otherwise before"):
        crops.save(PATCH, LABELS * 0)
    assert np.array_equal(reveal(crops), LABELS)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS[:, :, :3], r"got uint8 of shape \(2, 3, 3\)"),
        (LABELS.astype(np.int64), "got int64"),
        (LABELS + np.uint8(1), "hold the label 3, expected 0 to 2"),
    ],
)
def test_labels_that_cannot_be_are_refused_and_leave_nothing(tmp_path, crops, labels, message):
    with pytest.raises(DatasetError, match=message):
        crops.save(PATCH, labels)
    assert not (tmp_path / "crops").exists()


def test_voxels_left_out_are_kept_as_such(crops):
    labels = LABELS.copy()
    labels[0] = IGNORE
    crops.save(PATCH, labels)
    store = PartialLabels({PATCH.case: (9, 9, 9)}, 3, crops, [PATCH])
    assert store.class_voxels().tolist() == [4, 4, 4]


def test_a_lost_crop_names_the_patch(crops):
    with pytest.raises(DatasetError, match=r"patch at \(1, 2, 3\) of case 'case one/ä'"):
        reveal(crops)


def _cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def _flip(path):
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("labels.npy")
    name, extra = struct.unpack_from("<HH", content, info.header_offset + 26)
    data = info.header_offset + 30 + name + extra
    content[data + info.compress_size // 2] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [_cut, _flip, lambda path: path.write_bytes(b"")])
def test_a_damaged_crop_is_never_taken_for_labels(tmp_path, crops, damage):
    crops.save(PATCH, LABELS)
    (file,) = (tmp_path / "crops").iterdir()
    damage(file)
    with pytest.raises(DatasetError, match="is damaged"):
        reveal(crops)


def test_a_crop_under_the_name_of_another_is_refused(tmp_path, crops):
    crops.save(PATCH, LABELS)
    other = Patch(PATCH.case, (0, 0, 0), PATCH.size)
    crops.save(other, LABELS)
    mine, theirs = crops._path(PATCH), crops._path(other)
    theirs.replace(mine)
    with pytest.raises(DatasetError, match=r"holds the patch at \(0, 0, 0\)"):
        reveal(crops)


def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    folder = tmp_path / "crops"
    folder.mkdir()
    (folder / ".x.npz.abc.tmp").write_bytes(b"half")
    HumanLabels(folder, 3).save(PATCH, LABELS)
    assert [path.suffix for path in folder.iterdir()] == [".npz"]
