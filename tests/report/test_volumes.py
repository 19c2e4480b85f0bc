"""Where pictures come from, and what a page says of the datasets."""

from copy import copy
from dataclasses import replace

import numpy as np
import pytest

from alsweep.data.case import Dataset
from alsweep.errors import DatasetError
from alsweep.report import volumes as module
from alsweep.report.study import read_study
from alsweep.report.volumes import DatasetVolumes, open_dataset, open_datasets
from alsweep.results.records import read_run


@pytest.fixture(scope="module")
def dataset(phantom_run):
    return Dataset.open(phantom_run / "dataset")


def test_a_dataset_is_described_in_one_line_and_opened_once(phantom_run, dataset, monkeypatch):
    asked = []
    monkeypatch.setattr(module, "open_dataset", lambda run, one: asked.append(one) or dataset)
    opened = open_datasets(read_study([phantom_run]))
    assert len(asked) == 1
    assert list(opened) == [t.id for t in read_run(phantom_run).trajectories]
    (one,) = {id(value): value for value in opened.values()}.values()
    assert one.description == (
        f"{dataset.name}: 3 pool, 1 validation cases; classes organ, lesion; spacing "
        f"1\u00d71\u00d71 mm (z, y, x); fingerprint, split included, {dataset.fingerprint[:12]}"
    )


def test_a_test_part_is_counted(phantom_run, dataset, monkeypatch):
    tested = copy(dataset)
    tested.test = ("x", "y")
    monkeypatch.setattr(module, "open_dataset", lambda run, one: tested)
    (one, *_) = open_datasets(read_study([phantom_run])).values()
    assert "3 pool, 1 validation, 2 test cases" in one.description


def test_classes_that_no_validation_case_has_are_told(phantom_run, dataset, monkeypatch):
    without = copy(dataset)
    without.cases = {
        case: info.model_copy(update={"class_voxels": (*info.class_voxels[:2], 0)})
        if info.part == "validation"
        else info
        for case, info in dataset.cases.items()
    }
    assert without.unreferenced("validation") == ("lesion",)
    assert without.unreferenced("pool") == dataset.unreferenced("validation") == ()
    unjudged = copy(dataset)
    unjudged.validation = ()
    told = (without, "has a voxel of lesion. Mean Dice is over"), (unjudged, "there is no Dice.")
    for opened, notice in ((dataset, None), *told):
        monkeypatch.setattr(module, "open_dataset", lambda *_, opened=opened: opened)
        (one, *_) = open_datasets(read_study([phantom_run])).values()
        assert one.notice is None if notice is None else notice in one.notice


def test_the_volumes_are_those_of_the_dataset(dataset):
    volumes = DatasetVolumes(dataset)
    case = dataset.pool[0]
    assert volumes.classes == ("background", "organ", "lesion")
    assert volumes.spacing == dataset.manifest.spacing
    np.testing.assert_array_equal(volumes.image(case), dataset.image(case))
    counts = np.bincount(volumes.reference(case).ravel(), minlength=3)
    assert tuple(counts) == tuple(dataset.cases[case].class_voxels)


def test_a_dataset_that_is_gone_is_said_and_has_no_volumes(study):
    opened = open_datasets(study)
    assert len(opened) == 9
    (description,) = {one.description for one in opened.values()}
    assert description.startswith("not available any more (")
    assert all(one.volumes is None for one in opened.values())
    with pytest.raises(DatasetError, match="dataset"):
        open_dataset(study.runs[0], study.runs[0].trajectories[0])


def test_two_datasets_stay_apart_and_the_first_run_names_that_of_a_common_trajectory(
    study, phantom_run
):
    found = read_run(phantom_run)
    (ground,) = found.begun.grounds
    other = replace(ground, dataset_fingerprint=64 * "1")
    lost = replace(found, begun=replace(found.begun, grounds=(other,)))
    for runs, available in (((lost, found), False), ((found, lost), True)):
        opened = open_datasets(replace(study, runs=runs))
        assert {one.volumes is not None for one in opened.values()} == {available}
    both = open_datasets(replace(study, runs=(study.runs[0], found)))
    assert {one.volumes is None for one in both.values()} == {True, False}
