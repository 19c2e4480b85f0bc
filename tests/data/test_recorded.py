import shutil

import pytest

from alsweep.data.case import Dataset
from alsweep.data.phantom import write_phantom
from alsweep.data.recorded import open_recorded
from alsweep.errors import DatasetError


@pytest.fixture
def dataset(tmp_path) -> Dataset:
    return write_phantom(tmp_path / "phantom", cases=4, shape=(24, 24, 24))


def test_the_dataset_is_taken_from_where_the_run_says(dataset, tmp_path):
    assert open_recorded(dataset.path, dataset.fingerprint, tmp_path).path == dataset.path


@pytest.mark.parametrize("name", ["dataset", "phantom"])
def test_a_dataset_in_the_run_is_found_where_both_were_moved(dataset, tmp_path, name):
    inside = shutil.copytree(dataset.path, tmp_path / "run" / name)
    gone = tmp_path / "old place" / "phantom"
    assert open_recorded(gone, dataset.fingerprint, tmp_path / "run").path == inside


def test_another_content_is_never_taken(dataset, tmp_path):
    write_phantom(tmp_path / "run" / "dataset", cases=4, shape=(24, 24, 24), seed=9)
    with pytest.raises(DatasetError) as caught:
        open_recorded(tmp_path / "gone", dataset.fingerprint, tmp_path / "run")
    assert str(caught.value) == (
        f"{tmp_path}/gone: the run's dataset is not there any more; put it back (a link will do), "
        f"or say where it lies: alsweep run {tmp_path}/run/sweep.yaml --out {tmp_path}/run "
        "--set dataset=PATH"
    )
    with pytest.raises(DatasetError, match="phantom: its content is not what the run was made on"):
        open_recorded(dataset.path, "0" * 64, tmp_path / "run")
