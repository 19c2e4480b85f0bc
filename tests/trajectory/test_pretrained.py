"""What members begin with, made once for a dataset; options in the smallest trajectory."""

import pandas as pd
import pytest
import torch

from alsweep import Trajectory
from alsweep.layout import weights_path
from alsweep.model.checkpoint import ModelStore
from alsweep.results.compute import pretrained
from alsweep.results.table import PRETRAINING
from alsweep.trajectory.pretrained import Pretrained
from tests.trajectory.conftest import make_config

QUICK = {"kind": "positional_contrastive", "epochs": 1, "steps": 1}


def smallest(phantom, seed=1, **training):
    training = {"iterations_per_epoch": 5, "members": 1, "ensemble": "seeds", **training}
    return make_config(phantom, training=training, query={"loops": 1}, seed=seed)


@pytest.mark.parametrize(
    "kind", ["mean_teacher", "augment_and_criticize", "open_set_weights", "self_training"]
)
def test_an_option_works_from_six_patches_and_five_iterations(kind, phantom, tmp_path):
    config = smallest(phantom, semi_supervised=kind)
    (record,) = Trajectory(config, tmp_path / "t", dataset=phantom).run()
    assert record.annotated_patches == 6
    assert 0 <= record.mean_dice <= 1
    assert record.pretraining is None


@pytest.fixture(scope="module")
def shared(phantom, tmp_path_factory):
    """Two trajectories of two seeds with one model store."""
    folder = tmp_path_factory.mktemp("shared")
    made = [
        Trajectory(
            smallest(phantom, seed, pretraining=QUICK),
            folder / str(seed),
            dataset=phantom,
            models=folder / "models",
        )
        for seed in (1, 2)
    ]
    for trajectory in made:
        trajectory.run()
    return made


def pretrained_of(trajectory, **training):
    members = trajectory._steps.members
    setup = members.setup
    changed = setup.training.model_copy(update=training)
    return Pretrained(
        type(setup).make(setup.dataset, changed, setup.compute, setup.seed),
        members.learner,
        ModelStore(members.store.root, members.store.most_bytes),
        "somebody else",
        1.0,
    )


def test_pretraining_is_made_once_for_all_seeds(shared):
    first, second = (trajectory.records[0] for trajectory in shared)
    assert first.pretraining == second.pretraining
    assert first.pretrain_seconds == second.pretrain_seconds > 0
    store = pretrained_of(shared[0]).store
    # One entry a member, one an evaluation's, and a single one that both began with.
    assert len([p for p in store.root.iterdir() if weights_path(p).exists()]) == 3
    assert store.meta(pretrained_of(shared[1]).key)["owner"] == shared[0].id


def test_members_begin_with_the_same_way_down_and_another_way_up(shared):
    starts = [pretrained_of(trajectory).start(0) for trajectory in shared]
    differs = {name for name in starts[0] if not torch.equal(starts[0][name], starts[1][name])}
    assert any(name.startswith("upsamples.") for name in differs)
    down = ("input_block.", "downsamples.", "bottleneck.")
    assert not any(name.startswith(down) for name in differs)


def test_what_does_not_change_pretrained_weights_does_not_change_their_key(shared):
    key = pretrained_of(shared[0]).key
    assert pretrained_of(shared[0], epochs=9, learning_rate=0.5).key == key
    assert pretrained_of(shared[0], features=(4, 4, 8)).key != key
    assert pretrained_of(shared[0], blocks="residual").key != key


def test_pretraining_enters_member_keys(shared, phantom, tmp_path):
    plain = Trajectory(smallest(phantom), tmp_path / "plain", dataset=phantom)
    assert plain.run()[0].members != shared[0].records[0].members
    assert plain.setting != shared[0].setting


def test_its_cost_is_counted_once(shared):
    rows = [
        {"trajectory": t.id, "loop": 0, **{k: getattr(t.records[0], k) for k in PRETRAINING}}
        for t in shared
    ]
    found = pretrained(pd.DataFrame([*rows, {"trajectory": "plain", "loop": 0}]))
    assert found["hours"].tolist() == [rows[0]["pretrain_seconds"] / 3600]
    assert found["trajectories"].tolist() == [2]
    assert pretrained(pd.DataFrame({"trajectory": ["plain"]})).empty
