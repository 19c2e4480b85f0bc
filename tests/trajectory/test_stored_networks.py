import shutil
from math import log

import numpy as np
import pytest
import torch

from alsweep import Patch, Trajectory
from alsweep.config.strategy import StrategySpec
from alsweep.data.annotator import ReferenceLabels
from alsweep.errors import ConfigError, RunFolderError
from alsweep.layout import query_path
from alsweep.model.device import resolve_compute
from alsweep.query.maps import MutualInformationMap, PredictiveEntropyMap
from alsweep.results.loops import read_query
from alsweep.results.records import TrajectoryFolder
from alsweep.trajectory.stored_networks import (
    Agreement,
    StoredNetworks,
    _as_then,
    agreement,
    voxel_map,
)
from tests.trajectory.conftest import make_config


@pytest.fixture(scope="module")
def finished(phantom, tmp_path_factory) -> TrajectoryFolder:
    folder = tmp_path_factory.mktemp("run") / "trajectories" / "t"
    trajectory = Trajectory(make_config(phantom), folder, dataset=phantom)
    records = trajectory.run()
    return TrajectoryFolder("t", folder, trajectory.config, records, "done", None)


def networks(finished, phantom, loop, models=None) -> StoredNetworks:
    models = models or finished.folder / "models"
    return StoredNetworks(finished, loop, dataset=phantom, models=models)


def spec(name, **parameters):
    return StrategySpec(name=name, parameters=parameters)


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("loop", [1, 2])
def test_the_strategy_itself_queries_what_it_queried_then(finished, phantom, loop):
    asked = networks(finished, phantom, loop).ask(spec("predictive_entropy"))
    assert asked == read_query(query_path(finished.folder, loop))


@pytest.mark.parametrize(
    ("then", "now"),
    [
        (("cpu", "fp32"), ("cpu", "fp32")),
        (("cuda", "bf16"), ("cuda", "bf16")),
        (("mps", "fp32"), ("cuda", "fp16")),
    ],
)
def test_networks_are_asked_on_the_device_of_then_where_there_is_one(
    finished, monkeypatch, then, now
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    device, precision = then
    changed = {"device": device, "precision": precision, "threads": 3}
    record = finished.records[0].model_copy(update=changed)
    resources, training = _as_then(record, finished.config.training)
    compute = resolve_compute(resources.device, training.precision)
    assert (compute.device.type, compute.precision) == now
    assert resources.threads == 3


def test_another_strategy_keeps_off_what_was_annotated_then_and_nothing_is_written(
    finished, phantom
):
    before = content(finished.folder)
    asked = [one.patch for one in networks(finished, phantom, 2).ask(spec("power_bald", beta=2.0))]
    assert len(asked) == 6
    for loop in (0, 1):
        earlier = [one.patch for one in read_query(query_path(finished.folder, loop))]
        assert not any(patch.intersects(other) for patch in asked for other in earlier)
    assert asked != [one.patch for one in read_query(query_path(finished.folder, 2))]
    assert content(finished.folder) == before


def test_every_need_of_a_strategy_is_met(finished, phantom):
    for name in ("kmeans_bald", "expected_dice"):
        assert len(networks(finished, phantom, 1).ask(spec(name))) == 6


def test_a_wrong_parameter_is_told(finished, phantom):
    with pytest.raises(ConfigError, match="beta"):
        networks(finished, phantom, 1).ask(spec("power_bald", bta=2.0))


def test_a_starting_budget_has_no_networks(finished, phantom):
    with pytest.raises(ConfigError, match="--loop 0: no network chose the starting budget"):
        networks(finished, phantom, 0)


def test_networks_that_are_gone_are_told_with_the_mend(finished, phantom, tmp_path):
    shutil.copytree(finished.folder / "models", tmp_path / "models")
    shutil.rmtree(tmp_path / "models" / finished.records[0].members[1])
    with pytest.raises(
        RunFolderError, match=r"1 of the 2 networks of loop 0 .*alsweep run .*--out"
    ):
        networks(finished, phantom, 1, tmp_path / "models")


def test_a_mix_counts_the_reference_labels(finished, phantom):
    queried = read_query(query_path(finished.folder, 0))
    mix = networks(finished, phantom, 1).mix(queried)
    reference = ReferenceLabels(phantom)
    crops = [np.asarray(reference.volume(q.patch.case))[q.patch.slices] for q in queried]
    assert mix.voxels == tuple(int(sum((crop == c).sum() for crop in crops)) for c in range(3))
    assert mix.patches[2] == sum((crop == 2).any() for crop in crops)


def test_labels_and_scores_are_those_of_the_ensemble(finished, phantom):
    case = phantom.pool[0]
    stored = networks(finished, phantom, 1)
    labels, entropy = stored.scored(case, PredictiveEntropyMap())
    _, disagreement = stored.scored(case, MutualInformationMap())
    assert labels.shape == entropy.shape == phantom.cases[case].shape
    assert set(np.unique(labels)) <= {0, 1, 2}
    assert 0 < entropy.min() <= entropy.max() <= log(3) + 1e-6
    assert (disagreement <= entropy).all()
    assert disagreement.max() > 0


def test_a_strategy_without_a_voxel_map_is_shown_with_predictive_entropy():
    for name in ("random", "expected_dice"):
        assert voxel_map(spec(name)) == PredictiveEntropyMap()
    assert voxel_map(spec("power_bald")) == MutualInformationMap()


def test_agreement_of_two_queries():
    one = [Patch("a", (0, 0, 0), (2, 2, 2)), Patch("a", (4, 4, 4), (2, 2, 2))]
    other = [
        Patch("a", (0, 0, 0), (2, 2, 2)),
        Patch("a", (5, 4, 4), (2, 2, 2)),
        Patch("b", (4, 4, 4), (2, 2, 2)),
    ]
    # 8 + 4 voxels in both; 16 in the one and 24 in the other.
    assert agreement(one, other) == Agreement(same=1, touching=2, iou=pytest.approx(12 / 28))
    assert agreement([], []) == Agreement(0, 0, 0.0)
