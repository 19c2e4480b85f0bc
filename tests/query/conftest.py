from functools import partial

import numpy as np
import pytest
import torch

from alsweep.geometry import Patch
from alsweep.query import PoolCase, Prediction, Request
from alsweep.rng import stream


class ArrayPool:
    """A pool of arrays: what a strategy may see, without a dataset."""

    classes = ("background", "organ", "lesion")

    def __init__(self, references, taken=(), probs=None):
        self._references = references
        self._probs = probs or {}
        self.cases = tuple(
            PoolCase(case, volume.shape, tuple(p for p in taken if p.case == case))
            for case, volume in sorted(references.items())
        )
        self.reference_reads = 0

    def predictions(self):
        for case in self.cases:
            yield case, Prediction(self._probs[case.case])

    def reference(self, case):
        self.reference_reads += 1
        return self._references[case]


def make_references(cases=5, shape=(24, 24, 24)):
    references = {}
    for index in range(cases):
        volume = np.zeros(shape, dtype=np.uint8)
        volume[4:12, 4:12, 4:12] = 1
        volume[16 : 18 + index % 2, 16:18, 16:18] = 2
        references[f"case_{index}"] = volume
    return references


@pytest.fixture
def references():
    return make_references()


@pytest.fixture
def pool(references):
    return ArrayPool(references)


def make_request(patches, size=(6, 6, 6), **changes):
    given = {"strides": (1, 1, 1), "overlap": 0.0, "per_case": patches, "loop": 0, "loops": 5}
    return Request(patches=patches, patch_size=size, **{**given, **changes})


def streams(seed=0):
    return partial(stream, seed, "query", 0)


def random_probs(cases, shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {c: torch.randn(3, *shape, generator=generator).mul(3).softmax(dim=0) for c in cases}


def overlaps(patches: list[Patch]) -> bool:
    return any(a.intersects(b) for i, a in enumerate(patches) for b in patches[:i])
