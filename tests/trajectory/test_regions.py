"""Datasets with regions: sigmoids from the loss to the query."""

import numpy as np
import pytest
import torch

from alsweep import Patch, Trajectory
from alsweep.config.sweep import ResourcesConfig
from alsweep.config.trajectory import InferenceConfig
from alsweep.data.annotator import ReferenceLabels
from alsweep.model.outputs import label_map
from alsweep.query.maps import entropy
from alsweep.results.records import read_records
from alsweep.trajectory.fulldata import make_reference
from alsweep.trajectory.steps import Steps
from tests.trajectory.conftest import make_config
from tests.trajectory.region_phantom import write_region_phantom


@pytest.fixture(scope="module")
def regions(tmp_path_factory):
    return write_region_phantom(tmp_path_factory.mktemp("regions") / "dataset")


@pytest.mark.parametrize("strategy", ["predictive_entropy", "bald", "clasp_pe"])
def test_regions_are_trained_judged_and_queried(regions, tmp_path, strategy):
    config = make_config(regions, strategy=strategy, query={"loops": 2})
    trajectory = Trajectory(config, tmp_path / strategy, dataset=regions)
    trajectory.run()
    records = read_records(tmp_path / strategy)
    assert [list(record.dice) for record in records] == [["whole", "lesion only"]] * 2
    assert len(trajectory.labels.patches) == 12
    assert records[1].annotated_patches == 12


def test_an_ensemble_learns_nested_regions(regions, tmp_path):
    training = {"epochs": 4, "iterations_per_epoch": 30, "members": 1, "ensemble": "seeds"}
    training |= {"features": [8, 8, 8], "deep_supervision": True}
    config = make_config(regions, training=training)
    record = make_reference(config, regions, tmp_path / "models", ResourcesConfig())
    # All voxels as foreground would give 0.07.
    assert record.dice["whole"] > 0.15


def test_a_prediction_is_of_sigmoids_and_its_entropy_of_each_region(regions, tmp_path):
    config = make_config(regions)
    steps = Steps.make(config, regions, tmp_path / "models", ResourcesConfig(), "me", None)
    members = steps.train(0, [Patch(regions.pool[0], (0, 0, 0), (24, 24, 24))], ())
    case, needs = regions.validation[0], ("probs", "mean_entropy", "members")
    found = steps.predict(members, case, config.inference, needs)
    assert found.regions
    assert found.mean_probs.shape == (2, 24, 24, 24)
    assert not torch.allclose(found.mean_probs.sum(dim=0), torch.ones(24, 24, 24), atol=0.05)
    own = torch.stack([entropy(one.float(), regions=True) for one in found.members])
    torch.testing.assert_close(found.mean_entropy, own.mean(dim=0), atol=2e-3, rtol=0)


def test_dice_is_that_of_the_painted_labels(regions, tmp_path):
    config = make_config(regions)
    steps = Steps.make(config, regions, tmp_path / "models", ResourcesConfig(), "me", None)
    members = steps.train(0, [Patch(regions.pool[0], (0, 0, 0), (24, 24, 24))], ())
    found = steps.evaluate(0, members).validation
    for case, dice in found.case_dice.items():
        how = InferenceConfig(tta=config.evaluation.tta, step=config.evaluation.step)
        probs = steps.predict(members, case, how).mean_probs
        painted, true = label_map(probs, (1, 2)), ReferenceLabels(regions).volume(case)
        for name, labels in (("whole", (1, 2)), ("lesion only", (2,))):
            masks = [np.isin(volume, labels) for volume in (painted, true)]
            both = (masks[0] & masks[1]).sum()
            assert dice[name] == pytest.approx(2 * both / (masks[0].sum() + masks[1].sum()))
