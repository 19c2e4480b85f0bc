import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from alsweep.data.case import Region
from alsweep.model.outputs import activate, label_map, membership


def test_later_regions_are_painted_over_earlier_ones():
    # Whole, core and enhancing of four voxels: none, whole alone, all three, enhancing alone.
    probs = torch.tensor([[0.5, 0.9, 0.9, 0.2], [0.1, 0.2, 0.6, 0.3], [0.0, 0.1, 0.7, 0.8]])
    assert label_map(probs.reshape(3, 1, 1, 4), (2, 1, 3)).ravel().tolist() == [0, 2, 3, 3]
    assert label_map(probs.reshape(3, 1, 1, 4), (3, 1, 2)).ravel().tolist() == [0, 3, 2, 2]


def test_of_classes_the_likeliest_is_taken():
    probs = torch.tensor([[0.5, 0.1], [0.2, 0.2], [0.3, 0.7]]).reshape(3, 1, 1, 2)
    assert label_map(probs, ()).ravel().tolist() == [0, 2]


def test_of_equally_likely_classes_the_first_is_taken():
    probs = torch.randint(0, 3, (4, 6, 5, 4), generator=torch.Generator().manual_seed(0)) / 2
    assert (label_map(probs, ()) == probs.numpy().argmax(axis=0)).all()


def test_classes_share_one_and_regions_do_not():
    logits = torch.randn(3, 2, 2, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(activate(logits, False).sum(dim=0), torch.ones(2, 2, 2))
    torch.testing.assert_close(activate(logits, True), 1 / (1 + torch.exp(-logits)))


def test_what_is_not_annotated_is_in_no_region():
    table = membership([Region(name="whole", labels=(1, 2)), Region(name="core", labels=(2,))])
    assert table[:, 255].tolist() == [False, False]
    assert table[:, :3].tolist() == [[False, True, True], [False, False, True]]


@given(st.integers(0, 99), st.booleans(), st.integers(1, 300), st.integers(1, 300))
def test_a_voxels_probabilities_do_not_depend_on_those_beside_it(seed, regions, first, count):
    logits = torch.randn(3, 700, generator=torch.Generator().manual_seed(seed)) * 5
    part = activate(logits[:, first : first + count], regions)
    assert torch.equal(part, activate(logits, regions)[:, first : first + count])


@pytest.mark.parametrize("size", [1, 20, 1e9])
def test_probabilities_are_torchs(size):
    logits = torch.randn(4, 500, generator=torch.Generator().manual_seed(1)) * size
    for regions, expected in ((False, logits.softmax(dim=0)), (True, logits.sigmoid())):
        found = activate(logits, regions)
        torch.testing.assert_close(found, expected, atol=1e-7, rtol=3e-7)
        assert found.isfinite().all()
