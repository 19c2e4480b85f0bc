"""Trajectories whose annotator tells less than every voxel."""

import json
import shutil

import numpy as np
import pytest
import torch
import zarr

from alsweep import Dataset, Trajectory
from alsweep.config.sweep import ResourcesConfig
from alsweep.data.annotator import ReferenceLabels
from alsweep.data.case import REFERENCE_CHUNK, case_folder
from alsweep.data.labels.human import HumanLabels
from alsweep.data.labels.revealing import revealed
from alsweep.errors import ConfigError
from alsweep.geometry import by_case
from alsweep.label_codes import IGNORE
from alsweep.trajectory.annotator import make_annotator
from alsweep.trajectory.export import export_loop
from alsweep.trajectory.steps import Steps
from tests.trajectory.conftest import make_config

MODES = {"box": "core_set", "points": "purity_pe", "scribbles": "random_fg66"}


class Remembers:
    """Gives again what was answered once, as a person's saved labels are."""

    def __init__(self, annotator, patches):
        self.answers = {p: annotator.reveal(p.case, p.start, p.size) for p in patches}
        self.said = annotator.digest(patches)

    def reveal(self, case, start, size):
        return next(a for p, a in self.answers.items() if (p.case, p.start) == (case, start))

    def missing(self, patches):
        return ()

    def digest(self, patches):
        return self.said


def configured(dataset, mode):
    return make_config(
        dataset,
        strategy=MODES[mode],
        annotator={"reveal": mode},
        query={"loops": 2},
        training={"members": 1, "augmentation": "nnunet", "deep_supervision": True},
    )


@pytest.fixture(scope="module", params=MODES)
def told(request, phantom, tmp_path_factory):
    """A finished trajectory in one mode."""
    folder = tmp_path_factory.mktemp(request.param) / "t"
    trajectory = Trajectory(configured(phantom, request.param), folder, dataset=phantom)
    trajectory.run()
    trajectory.close()
    return trajectory


def mode_of(trajectory):
    return trajectory.config.annotator.reveal


def spoilt(dataset, told, folder):
    """A copy of which every voxel has another label that nobody was told the label of."""
    copy = Dataset.open(shutil.copytree(dataset.path, folder / "spoilt"))
    answers = by_case(told.answers)
    for case in copy.pool:
        path = case_folder(copy.path, case) / REFERENCE_CHUNK
        path.chmod(0o644)
        volume = np.memmap(path, np.uint8, "r+", shape=copy.cases[case].shape)
        nonsense = (volume + 1) % 3
        for patch in answers.get(case, ()):
            known = told.answers[patch] < len(copy.classes)
            np.copyto(nonsense[patch.slices], volume[patch.slices], where=known)
        volume[:] = nonsense
        volume.flush()
    return copy


def test_training_takes_nothing_but_what_was_told(told, phantom, tmp_path):
    patches = sorted(told._log.patches(1))
    remembers = Remembers(make_annotator(told.config, phantom), patches)
    weights = []
    for dataset in (phantom, spoilt(phantom, remembers, tmp_path)):
        models, resources = tmp_path / dataset.path.name / "models", ResourcesConfig()
        steps = Steps.make(told.config, dataset, models, resources, "t", None, remembers)
        (member,) = steps.train(1, patches, ())
        weights.append(member.network.state_dict())
    honest, blind = weights
    assert all(torch.equal(honest[name], blind[name]) for name in honest)
    assert told.records[1].members == (member.key,)


def test_counts_are_of_what_was_told(told, phantom):
    reference, record = ReferenceLabels(phantom), told.records[1]
    patches = told._log.patches(1)
    shown = [
        revealed(np.array(reference.volume(p.case)[p.slices]), mode_of(told), 3) for p in patches
    ]
    assert record.foreground_voxels == sum(((one >= 1) & (one < 3)).sum() for one in shown)
    assert record.annotated_voxels == sum(patch.voxels for patch in patches)
    # All classes that lie in a patch are told of, so that folds and starts are as ever.
    whole = [np.unique(reference.volume(p.case)[p.slices]) for p in patches]
    assert all(set(a[a > 0]) <= set(np.unique(b)) for a, b in zip(whole, shown, strict=True))


def test_the_label_store_shows_what_was_told_and_what_it_means(told, phantom):
    for case, patches in by_case(told._log.patches(1)).items():
        group = zarr.open_group(told._folder / "labels.zarr" / case, mode="r")
        for patch in patches:
            assert np.array_equal(group["0"][patch.slices], told.labels.crop(patch))
        named = {one["label-value"]: one["name"] for one in properties(group)}
    boxes = {3: "background or organ", 4: "background or lesion"}
    names = dict(enumerate(phantom.classes))
    expected = {k: f"background or {names[k - 2]}" for k in boxes} if mode_of(told) == "box" else {}
    assert named == {1: names[1], 2: names[2]} | expected


def properties(group):
    return group.attrs["ome"]["image-label"]["properties"]


def test_an_export_ignores_what_nobody_is_sure_of(told, phantom, tmp_path):
    nibabel = pytest.importorskip("nibabel")
    out = tmp_path / "Dataset001_Told"
    export_loop(told._folder, 1, "nnunet", out, phantom)
    code = json.loads((out / "dataset.json").read_text())["labels"]["ignore"]
    patch = told._log.patches(1)[0]
    stored = nibabel.load(out / "labelsTr" / f"{patch.case}.nii.gz").get_fdata().T[patch.slices]
    crop = told.labels.crop(patch)
    assert np.array_equal(stored, np.where(crop < len(phantom.classes), crop, code))
    assert (crop == IGNORE).any() or mode_of(told) == "box"


def test_a_mode_that_there_is_not_is_refused(phantom):
    with pytest.raises(ValueError, match="'dense', 'box', 'points' or 'scribbles'"):
        make_config(phantom, annotator={"reveal": "boxes"})


def test_a_person_is_asked_for_no_boxes(phantom, tmp_path):
    config = make_config(phantom, annotator={"kind": "human", "reveal": "box"})
    with pytest.raises(ConfigError, match="write reveal: dense, points or scribbles"):
        Trajectory(config, tmp_path, dataset=phantom)


def test_what_a_person_marks_is_taken_as_it_is(phantom, tmp_path):
    config = make_config(phantom, annotator={"kind": "human", "reveal": "points"})
    assert isinstance(make_annotator(config, phantom, tmp_path), HumanLabels)


def test_a_learner_without_a_loss_for_boxes_refuses_them(phantom, tmp_path, monkeypatch):
    monkeypatch.setattr("alsweep.model.monai_learner.MonaiLearner.heeds_boxes", False)
    with pytest.raises(ConfigError, match="learner monai has no loss for boxes; write reveal:"):
        Trajectory(make_config(phantom, annotator={"reveal": "box"}), tmp_path, dataset=phantom)
