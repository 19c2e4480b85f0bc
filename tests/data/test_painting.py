from itertools import permutations, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from alsweep.data.case import Region
from alsweep.data.raw.painting import colours, flaw, mended
from alsweep.model.outputs import label_map

LABELS = range(1, 5)


def regions(*sets):
    return [Region(name=f"r{i}", labels=tuple(labels)) for i, labels in enumerate(sets)]


some_regions = st.lists(
    st.lists(st.sampled_from(LABELS), min_size=1, max_size=4, unique=True), min_size=1, max_size=3
).map(lambda sets: regions(*sets))


def comes_out(painted_regions, order):
    """Whether a perfect prediction of one voxel of each label is painted back into the regions."""
    truth = np.arange(5, dtype=np.uint8)
    members = np.stack([np.isin(truth, region.labels) for region in painted_regions])
    probs = torch.as_tensor(members.astype(np.float32))[:, None, None, :]
    painted = label_map(probs, order)[0, 0]
    again = np.stack([np.isin(painted, region.labels) for region in painted_regions])
    return bool((again == members).all())


@settings(deadline=None, max_examples=200)
@given(some_regions, st.data())
def test_an_order_without_a_flaw_is_one_that_gives_every_region_back(found, data):
    order = data.draw(st.tuples(*[st.sampled_from(LABELS) for _ in found]))
    own = all(label in region.labels for region, label in zip(found, order, strict=True))
    assert (flaw(found, order) is None) == (own and comes_out(found, order))


@settings(deadline=None, max_examples=60)
@given(some_regions)
def test_a_painting_is_found_wherever_there_is_one(found):
    best = mended(found)
    if best is not None:
        assert sorted(region.name for region in best.regions) == [r.name for r in found]
        assert flaw(best.regions, best.order) is None
        return
    for arranged in permutations(found):
        for order in product(*[region.labels for region in arranged]):
            assert not comes_out(arranged, order)


@pytest.mark.parametrize(
    ("sets", "order"),
    [
        (((1, 2, 3), (2, 3), (3,)), (1, 2, 3)),
        (((1, 2, 3, 4), (1, 2, 3), (1,)), (4, 2, 1)),
        (((1, 2), (1,), (2,)), (1, 1, 2)),
        (((1,), (2,)), (1, 2)),
        (((1,), (1, 2)), None),
        (((1, 2), (2, 3)), None),
    ],
)
def test_colours_of_regions_as_they_stand(sets, order):
    assert colours(regions(*sets)) == order


def test_regions_are_rearranged_only_where_they_must_be():
    assert mended(regions((3,), (1, 2, 3), (1,))).order == (2, 3, 1)
    assert [r.name for r in mended(regions((3,), (1, 2, 3), (1,))).regions] == ["r1", "r0", "r2"]
    assert mended(regions((1, 2), (2, 3))) is None
