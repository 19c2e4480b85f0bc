"""A Dataset in an object store: each file comes once, whole, when it is first needed."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from alsweep.data.annotator import ReferenceLabels
from alsweep.data.case import IMAGE_CHUNK, Dataset, chunk_file
from alsweep.data.phantom import write_phantom
from alsweep.data.remote import upload
from alsweep.errors import DatasetError, DiskFullError, StoreError
from alsweep.storage import fetching
from alsweep.storage.client import Store
from alsweep.storage.fetching import Wanted
from tests.small_disk import fill, small_disk
from tests.storage.conftest import BUCKET, Line

MIB = 1 << 20
READ = """
import sys
from alsweep.data.case import Dataset
Dataset.open(sys.argv[1]).image("phantom_001")
"""


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_phantom(tmp_path_factory.mktemp("data") / "d", cases=4, shape=(16, 16, 16))


def files(cache: Path) -> list[str]:
    found = (cache / "datasets").glob("*/cases/*/**/0")
    return sorted(str(path.relative_to(cache).parts[3]) for path in found if path.is_file())


def test_it_is_the_same_dataset_and_what_is_not_needed_stays_there(prefix, local, tmp_path):
    there = upload(local.path, Path(prefix))
    assert there.fingerprint == local.fingerprint
    assert files(tmp_path / "cache") == []
    again = pickle.loads(pickle.dumps(there))
    assert np.array_equal(again.image("phantom_001"), local.image("phantom_001"))
    labels = ReferenceLabels(again).volume("phantom_002")
    assert np.array_equal(labels, ReferenceLabels(local).volume("phantom_002"))
    assert files(tmp_path / "cache") == ["phantom_001.ome.zarr", "phantom_002.ome.zarr"]
    assert json.loads(json.dumps(str(there.path))) == str(Path(prefix))


def test_processes_that_need_a_case_at_the_same_time_fetch_it_once(prefix, local, line: Line):
    upload(local.path, Path(prefix))
    line.asked.clear()
    readers = [subprocess.Popen([sys.executable, "-c", READ, prefix]) for _ in range(3)]
    assert [reader.wait() for reader in readers] == [0, 0, 0]
    voxels = [path for method, path in line.asked if "phantom_001" in path and method == "GET"]
    assert len(voxels) == 1


def test_a_fork_of_a_process_that_has_used_the_store_gets_its_cases_too(prefix, local):
    there = upload(local.path, Path(prefix))
    child = os.fork()
    if not child:
        try:
            same = np.array_equal(there.image("phantom_000"), local.image("phantom_000"))
            os._exit(0 if same else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_cache_keeps_to_its_bound(prefix, local, tmp_path, monkeypatch):
    there = upload(local.path, Path(prefix))
    bytes_ = 16**3 * 4
    monkeypatch.setenv("ALSWEEP_CACHE_GIB", str(2.5 * bytes_ / 2**30))
    first = there.image("phantom_000")
    for age, case in enumerate(there.cases):
        path = chunk_file(there, case, IMAGE_CHUNK)
        os.utime(path, (age, age))
    assert files(tmp_path / "cache") == ["phantom_002.ome.zarr", "phantom_003.ome.zarr"]
    assert np.array_equal(first, local.image("phantom_000"))  # though its file is gone


def test_what_is_not_what_was_written_is_told_and_never_read(prefix, local, s3):
    there = upload(local.path, Path(prefix))
    folder = prefix.removeprefix(f"s3://{BUCKET}/")
    key = f"{folder}/cases/phantom_000.ome.zarr/0/c/0/0/0/0"
    s3.put_object(Bucket=BUCKET, Key=key, Body=bytes(16**3 * 4))
    with pytest.raises(DatasetError, match="is not what it was when it was written"):
        there.image("phantom_000")


def test_a_dataset_is_one_when_all_of_it_is_there(prefix, local, s3):
    with pytest.raises(DatasetError, match="no such Dataset"):
        Dataset.open(prefix)
    upload(local.path, Path(prefix))
    with pytest.raises(DatasetError, match=r"holds 'dataset.json' already; choose another"):
        upload(local.path, Path(prefix))
    other = f"{prefix}/copy"
    Store(other).put("dataset.json", local.path / "dataset.json")
    with pytest.raises(DatasetError, match=rf"{other}: cases/.* is missing"):
        Dataset.open(other)


def test_a_manifest_that_names_files_elsewhere_is_refused(prefix, local, tmp_path):
    evil = Path(shutil.copytree(local.path, tmp_path / "evil"))
    case, *rest = local.manifest.cases
    hostile = case.model_copy(update={"id": "../../../evil"})
    manifest = local.manifest.model_copy(update={"cases": (hostile, *rest)}).sealed()
    (evil / "dataset.json").write_text(json.dumps(manifest.plain()))
    Store(prefix).put("dataset.json", evil / "dataset.json")
    with pytest.raises(StoreError, match="no plain path"):
        Dataset.open(prefix)


class Filled:
    """Gives an object in pieces while somebody else fills the disk."""

    def __init__(self, disk: Path, content: bytes) -> None:
        self.disk, self.content = disk, content

    def __call__(self, url: str, patience: object) -> "Filled":
        return self

    def pieces(self, key: str, size: int):
        yield self.content[:MIB]
        if self.disk is not None:
            fill(self.disk)
        yield self.content[MIB:]


def test_a_cache_whose_disk_is_full_is_told_and_has_nothing_half(tmp_path, monkeypatch):
    content = b"voxels" * MIB
    with small_disk(tmp_path / "disk", 64) as disk:
        path = disk / "datasets" / "case"
        wanted = Wanted("s3://b/d", "case", path, len(content), sha256(content).hexdigest())
        store = Filled(disk, content)
        monkeypatch.setattr(fetching, "Store", store)
        with pytest.raises(DiskFullError, match=f"the disk {disk} is full"):
            fetching.fetched(wanted, disk)
        assert list(path.parent.iterdir()) == []
        with pytest.raises(DiskFullError, match=f"the disk {disk} is full"):
            fetching.fetched(wanted, disk)
        (disk / "filler").unlink()
        store.disk = None
        assert fetching.fetched(wanted, disk).read_bytes() == content
