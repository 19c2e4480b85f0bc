from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from alsweep.query import make_strategy, strategies
from alsweep.query.base import Embedding
from alsweep.query.windows import box_mean
from alsweep.testing.pools import make_pool, make_request, make_streams

NAMES = [entry["name"] for entry in strategies() if entry["name"] != "replay"]


def on_card(value):
    if isinstance(value, torch.Tensor):
        return value.cuda()
    if isinstance(value, tuple) and value and isinstance(value[0], torch.Tensor):
        return tuple(tensor.cuda() for tensor in value)
    if isinstance(value, Embedding):
        return Embedding(value.features.cuda(), value.cell)
    return value


def moved(prediction):
    parts = {f.name: on_card(getattr(prediction, f.name)) for f in fields(prediction)}
    return replace(prediction, **parts)


@pytest.mark.parametrize("name", NAMES)
def test_strategies_ask_for_the_same_patches_on_the_card(name):
    pool = make_pool(4, (24, 22, 20))
    card = replace(pool, given={case: moved(one) for case, one in pool.given.items()})
    strategy = make_strategy(name)
    request = make_request(8, (6, 6, 6), strides=(2, 1, 1))
    expected = strategy.query(pool, request, make_streams())
    found = strategy.query(card, request, make_streams())
    assert [choice.patch for choice in found] == [choice.patch for choice in expected]
    scores = [[choice.score for choice in one] for one in (found, expected)]
    if None not in scores[0]:
        np.testing.assert_allclose(*scores, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("stride", [1, 3])
def test_box_means_on_the_card_are_those_of_the_cpu(stride):
    values = torch.rand(3, 40, 41, 42, generator=torch.Generator().manual_seed(0))
    found = box_mean(values.cuda(), (9, 8, 7), stride)
    torch.testing.assert_close(found.cpu(), box_mean(values, (9, 8, 7), stride))
