"""KECOR: kernels, posterior, and each pick as the argmax of the determinant."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from alsweep.geometry import Patch
from alsweep.query.candidates import Annotated, Candidate, CaseLimit, Known
from alsweep.query.kernels import (
    NOISE,
    _Proxy,
    laplace_posterior,
    linear_posterior,
    proxy_features,
)
from alsweep.query.measures import label_entropy
from alsweep.query.select.log_det import LogDet, greedy_log_det
from alsweep.rng import stream


def plain_posterior(prior, count):
    """``K - K_xL (K_LL + 0.01 I)^-1 K_Lx`` of a kernel whose last rows are the annotated ones."""
    own, across, held = prior[:-count, :-count], prior[-count:, :-count], prior[-count:, -count:]
    return own - across.T @ np.linalg.inv(held + NOISE * np.eye(count)) @ across


def whole(posterior, count):
    return np.array([posterior.column(index) for index in range(count)])


@given(st.integers(0, 40))
def test_the_posteriors_are_their_definitions(seed):
    every = stream(seed).normal(size=(9, 5))
    own, annotated = every[:6], every[6:]
    found = whole(linear_posterior(own, annotated), 6)
    prior = every @ every.T
    scaled = prior / prior.diagonal()[6:].mean()
    np.testing.assert_allclose(found, plain_posterior(scaled, 3), atol=1e-9)
    np.testing.assert_allclose(linear_posterior(own, annotated).diagonal, found.diagonal())
    gaps = np.linalg.norm(every[:, None] - every[None], axis=2) / np.sqrt(5)
    laplace = laplace_posterior(own, annotated)
    np.testing.assert_allclose(whole(laplace, 6), plain_posterior(np.exp(-gaps), 3), atol=1e-9)
    np.testing.assert_allclose(laplace.diagonal, whole(laplace, 6).diagonal())


def test_without_annotated_patches_the_posterior_is_the_prior():
    own = stream(0).normal(size=(4, 3))
    found = whole(linear_posterior(own, np.zeros((0, 3))), 4)
    np.testing.assert_allclose(found, own @ own.T / (own**2).sum(axis=1).mean())
    laplace = whole(laplace_posterior(own, np.zeros((0, 3))), 4)
    assert laplace.diagonal() == pytest.approx([1, 1, 1, 1])


def some(count, case="a"):
    return [Candidate(Patch(case, (i, 0, 0), (1, 1, 1)), -float(i)) for i in range(count)]


@given(st.integers(0, 60), st.sampled_from([0.0, 0.1, 2.0]))
def test_each_pick_is_the_argmax_of_the_stated_determinant(seed, eta):
    every = stream(seed).normal(size=(11, 6))
    posterior = linear_posterior(every[:8], every[8:])
    entropies = stream(seed, "h").random(8)
    kernel, added = whole(posterior, 8), NOISE + eta * entropies
    found = greedy_log_det(posterior, added, some(8), 5, CaseLimit(99))
    picked: list[int] = []
    for candidate in found:
        values = {}
        for j in set(range(8)) - set(picked):
            chosen = [*picked, j]
            sub = kernel[np.ix_(chosen, chosen)] + np.diag(added[chosen])
            values[j] = np.linalg.slogdet(sub)[1]
        best = max(values, key=values.get)
        assert candidate.patch.start[0] == best
        picked.append(best)
    assert len(picked) == 5


def test_a_full_case_is_passed_over():
    posterior = linear_posterior(np.diag([5.0, 4.0, 3.0, 2.0]), np.zeros((0, 4)))
    candidates = [*some(3), *some(1, "b")]
    found = greedy_log_det(posterior, np.full(4, NOISE), candidates, 3, CaseLimit(2))
    assert [(c.patch.case, c.patch.start[0]) for c in found] == [("a", 0), ("a", 1), ("b", 0)]


def test_the_gradients_of_the_proxy_are_those_of_automatic_differentiation():
    rng = stream(3)
    proxy = _Proxy.trained(rng.normal(size=(4, 3)), rng.random((4, 2)), rng)
    features = torch.from_numpy(rng.normal(size=(2, 3)).astype(np.float32))
    factors = proxy.factors(features)
    weights = [w.clone().requires_grad_() for w in proxy.weights]
    for patch in range(2):
        for output in range(2):
            value = _Proxy(tuple(weights)).outputs(features[patch : patch + 1])[0, output]
            grads = torch.autograd.grad(value, weights)
            for grad, (errors, inputs) in zip(grads[::-1], factors, strict=True):
                mine = errors[patch, output][:, None] * inputs[patch]
                torch.testing.assert_close(mine, grad, atol=1e-5, rtol=1e-4)


def test_ten_steps_bring_the_proxy_nearer_to_what_is_predicted():
    rng = stream(1)
    features = rng.normal(size=(40, 6))
    targets = np.stack([features[:, 0] > 0, features[:, 0] <= 0], axis=1).astype(float)
    given_features = torch.from_numpy(features.astype(np.float32))
    trained = _Proxy.trained(features, targets, stream(2))
    blank = _Proxy.trained(features[:0], targets[:0], stream(2))
    wanted = torch.from_numpy(targets.astype(np.float32))
    errors = [float((p.outputs(given_features) - wanted).square().mean()) for p in (trained, blank)]
    assert errors[0] < errors[1] / 2


def test_sketched_gradients_have_the_kernel_of_the_gradients():
    rng = stream(5)
    own, annotated = rng.normal(size=(6, 4)), rng.normal(size=(3, 4))
    targets = rng.random((3, 2))
    proxy = _Proxy.trained(annotated, targets, stream(7))
    every = torch.from_numpy(np.concatenate([own, annotated]).astype(np.float32))
    kernel = sum(
        torch.einsum("iko,jko->ij", errors, errors) * (inputs @ inputs.T)
        for errors, inputs in proxy.factors(every)
    ).numpy()
    sketches = []
    for seed in range(12):
        draws = stream(7)
        _Proxy.trained(annotated, targets, draws)  # Spends what the weights take.
        maps = proxy.tangent(every, stream(seed, "sketch")).double().numpy()
        sketches.append(maps @ maps.T)
    found = np.mean(sketches, axis=0)
    assert np.abs(found - kernel).max() < 0.1 * kernel.diagonal().mean()


def labelled(features, volumes, outputs=3):
    probs = np.full(outputs, 1 / outputs)
    return [
        Candidate(Patch("a", (i, 0, 0), (1, 1, 1)), -float(i), features=f, volumes=v, probs=probs)
        for i, (f, v) in enumerate(zip(features, volumes, strict=True))
    ]


@pytest.mark.parametrize("kernel", ["linear", "laplace", "last_layer", "ntk"])
def test_candidates_like_annotated_ones_come_last(kernel):
    rng = stream(0)
    there, elsewhere = np.array([8, 0, 0, 0]), np.array([0, 8, 0, 0])
    annotated, near = rng.normal(size=(12, 4)) + there, rng.normal(size=(5, 4)) + there
    far = rng.normal(size=(5, 4)) + elsewhere
    found = labelled([*near, *far], np.zeros((10, 2), dtype=int))
    known = Known(Annotated(annotated, np.zeros((12, 3)), probs=np.full((12, 3), 1 / 3)), found)
    picked = LogDet(kernel=kernel)(found, 4, known, CaseLimit(99), stream(1))
    assert sum(candidate.patch.start[0] >= 5 for candidate in picked) >= 3


def test_the_entropy_of_the_classes_decides_between_equal_patches():
    found = labelled(np.ones((3, 2)), [[4, 0], [4, 4], [0, 0]])
    known = Known(Annotated(np.zeros((0, 2)), np.zeros((0, 3))), found)
    picked = LogDet(kernel="linear", eta=5.0)(found, 2, known, CaseLimit(99), stream(0))
    assert [candidate.patch.start[0] for candidate in picked] == [1, 0]


def test_an_absent_class_counts_one_beside_others_and_nothing_alone():
    found = label_entropy(np.array([[3, 0], [2, 2], [0, 0]]), absent=1)
    assert found == pytest.approx([-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)), np.log(2), 0])


def test_proxy_features_follow_from_the_generator_alone():
    rng = stream(9)
    own, annotated, targets = rng.normal(size=(3, 4)), rng.normal(size=(2, 4)), rng.random((2, 2))
    first, second = (proxy_features(own, annotated, targets, "ntk", stream(4)) for _ in range(2))
    assert first[0].shape == (3, 512)
    np.testing.assert_array_equal(first[0], second[0])
    assert proxy_features(own, annotated, targets, "last_layer", stream(4))[1].shape == (2, 101)
