import shutil
from contextlib import suppress

import numpy as np
import pytest
from torch import nn

from alsweep import Dataset, PartialLabels, Patch, Trajectory
from alsweep.data.annotator import Oracle, ReferenceLabels
from alsweep.data.case import REFERENCE_CHUNK, case_folder
from alsweep.errors import StrategyError
from alsweep.model.learner import Learner
from alsweep.trajectory.pool import DatasetPool
from tests.trajectory.conftest import log_bytes, make_config


def poison(dataset: Dataset, kept) -> None:
    """Turn every reference label of the pool outside the kept patches into noise."""
    rng = np.random.default_rng(0)
    for case in dataset.pool:
        path = case_folder(dataset.path, case) / REFERENCE_CHUNK
        path.chmod(0o644)
        volume = np.memmap(path, np.uint8, "r+", shape=dataset.cases[case].shape)
        poisoned = rng.integers(0, 3, volume.shape, dtype=np.uint8)
        for patch in kept:
            if patch.case == case:
                poisoned[patch.slices] = volume[patch.slices]
        volume[:] = poisoned
        volume.flush()


def poison_cases(dataset: Dataset, cases) -> None:
    """Turn all labels of some cases into noise."""
    rng = np.random.default_rng(1)
    for case in cases:
        path = case_folder(dataset.path, case) / REFERENCE_CHUNK
        path.chmod(0o644)
        volume = np.memmap(path, np.uint8, "r+", shape=dataset.cases[case].shape)
        volume[:] = rng.integers(0, 3, volume.shape, dtype=np.uint8)
        volume.flush()


def test_the_learner_never_sees_a_label_outside_the_annotated_patches(phantom, tmp_path):
    honest = Trajectory(make_config(phantom), tmp_path / "honest", dataset=phantom)
    records = honest.run()
    copy = Dataset.open(shutil.copytree(phantom.path, tmp_path / "poisoned"))
    poison(copy, honest._log.patches(2))
    reference = ReferenceLabels(copy)
    case = copy.pool[0]
    assert not np.array_equal(reference.volume(case), ReferenceLabels(phantom).volume(case))

    # The start may look at labels; from the same start on, nothing may change.
    blind = Trajectory(make_config(copy), tmp_path / "blind", dataset=copy)
    blind._log.claim(blind.config)
    start = tmp_path / "blind" / "queries"
    start.mkdir()
    shutil.copy(tmp_path / "honest" / "queries" / "loop_000.json", start)
    assert [r.members for r in blind.run()] == [r.members for r in records]
    assert [r.mean_dice for r in blind.records] == [r.mean_dice for r in records]
    assert log_bytes(tmp_path / "blind") == log_bytes(tmp_path / "honest")


class Prying(Learner):
    """A learner that looks at every label that it can reach, and learns nothing."""

    def __init__(self):
        self.seen = []

    def network(self, setup, member):
        return nn.Conv3d(1, setup.outputs, 1)

    def fit(self, network, setup, training_data, on_epoch, checkpoint):
        assert not any(callable(getattr(setup.dataset, name, None)) for name in LABELS)
        seen = {}
        for case in setup.dataset.cases:
            with suppress(KeyError):
                shape = setup.dataset.cases[case].shape
                seen[case] = training_data.labels.window(case, (0, 0, 0), shape)
        self.seen.append((training_data.labels.patches, seen))
        return 0.0


LABELS = ("reference", "labels", "reveal", "volume")


def test_what_the_protocol_hands_to_a_learner_holds_no_other_label(phantom, tmp_path, monkeypatch):
    learner = Prying()
    monkeypatch.setattr("alsweep.trajectory.steps.make_learner", lambda name: learner)
    Trajectory(make_config(phantom, strategy="random"), tmp_path / "t", dataset=phantom).run()
    assert len(learner.seen) == 3 * 2
    for patches, seen in learner.seen:
        assert not set(phantom.validation) & {case for case, w in seen.items() if (w != 255).any()}
        for case, labels in seen.items():
            for patch in patches:
                if patch.case == case:
                    labels[patch.slices] = 255
            assert (labels == 255).all()


def test_a_strategy_without_the_oracle_is_refused_labels(phantom):
    with pytest.raises(StrategyError, match="declare uses_oracle"):
        DatasetPool(phantom, ()).reference(phantom.pool[0])


def test_a_start_cannot_ask_for_predictions(phantom):
    with pytest.raises(StrategyError, match="no network to predict with"):
        next(DatasetPool(phantom, ()).predictions())


def test_labels_of_annotated_patches_are_given_to_who_needs_them(phantom):
    patch = Patch(phantom.pool[0], (2, 2, 2), (16, 16, 16))
    shapes = {case: phantom.cases[case].shape for case in phantom.pool}
    labels = PartialLabels(shapes, len(phantom.classes), Oracle(phantom), [patch])
    counts = DatasetPool(phantom, [patch], labels=labels).annotated_classes(patch)
    volume = ReferenceLabels(phantom).volume(patch.case)[patch.slices]
    assert counts.tolist() == [(volume == label).sum() for label in range(len(phantom.classes))]
    with pytest.raises(StrategyError, match="needs name 'annotated_labels'"):
        DatasetPool(phantom, [patch]).annotated_classes(patch)
    elsewhere = Patch(patch.case, (3, 2, 2), (16, 16, 16))
    with pytest.raises(StrategyError, match="which has none yet"):
        DatasetPool(phantom, [patch], labels=labels).annotated_classes(elsewhere)
