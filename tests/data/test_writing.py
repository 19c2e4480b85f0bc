import shutil

import pytest

from alsweep import Dataset
from alsweep.data.ingest.writing import new_dataset
from alsweep.errors import DatasetError


def test_two_writers_of_one_folder_are_kept_apart(phantom, tmp_path):
    out = tmp_path / "out"
    with new_dataset(out) as root:
        with pytest.raises(DatasetError, match="another alsweep is writing it"):
            new_dataset(out).__enter__()
        shutil.copytree(phantom.path, root, dirs_exist_ok=True)
    assert Dataset.open(out).fingerprint == phantom.fingerprint
    assert list(tmp_path.iterdir()) == [out]


def test_what_a_predecessor_left_stays_only_where_the_manifest_speaks_of_it(phantom, tmp_path):
    remains = tmp_path / ".out.alsweep-new"
    (remains / "cases/old.ome.zarr").mkdir(parents=True)
    (remains / "notes").mkdir()
    (remains / "dataset.json").write_text("{}")
    with new_dataset(tmp_path / "out") as root:
        assert root == remains
        shutil.copytree(phantom.path, root, dirs_exist_ok=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["cases", "dataset.json"]
    assert not (tmp_path / "out/cases/old.ome.zarr").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_only_after_the_errors_that_are_named_the_folder_stays(tmp_path, error):
    out = tmp_path / "made" / "out"
    with pytest.raises(error), new_dataset(out, keep=(KeyboardInterrupt,)):
        raise error
    assert (tmp_path / "made").exists() == (error is KeyboardInterrupt)


def test_an_unfinished_folder_does_not_take_its_place(tmp_path):
    with pytest.raises(DatasetError, match="has no dataset"), new_dataset(tmp_path / "out"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_dangling_link_is_in_the_way_too(tmp_path):
    (tmp_path / "out").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="exists already"), new_dataset(tmp_path / "out"):
        pass
