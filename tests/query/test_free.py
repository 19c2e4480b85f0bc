from dataclasses import replace

import numpy as np
import pytest

from alsweep.query import make_strategy
from alsweep.query.base import PoolCase
from alsweep.query.free import too_free
from alsweep.query.pool import NO_LABEL
from alsweep.testing.pools import ArrayPool
from tests.query.conftest import make_references, make_request, random_probs, streams

SHAPE = (24, 24, 24)


def half_free():
    """Everything below z = 12 has a free label."""
    free = np.full(SHAPE, NO_LABEL, dtype=np.uint8)
    free[:12] = 0
    return free


def free_pool():
    references = make_references(shape=SHAPE)
    free = {case: half_free() for case in references}
    return ArrayPool(references, random_probs(references, SHAPE), free=free)


def free_share(patch):
    return (half_free()[patch.slices] != NO_LABEL).mean()


@pytest.mark.parametrize("name", ["random", "random_fg66", "predictive_entropy", "clasp_pe"])
@pytest.mark.parametrize("allowed", [0.0, 0.4])
def test_no_patch_holds_more_free_labels_than_allowed(name, allowed):
    request = replace(make_request(12), free_label_share=allowed)
    chosen = make_strategy(name).query(free_pool(), request, streams())
    assert len(chosen) == 12
    shares = [free_share(choice.patch) for choice in chosen]
    assert max(shares) <= allowed
    anywhere = replace(make_request(12), free_label_share=1.0)
    shares = [
        free_share(c.patch) for c in make_strategy(name).query(free_pool(), anywhere, streams())
    ]
    assert max(shares) > allowed


def test_too_free_is_the_share_of_each_box():
    case = PoolCase("a", SHAPE, (), half_free())
    request = replace(make_request(1, (4, 4, 4)), free_label_share=0.5)
    found = too_free(case, request, 2)
    assert found is not None
    assert [bool(z) for z in found[:, 0, 0]] == [start < 10 for start in range(0, 21, 2)]
    assert too_free(PoolCase("a", SHAPE, ()), request, 2) is None
