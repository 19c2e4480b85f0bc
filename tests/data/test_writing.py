import shutil

import pytest

from alsweep import Dataset
from alsweep.data.writing import new_dataset
from alsweep.errors import DatasetError


def test_two_writers_of_one_folder_are_kept_apart(phantom, tmp_path):
    out = tmp_path / "out"
    with new_dataset(out) as root:
        with pytest.raises(DatasetError, match="another alsweep is writing it"):
            new_dataset(out).__enter__()
        shutil.copytree(phantom.path, root, dirs_exist_ok=True)
    assert Dataset.open(out).fingerprint == phantom.fingerprint
    assert list(tmp_path.iterdir()) == [out]


def test_a_predecessors_remains_are_removed(phantom, tmp_path):
    remains = tmp_path / ".out.alsweep-new"
    (remains / "cases").mkdir(parents=True)
    (remains / "dataset.json").write_text("{}")
    with new_dataset(tmp_path / "out") as root:
        assert list(root.iterdir()) == []
        shutil.copytree(phantom.path, root, dirs_exist_ok=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_unfinished_folder_does_not_take_its_place(tmp_path):
    with pytest.raises(DatasetError, match="has no dataset"), new_dataset(tmp_path / "out"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_dangling_link_is_in_the_way_too(tmp_path):
    (tmp_path / "out").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="exists already"), new_dataset(tmp_path / "out"):
        pass
