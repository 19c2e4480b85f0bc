"""Which classes the queries are made of, by the labels that really lie in them."""

import json

import numpy as np
import pytest

from alsweep.data.annotator import ReferenceLabels
from alsweep.data.case import Dataset
from alsweep.layout import query_path
from alsweep.report.section import Figures, Material
from alsweep.report.sections import mix
from alsweep.report.study import read_study
from alsweep.report.volumes import open_datasets


@pytest.fixture(scope="module")
def material(phantom_run):
    study = read_study([phantom_run])
    return Material(study, open_datasets(study))


def test_shares_are_those_of_the_labels_in_the_patches(material, phantom_run):
    rows = material.kept(mix._mixes)
    assert list(dict.fromkeys(rows["of"])) == ["starting budget", "random", "predictive_entropy"]
    labels_of = ReferenceLabels(Dataset.open(phantom_run / "dataset"))
    trajectory = next(t for t in material.study.trajectories if "entropy" in t.id)
    counts = np.zeros(3, dtype=int)
    for loop in (1, 2):
        for one in json.loads(query_path(trajectory.folder, loop).read_text())["patches"]:
            box = tuple(slice(s, s + n) for s, n in zip(one["start"], one["size"], strict=True))
            labels = np.asarray(labels_of.volume(one["case"]))[box]
            counts += np.bincount(labels.ravel(), minlength=3)[:3]
    mine = rows[rows["of"] == "predictive_entropy"].set_index("class")
    assert mine["voxels"].to_dict() == {"organ": counts[1], "lesion": counts[2]}
    assert mine["share"].tolist() == pytest.approx((counts[1:] / counts.sum()).tolist())


def test_a_bar_is_stacked_of_the_classes_of_a_strategy(material):
    figure = next(b for b in mix.SECTION.blocks(material) if isinstance(b, Figures)).panels[0][1]
    assert [bar["name"] for bar in figure["data"]] == ["organ", "lesion"]
    assert figure["data"][0]["x"] == ["starting budget", "random", "predictive_entropy"]
    assert figure["layout"]["barmode"] == "stack"


def test_without_the_dataset_there_is_no_such_section(study):
    assert not mix.SECTION.applies(Material(study, open_datasets(study)))


def test_labels_beyond_what_can_be_looked_at_at_once_are_left_alone(material, monkeypatch):
    monkeypatch.setattr(mix, "_AT_ONCE", 0)
    assert mix._mixes(material).empty
