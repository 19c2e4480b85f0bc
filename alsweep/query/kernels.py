"""Kernels for the coding rate: which patches are alike, given those that are annotated."""

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from alsweep.query.distances import squared_distances

if TYPE_CHECKING:
    from torch import Tensor

NOISE = 0.01
"""Variance of what is observed: sigma = 0.1."""

SKETCH = 512
"""Dimensions that gradients are projected to."""

_WIDTHS = (512, 100)
_STEPS, _RATE = 10, 2e-2


@dataclass(frozen=True)
class Posterior:
    """Kernel of a Gaussian process's posterior at the candidates.

    Attributes:
        points: Feature maps of the candidates, ``(candidate, feature)``: the kernel is that of
            their inner products. None for a kernel without any.
        matrix: The kernel itself, ``(candidate, candidate)``; None with ``points``.
    """

    points: np.ndarray | None = None
    matrix: np.ndarray | None = None

    @property
    def diagonal(self) -> np.ndarray:
        """``K_jj``, ``(candidate,)``."""
        if self.points is not None:
            return np.asarray((self.points**2).sum(axis=1))
        assert self.matrix is not None
        return self.matrix.diagonal()

    def column(self, index: int) -> np.ndarray:
        """``K_ij`` of all candidates ``i`` with one of them, ``(candidate,)``."""
        if self.points is not None:
            return np.asarray(self.points @ self.points[index])
        assert self.matrix is not None
        return np.asarray(self.matrix[index])


def linear_posterior(own: np.ndarray, annotated: np.ndarray) -> Posterior:
    """Posterior of the kernel of inner products, given feature maps.

    The kernel is scaled first, so that the mean of its diagonal over the annotated patches is 1
    (over the candidates, where nothing is annotated): only then the noise means something.

    Args:
        own: Of the candidates, ``(candidate, feature)``.
        annotated: Of the annotated patches, ``(patch, feature)``.

    Source: Luo et al. 2023 (KECOR), as in its code:
    ``0.01 phi^T (Phi_L^T Phi_L + 0.01 I)^-1 phi'``.
    """
    scale = _scale((annotated**2).sum(axis=1), (own**2).sum(axis=1))
    phi, held = own / np.sqrt(scale), annotated / np.sqrt(scale)
    inner = held.T @ held + NOISE * np.eye(own.shape[1])
    upper = cholesky(inner, check_finite=False)
    half = solve_triangular(upper, phi.T, trans="T", check_finite=False).T
    return Posterior(points=np.sqrt(NOISE) * half)


def laplace_posterior(own: np.ndarray, annotated: np.ndarray) -> Posterior:
    """Posterior of ``exp(-|h - h'|)``, Euclidean, with the diagonal 1.

    Distances are divided by the root of the number of features, so that members do not push all
    patches apart; the original has one network and 256 features.

    Source: Luo et al. 2023 (KECOR), Laplace kernel.
    """
    prior = _laplace(own, own)
    np.fill_diagonal(prior, 1.0)
    if not len(annotated):
        return Posterior(matrix=prior)
    held = _laplace(annotated, annotated)
    np.fill_diagonal(held, 1.0 + NOISE)
    lower = cholesky(held, lower=True, check_finite=False)
    explained = solve_triangular(lower, _laplace(annotated, own), lower=True, check_finite=False)
    prior -= explained.T @ explained
    return Posterior(matrix=prior)


def _laplace(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    found = np.sqrt(squared_distances(some, others))
    found /= -np.sqrt(max(1, some.shape[1]))
    return np.asarray(np.exp(found, out=found))


def _scale(annotated: np.ndarray, own: np.ndarray) -> float:
    mean = float((annotated if len(annotated) else own).mean())
    return mean if mean > 0 else 1.0


def proxy_features(
    own: np.ndarray,
    annotated: np.ndarray,
    targets: np.ndarray,
    kernel: str,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Feature maps by a small network that learns what is predicted of the annotated patches.

    Args:
        own: Features of the candidates, ``(candidate, feature)``.
        annotated: Of the annotated patches, ``(patch, feature)``.
        targets: Mean probabilities in the annotated patches, ``(patch, output)``.
        kernel: ``last_layer``: what the last layer reads, and a 1. ``ntk``: the gradient of the
            outputs by all parameters, sketched.
        rng: For weights and sketches.

    Returns:
        Of the candidates and of the annotated patches, float64.

    Source: Luo et al. 2023 (KECOR): layers of 512 and 100, SiLU, ten full-batch steps of Adam at
    2e-2 on the squared error; projected to 512 dimensions. A gradient by a layer's weights is the
    outer product of its errors and inputs; each factor is projected by itself, which costs no
    matrix of all parameters and has the same expectation (Holzmueller et al. 2023,
    arXiv:2203.09410).
    """
    import torch

    proxy = _Proxy.trained(annotated, targets, rng)
    every = torch.from_numpy(np.concatenate([own, annotated]).astype(np.float32))
    with torch.no_grad():
        maps = proxy.last_layer(every) if kernel == "last_layer" else proxy.tangent(every, rng)
    found = maps.double().numpy()
    return found[: len(own)], found[len(own) :]


@dataclass(frozen=True)
class _Proxy:
    """A perceptron of three layers.

    Attributes:
        weights: ``(out, in + 1)`` of each layer; the last column is the bias.
    """

    weights: "tuple[Tensor, ...]"

    @classmethod
    def trained(
        cls, features: np.ndarray, targets: np.ndarray, rng: np.random.Generator
    ) -> "_Proxy":
        import torch
        from torch.nn import functional

        widths = (features.shape[1], *_WIDTHS, targets.shape[1])
        drawn = [
            rng.uniform(-1, 1, (after, before + 1)) / np.sqrt(max(1, before))
            for before, after in pairwise(widths)
        ]
        weights = [torch.tensor(w, dtype=torch.float32, requires_grad=True) for w in drawn]
        given = torch.from_numpy(features.astype(np.float32))
        wanted = torch.from_numpy(targets.astype(np.float32))
        adam = torch.optim.Adam(weights, lr=_RATE)
        for _ in range(_STEPS if len(features) else 0):
            adam.zero_grad()
            with torch.enable_grad():
                loss = functional.mse_loss(cls(tuple(weights)).outputs(given), wanted)
                loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
        return cls(tuple(w.detach() for w in weights))

    def outputs(self, features: "Tensor") -> "Tensor":
        return self._sums(features)[-1]

    def _sums(self, features: "Tensor") -> "list[Tensor]":
        """What each layer adds up, before its SiLU."""
        from torch.nn import functional

        sums = [_with_one(features) @ self.weights[0].T]
        for weights in self.weights[1:]:
            sums.append(_with_one(functional.silu(sums[-1])) @ weights.T)
        return sums

    def last_layer(self, features: "Tensor") -> "Tensor":
        from torch.nn import functional

        return _with_one(functional.silu(self._sums(features)[-2]))

    def factors(self, features: "Tensor") -> "list[tuple[Tensor, Tensor]]":
        """Errors ``(patch, output, out)`` and inputs ``(patch, in + 1)`` of each layer, first last.

        The gradient of an output by a layer's weights is the outer product of the two.
        """
        import torch
        from torch.nn import functional

        first, second, last = self._sums(features)
        outputs = last.shape[1]
        errors = torch.eye(outputs).expand(len(features), outputs, outputs)
        found = [(errors, _with_one(functional.silu(second)))]
        errors = errors @ self.weights[2][:, :-1] * _slope(second)[:, None]
        found.append((errors, _with_one(functional.silu(first))))
        errors = errors @ self.weights[1][:, :-1] * _slope(first)[:, None]
        return [*found, (errors, _with_one(features))]

    def tangent(self, features: "Tensor", rng: np.random.Generator) -> "Tensor":
        """The sketched gradients of all layers, ``(patch, SKETCH)``."""
        import torch

        total = torch.zeros(len(features), SKETCH)
        for errors, inputs in self.factors(features):
            by_errors = _drawn((errors[0].numel(), SKETCH), rng)
            by_inputs = _drawn((inputs.shape[1], SKETCH), rng)
            total += (errors.flatten(1) @ by_errors) * (inputs @ by_inputs)
        return total / float(np.sqrt(SKETCH))


def _with_one(inputs: "Tensor") -> "Tensor":
    import torch

    return torch.cat([inputs, inputs.new_ones(len(inputs), 1)], dim=1)


def _slope(sums: "Tensor") -> "Tensor":
    """Derivative of SiLU."""
    gate = sums.sigmoid()
    slope: Tensor = gate * (1 + sums * (1 - gate))
    return slope


def _drawn(shape: tuple[int, int], rng: np.random.Generator) -> "Tensor":
    import torch

    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
