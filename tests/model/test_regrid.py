import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from alsweep.data.case import Box
from alsweep.geometry import box_slices, intersection
from alsweep.model.outputs import label_map
from alsweep.model.regrid import on_source, original_labels
from alsweep.query.pool import Prediction
from alsweep.rng import stream
from tests.people.test_grid import SPACINGS, case


@given(
    seed=st.integers(0, 10**6), spacing=st.sampled_from(SPACINGS), target=st.sampled_from(SPACINGS)
)
def test_a_part_of_the_source_is_what_the_whole_has_there(seed, spacing, target):
    rng = stream(seed, "part")
    info = case(rng, spacing, target)
    probs = torch.from_numpy(rng.dirichlet(np.ones(3), info.shape).astype(np.float32))
    probs = probs.permute(3, 0, 1, 2).contiguous()
    whole = original_labels(Prediction(probs), info, target, ())
    start = tuple(int(rng.integers(0, n)) for n in info.original_shape)
    size = tuple(
        int(rng.integers(1, n - a + 1)) for n, a in zip(info.original_shape, start, strict=True)
    )
    part = on_source(probs, info, target, Box(start=start, size=size))
    assert part.shape == (3, *size)
    common = intersection(start, size, info.crop.start, info.crop.size)
    outside = np.ones(size, dtype=bool)
    if common is not None:
        inside = box_slices(np.subtract(common[0], start), common[1])
        outside[inside] = False
        values = part[(slice(None), *inside)]
        assert np.allclose(values.sum(axis=0), 1, atol=1e-5)
        top = np.sort(values, axis=0)
        clear = top[-1] - top[-2] > 1e-5
        found = label_map(torch.from_numpy(values.copy()), ())
        assert np.array_equal(found[clear], whole[box_slices(*common)][clear])
    assert (part[:, outside] == 0).all()
