"""Members folded slab by slab, against the computation on all of them at once."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from alsweep.model import ensemble_mean
from alsweep.model.ensemble_mean import EnsembleMean
from alsweep.model.outputs import activate

NEEDS = ("probs", "mean_entropy", "members")
SHAPE = (3, 5, 4)


def logits_of(seed, sharpness=3.0, classes=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(classes, *SHAPE, generator=generator) * sharpness


def folded(members, *, logits, regions=False):
    fold = EnsembleMean(len(members), NEEDS, regions)
    for member in members:
        (fold.add_logits if logits else fold.add)(member.clone())
    return fold.means()


def exact(members, regions):
    """Mean probability and mean entropy, in float64."""
    probs = [m.double().sigmoid() if regions else m.double().softmax(dim=0) for m in members]
    entropies = [torch.special.entr(p).sum(dim=0) for p in probs]
    if regions:
        others = [torch.special.entr(1 - p).sum(dim=0) for p in probs]
        entropies = [a + b for a, b in zip(entropies, others, strict=True)]
    return torch.stack(probs).mean(dim=0), torch.stack(entropies).mean(dim=0)


@given(
    st.integers(1, 5),
    st.integers(0, 999),
    st.sampled_from([0.01, 3.0, 40.0, 1e4]),
    st.integers(1, 200),
    st.booleans(),
)
def test_folding_logits_is_the_definition(count, seed, sharpness, at_once, regions):
    members = [logits_of(seed + i, sharpness) for i in range(count)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ensemble_mean, "_CACHED_VALUES", at_once)
        found = folded(members, logits=True, regions=regions)
    probs, entropy = exact(members, regions)
    torch.testing.assert_close(found.mean_probs.double(), probs, atol=1e-6, rtol=0)
    # 1 - p has the rounding of 1, however small it is.
    atol = 3e-6 if regions else 1e-6
    torch.testing.assert_close(found.mean_entropy.double(), entropy, atol=atol, rtol=1e-6)
    assert (found.mean_entropy >= 0).all()


@given(st.integers(1, 4), st.integers(0, 99), st.integers(1, 200))
def test_slabs_of_probabilities_do_not_change_a_bit(count, seed, at_once):
    members = [logits_of(seed + i).softmax(dim=0) for i in range(count)]
    whole = folded(members, logits=False)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ensemble_mean, "_CACHED_VALUES", at_once)
        cut = folded(members, logits=False)
    assert torch.equal(whole.mean_probs, cut.mean_probs)
    assert torch.equal(whole.mean_entropy, cut.mean_entropy)
    assert all(map(torch.equal, whole.members, cut.members))


@pytest.mark.parametrize("regions", [False, True])
def test_logits_and_probabilities_are_folded_alike(regions):
    members = [logits_of(i) for i in range(3)]
    probs = [activate(m, regions) for m in members]
    one = folded(members, logits=True, regions=regions)
    other = folded(probs, logits=False, regions=regions)
    assert torch.equal(one.mean_probs, other.mean_probs)
    assert all(map(torch.equal, one.members, other.members))
    torch.testing.assert_close(one.mean_entropy, other.mean_entropy, atol=1e-6, rtol=0)


def test_certain_members_have_no_entropy_and_no_nan():
    certain = torch.zeros(3, *SHAPE)
    certain[1] = 1
    assert (folded([certain, certain], logits=False).mean_entropy == 0).all()
    assert (folded([certain * 1e9, certain * 1e9], logits=True).mean_entropy == 0).all()


@pytest.mark.parametrize("regions", [False, True])
def test_nothing_leaves_the_device_while_members_are_folded(regions):
    # A meta tensor has no values: whatever looks at one, or copies it to the CPU, fails.
    members = [torch.zeros(3, *SHAPE, device="meta") for _ in range(3)]
    for logits in (False, True):
        found = folded(members, logits=logits, regions=regions)
        tensors = [found.mean_probs, found.mean_entropy, *found.members]
        assert {one.device.type for one in tensors} == {"meta"}
