"""What members begin with, made once for a dataset; options in the smallest trajectory."""

from dataclasses import replace

import pandas as pd
import pytest
import torch

from alsweep import Trajectory
from alsweep.config.sweep import ResourcesConfig
from alsweep.errors import ConfigError
from alsweep.layout import weights_path
from alsweep.model.checkpoint import ModelStore
from alsweep.model.learner import Learner
from alsweep.model.monai_learner import MonaiLearner
from alsweep.model.options.positional_contrastive import PositionalContrastive
from alsweep.results.compute import pretrained
from alsweep.results.table import PRETRAINING
from alsweep.trajectory.budget import draw_start
from alsweep.trajectory.pretrained import Pretrained
from alsweep.trajectory.resolving import resolve
from alsweep.trajectory.start import prepare_start
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


def test_where_somebody_else_was_faster_theirs_is_what_all_begin_with(
    shared, tmp_path, monkeypatch
):
    mine = replace(pretrained_of(shared[0]), store=ModelStore(tmp_path, 1 << 30))

    def slow(option, network, *more):
        part = option.part(network).state_dict()
        theirs = {name: torch.zeros_like(tensor) for name, tensor in part.items()}
        mine.store.publish(mine.key, {"owner": "they", "seconds": 3.0}, theirs)
        return 0.5

    monkeypatch.setattr(PositionalContrastive, "fit", slow)
    part = mine._option.part(mine.network()).state_dict()
    assert not any(tensor.any() for tensor in part.values())
    assert mine.cost().seconds == 3.0


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


def started(phantom, seed=1, name="typiclust_start", **changes):
    """A trajectory whose start the encoder has a say in."""
    start = {"strategy": {"name": name, "features": "pretrained"}}
    training = {"iterations_per_epoch": 5, "members": 1, "ensemble": "seeds", "pretraining": QUICK}
    changes = {"query": {"loops": 1}, **changes}
    return make_config(phantom, training=training, starting_budget=start, seed=seed, **changes)


def begun(config, folder, phantom, models):
    trajectory = Trajectory(config, folder, dataset=phantom, models=models)
    trajectory.begin()
    return trajectory._log.patches(0)


def test_a_start_by_the_encoder_that_members_begin_with_reads_no_label(
    shared, phantom, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        "alsweep.trajectory.budget.ReferenceLabels",
        lambda dataset: pytest.fail("labels were read"),
    )
    models = pretrained_of(shared[0]).store.root
    before = {path.name for path in models.iterdir()}
    first = begun(started(phantom), tmp_path / "1", phantom, models)
    assert len(set(first)) == 6
    # Whatever strategy and prediction of the pool: those of one seed share it, and other seeds not.
    other = {"strategy": "random", "inference": {"tta": True, "step": 0.5}}
    assert begun(started(phantom, **other), tmp_path / "2", phantom, models) == first
    assert begun(started(phantom, seed=2), tmp_path / "3", phantom, models) != first
    assert begun(started(phantom, name="kmeans_start"), tmp_path / "4", phantom, models) != first
    # The encoder was there, and nothing was trained.
    assert {path.name for path in models.iterdir()} == before


def test_whoever_comes_first_trains_the_encoder_and_its_cost_is_told(shared, phantom, tmp_path):
    models = tmp_path / "models"
    config = resolve(started(phantom), phantom)
    prepare_start(config, phantom, models, ResourcesConfig())
    trajectory = Trajectory(config, tmp_path / "t", dataset=phantom, models=models)
    (record,) = trajectory.run()
    assert record.pretraining == shared[0].records[0].pretraining
    assert record.pretrain_seconds > 0
    assert record.cached_members == 1
    with pytest.raises(Exception, match="asked for a pretrained encoder"):
        draw_start(config, phantom)


@pytest.mark.parametrize("place", ["starting_budget", "strategy"])
def test_without_pretraining_there_is_no_encoder(place, phantom):
    named = {"name": "typiclust_start", "features": "pretrained"}
    given = {"strategy": named} if place == "starting_budget" else named
    with pytest.raises(ConfigError) as caught:
        resolve(make_config(phantom, **{place: given}), phantom)
    assert str(caught.value).startswith(f"base.{place}")
    assert "write training.pretraining: positional_contrastive" in str(caught.value)


def test_a_learner_without_an_encoder_is_told_at_once(phantom, monkeypatch):
    monkeypatch.setattr(MonaiLearner, "encoder", Learner.encoder)
    with pytest.raises(ConfigError, match="'monai' gives no embeddings"):
        resolve(started(phantom), phantom)


def test_the_encoder_is_the_pretrained_one_and_no_seed_changes_what_it_sees(shared):
    case = shared[0].dataset.pool[0]
    features = [trajectory._steps.encode(case).features for trajectory in shared]
    assert torch.equal(*features)
    steps = shared[0]._steps
    untrained = steps.members.learner.network(replace(steps.members.setup, seed=0), 0)
    fresh = replace(steps)
    vars(fresh)["_pretrained"] = untrained.eval()
    assert not torch.equal(fresh.encode(case).features, features[0])
