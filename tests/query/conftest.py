import pytest
import torch

from alsweep.geometry import Patch
from alsweep.query import Prediction
from alsweep.testing.pools import ArrayPool, make_references, make_request, make_streams

__all__ = ["ArrayPool", "make_references", "make_request", "overlaps", "random_probs", "streams"]

streams = make_streams


@pytest.fixture
def references():
    return make_references()


@pytest.fixture
def pool(references):
    return ArrayPool(references)


def random_probs(cases, shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    draws = {c: torch.randn(3, *shape, generator=generator) for c in cases}
    return {c: Prediction(draw.mul(3).softmax(dim=0)) for c, draw in draws.items()}


def overlaps(patches: list[Patch]) -> bool:
    return any(a.intersects(b) for i, a in enumerate(patches) for b in patches[:i])
