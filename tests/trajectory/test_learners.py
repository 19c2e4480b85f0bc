from importlib.metadata import EntryPoint
from typing import ClassVar

import pytest

from alsweep import Trajectory
from alsweep.errors import ConfigError
from alsweep.model import learners
from alsweep.model.monai_learner import MonaiLearner
from alsweep.trajectory.resolving import resolve
from tests.trajectory.conftest import make_config


@pytest.fixture(autouse=True)
def brought(monkeypatch):
    """Learners of other packages."""
    named = {
        "teacher": "tests.model.mean_teacher:MeanTeacher",
        "pretrained": "tests.trajectory.test_learners:Pretrained",
        "blank": "tests.trajectory.test_learners:Blank",
    }
    points = [EntryPoint(name, value, learners.GROUP) for name, value in named.items()]
    monkeypatch.setattr(learners, "entry_points", lambda group: points)
    monkeypatch.setattr(learners, "_points", learners._points.__wrapped__)


def run(dataset, folder, learner, *, loops=2, strategy="random", **changes):
    config = make_config(
        dataset,
        query={"loops": loops},
        strategy=strategy,
        training={"learner": learner, "mirror_axes": [], **changes},
    )
    trajectory = Trajectory(config, folder, dataset=dataset, models=folder.parent / "models")
    return trajectory.id, trajectory.run()


def test_a_semi_supervised_learner_runs_a_trajectory_whatever_the_strategy_needs(phantom, tmp_path):
    _, records = run(phantom, tmp_path / "t", "teacher", strategy="kmeans_bald")
    assert [record.annotated_patches for record in records] == [6, 12]
    assert all(record.mean_dice is not None for record in records)


def test_a_learner_and_its_options_tell_trajectories_and_members_apart(phantom, tmp_path):
    learners = ["monai", "teacher", {"name": "teacher", "consistency_weight": 5}]
    found = [run(phantom, tmp_path / str(i), one, loops=1) for i, one in enumerate(learners)]
    assert len({id_ for id_, _ in found}) == 3
    assert len({key for _, (record,) in found for key in record.members}) == 3 * 2
    same, (record,) = run(
        phantom, tmp_path / "same", {"name": "teacher", "consistency_weight": 1.0}, loops=1
    )
    assert (same, record.cached_members) == (found[1][0], 0), "owned by the same trajectory"
    assert record.members == found[1][1][0].members


class Pretrained(MonaiLearner):
    """Has something to do before the first training of a member."""

    done: ClassVar[list[int]] = []

    def fit(self, network, setup, training_data, on_epoch, checkpoint):
        if not training_data.continues and checkpoint.load() is None:
            self.done.append(training_data.member)
        return super().fit(network, setup, training_data, on_epoch, checkpoint)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, [0, 1, 0, 1]),
        ({"warm_start": True}, [0, 1]),
        ({"ensemble": "snapshots", "epochs": 2}, [0, 0]),
    ],
)
def test_what_goes_before_a_training_is_done_once_for_weights(phantom, tmp_path, changes, wanted):
    Pretrained.done.clear()
    run(phantom, tmp_path / "t", "pretrained", **changes)
    assert Pretrained.done == wanted


class Blank(MonaiLearner):
    """Cannot tell windows apart."""

    encoder = learners.Learner.encoder


def test_a_strategy_that_embeds_is_refused_before_anything_runs(phantom):
    config = make_config(phantom, strategy="kmeans_bald", training={"learner": "blank"})
    with pytest.raises(ConfigError, match="'blank' gives no embeddings"):
        resolve(config, phantom)
