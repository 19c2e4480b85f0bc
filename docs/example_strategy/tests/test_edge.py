"""The strategy keeps alsweep's contract, and does what it says."""

import pytest
import torch

from alsweep.query import Prediction, make_strategy
from alsweep.query.maps import MAPS
from alsweep.testing.strategy_contract import CHECKS


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("sharpness", [0.5, 2.0])
def test_the_strategy_keeps_the_contract(check, sharpness):
    check(make_strategy({"name": "edge_margin", "sharpness": sharpness}))


def test_a_level_voxel_scores_highest():
    foreground = torch.tensor([0.0, 0.5, 0.9])
    probs = torch.stack([1 - foreground, foreground]).reshape(2, 3, 1, 1)
    scores = MAPS.get("edge_margin")()(Prediction(probs)).flatten()
    assert scores.tolist() == pytest.approx([0.0, 1.0, 0.2])
