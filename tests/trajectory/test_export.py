import json

import nibabel
import numpy as np
import pytest

from alsweep.data.annotator import Oracle, ReferenceLabels
from alsweep.data.labels.human import HumanLabels
from alsweep.errors import DatasetError, RunFolderError
from alsweep.files import write_json
from alsweep.geometry import Patch, QueriedPatch
from alsweep.trajectory.export import export_loop, loop_labels
from alsweep.trajectory.query_log import QueryLog
from alsweep.trajectory.resolving import resolve
from tests.trajectory.conftest import make_config

SIZE = (4, 4, 4)


@pytest.fixture
def folder(phantom, tmp_path):
    """A trajectory that has queried for the loops 0 and 1."""
    log = QueryLog(tmp_path / "t")
    log.claim(resolve(make_config(phantom), phantom))
    for loop, case in enumerate(phantom.pool[:2]):
        log.commit(loop, [QueriedPatch(Patch(case, (loop, 2, 3), SIZE), None)])
    return tmp_path / "t"


def test_a_loop_is_exported_with_its_own_patches_and_those_before(phantom, folder, tmp_path):
    first, second = phantom.pool[:2]
    assert export_loop(folder, 0, "nnunet", tmp_path / "zero") == [tmp_path / "zero"]
    export_loop(folder, 1, "nnunet", tmp_path / "one")
    for name, cases in (("zero", [first]), ("one", [first, second])):
        (fold,) = json.loads((tmp_path / name / "splits_final.json").read_text())
        assert fold["train"] == cases
    labels = np.asarray(nibabel.load(tmp_path / f"one/labelsTr/{second}.nii.gz").dataobj).T
    ignore = len(phantom.classes)
    expected = np.full(labels.shape, ignore)
    box = Patch(second, (1, 2, 3), SIZE).slices
    expected[box] = ReferenceLabels(phantom).volume(second)[box]
    assert np.array_equal(labels, expected)


def test_nnactive_gets_a_file_for_each_loop_with_its_new_patches(phantom, folder, tmp_path):
    paths = export_loop(folder, 1, "nnactive", tmp_path / "out")
    assert [path.name for path in paths] == ["loop_000.json", "loop_001.json"]
    assert [json.loads(path.read_text())["patches"] for path in paths] == [
        [{"file": f"{case}.nii.gz", "coords": [loop, 2, 3], "size": [4, 4, 4]}]
        for loop, case in enumerate(phantom.pool[:2])
    ]


def test_where_a_person_labelled_the_crops_are_the_labels(phantom, folder):
    human = make_config(phantom, annotator={"kind": "human"})
    write_json(folder / "config.json", resolve(human, phantom).plain())
    crops = HumanLabels(folder / "crops", len(phantom.classes))
    for patch in QueryLog(folder).patches(1):
        truth = Oracle(phantom).reveal(patch.case, patch.start, patch.size)
        crops.save(patch, (truth * 0 + 2).astype(np.uint8))
    assert loop_labels(folder, phantom, 1).class_voxels().tolist() == [0, 0, 128]


def test_a_loop_that_is_not_there_is_refused(folder, tmp_path):
    with pytest.raises(RunFolderError, match="no query for loop 2"):
        export_loop(folder, 2, "nnunet", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("target", ["nnunet", "nnactive"])
def test_an_existing_out_is_refused(folder, tmp_path, target):
    (tmp_path / "out").mkdir()
    with pytest.raises(DatasetError, match="exists already"):
        export_loop(folder, 0, target, tmp_path / "out")
