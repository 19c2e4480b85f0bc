import shutil

import numpy as np
import pytest
import torch

from alsweep import Dataset, Trajectory
from alsweep.config.trajectory import EvaluationConfig
from alsweep.data.annotator import ReferenceLabels
from alsweep.query import Prediction
from alsweep.results import collect
from alsweep.trajectory.evaluation import Evaluator
from tests.trajectory.conftest import log_bytes, make_config, untimed
from tests.trajectory.region_phantom import with_test_part
from tests.trajectory.test_blindness import poison_cases


@pytest.fixture(scope="module")
def tested(phantom, tmp_path_factory):
    """The phantom with a test part."""
    copy = shutil.copytree(phantom.path, tmp_path_factory.mktemp("tested") / "dataset")
    return with_test_part(Dataset.open(copy))


def truth(dataset, shift=0):
    """Predicts the reference labels, moved along z."""

    def predict(case):
        labels = torch.from_numpy(np.array(ReferenceLabels(dataset).volume(case)))
        moved = labels.roll(shift, dims=0).long()
        return Prediction(torch.nn.functional.one_hot(moved, 3).movedim(-1, 0).float())

    return predict


def scores(dataset, predict, **config):
    told = []
    evaluator = Evaluator(
        dataset, EvaluationConfig(**config), predict, lambda *where: told.append(where)
    )
    return *evaluator.scores(), told


def test_the_truth_scores_one_on_both_parts(tested):
    validation, test, told = scores(tested, truth(tested), surface={"tolerance_mm": 1.0})
    assert validation.mean_dice == test.mean_dice == 1
    assert (test.surface.surface_dice, test.surface.hd95) == (1, 0)
    assert set(test.case_dice) == set(tested.test)
    assert set(validation.case_dice) == set(tested.validation)
    assert told == [(done, 4) for done in range(4)]


def test_means_are_over_classes_of_means_over_cases(tested):
    validation, _, _ = scores(tested, truth(tested, 1), surface={"tolerance_mm": 0.5})
    surface = validation.surface
    assert 0 < validation.mean_dice < 1
    for mean, by_class, by_case in (
        (validation.mean_dice, validation.dice, validation.case_dice),
        (surface.surface_dice, surface.class_surface_dice, surface.case_surface_dice),
        (surface.hd95, surface.class_hd95, surface.case_hd95),
    ):
        assert mean == pytest.approx(np.mean(list(by_class.values())))
        for name, value in by_class.items():
            assert value == pytest.approx(np.mean([own[name] for own in by_case.values()]))


def test_surfaces_and_the_test_part_are_judged_on_demand_alone(tested):
    validation, test, told = scores(tested, truth(tested), test=False)
    assert validation.surface is None
    assert test is None
    assert len(told) == len(tested.validation)


def test_the_table_holds_test_dice_and_surfaces(tested, tmp_path):
    run = tmp_path / "run"
    config = make_config(tested, evaluation={"surface": {"tolerance_mm": 2.0}}, query={"loops": 1})
    trajectory = Trajectory(config, run / "t", dataset=tested)
    (record,) = trajectory.run()
    (run / "trajectories").mkdir()
    (run / "t").rename(run / "trajectories" / trajectory.id)
    (run / "sweep.yaml").write_text(
        f"name: x\ndataset: {tested.path}\n"
        f"provenance: {{dataset_fingerprint: {tested.fingerprint}, "
        f"trajectories: [{trajectory.id}]}}\n"
    )
    (row,) = collect(run).to_dict("records")
    assert row["test_mean_dice"] == record.test.mean_dice
    assert row["surface_dice"] == pytest.approx(record.surface.surface_dice, nan_ok=True)
    names = [f"{metric}_{c}" for metric in ("surface_dice", "hd95") for c in ("organ", "lesion")]
    assert set(names) <= set(row)


def test_nothing_that_is_decided_follows_from_test_labels(tested, tmp_path):
    honest = Trajectory(make_config(tested), tmp_path / "honest", dataset=tested)
    honest.run()
    copy = Dataset.open(shutil.copytree(tested.path, tmp_path / "poisoned"))
    poison_cases(copy, copy.test)
    other = Trajectory(make_config(copy), tmp_path / "other", dataset=copy)
    other.run()
    assert log_bytes(tmp_path / "other") == log_bytes(tmp_path / "honest")
    changed = [
        {key for key, value in one.items() if two[key] != value}
        for one, two in zip(untimed(honest.records), untimed(other.records), strict=True)
    ]
    assert changed == [{"test"}] * 3
