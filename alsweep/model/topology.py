"""The levels of a U-Net, and how large they make it; known without torch."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from operator import mul
from typing import TYPE_CHECKING, NamedTuple

from alsweep.config.trajectory import TrainingConfig
from alsweep.data.ingest.network_plan import levels_of
from alsweep.geometry import Triple, triple

if TYPE_CHECKING:
    from alsweep.data.case import Dataset

_SMALLEST = 4
"""No training patch is shorter than this along any axis, voxels."""

_FEWEST_LEVELS = 3
"""DynUNet has no fewer; what is missing is added without pooling."""


@dataclass(frozen=True)
class Topology:
    """A U-Net's levels, from the input down.

    Attributes:
        window: Input size ``(z, y, x)``, voxels; divisible by the product of the strides.
        strides: By which each level begins; the first is 1.
        kernels: Of the convolutions of each level.
        features: Channels of each level.
    """

    window: Triple
    strides: tuple[Triple, ...]
    kernels: tuple[Triple, ...]
    features: tuple[int, ...]

    @property
    def outputs(self) -> int:
        """Scales that the loss is taken at under deep supervision, full resolution first.

        The two lowest levels have none: nnU-Net gives the lowest but one weight 0.
        """
        return max(1, len(self.strides) - 2)


def make_topology(training: TrainingConfig, dataset: "Dataset") -> Topology:
    """The levels for a training patch: the dataset's plan, or by nnU-Net's rule for a given patch.

    With ``patch_size: plan`` the features are cut to the plan's levels, or the last of them is
    repeated. A given patch is made no larger than the largest case of the pool, then padded to what
    the strides divide; it has as many levels as there are features, less where it is too small.
    """
    plan = dataset.manifest.plan
    if training.patch_size == "plan":
        return _topology(plan.patch_size, plan.strides, plan.kernels, training.features)
    largest = [max(dataset.cases[c].shape[axis] for c in dataset.pool) for axis in range(3)]
    asked = zip(training.patch_size, largest, strict=True)
    size = triple(max(_SMALLEST, min(a, n)) for a, n in asked)
    strides, kernels = levels_of(size, dataset.manifest.spacing, len(training.features))
    return _topology(size, strides, kernels, training.features)


def _topology(
    size: Triple,
    strides: tuple[Triple, ...],
    kernels: tuple[Triple, ...],
    features: tuple[int, ...],
) -> Topology:
    missing = max(0, _FEWEST_LEVELS - len(strides))
    strides, kernels = strides + ((1, 1, 1),) * missing, kernels + ((3, 3, 3),) * missing
    factors = [prod(level[axis] for level in strides) for axis in range(3)]
    return Topology(
        window=triple(-(-n // f) * f for n, f in zip(size, factors, strict=True)),
        strides=strides,
        kernels=kernels,
        features=(features + features[-1:] * len(strides))[: len(strides)],
    )


def parameters(training: TrainingConfig, topology: Topology, channels: int, outputs: int) -> int:
    """How many numbers the weights of the network are, within a hundredth.

    Args:
        training: Says which blocks.
        topology: Its levels.
        channels: Of the image.
        outputs: Channels of the logits.
    """
    return sum(layer.weights for layer in _layers(training, topology, channels, outputs))


def multiply_adds(training: TrainingConfig, topology: Topology, channels: int, outputs: int) -> int:
    """How often a forward pass of one window multiplies and adds; see :func:`parameters`."""
    layers = _layers(training, topology, channels, outputs)
    return sum(layer.weights * layer.places for layer in layers)


class _Layer(NamedTuple):
    """Convolutions: their weights, and the voxels in which each of these is applied."""

    weights: int
    places: int


def _layers(
    training: TrainingConfig, topology: Topology, channels: int, outputs: int
) -> Iterator[_Layer]:
    features, kernels = topology.features, [prod(kernel) for kernel in topology.kernels]
    shrunk = accumulate((prod(stride) for stride in topology.strides), mul)
    places = [prod(topology.window) // factor for factor in shrunk]
    residual = training.blocks == "residual"
    levels = zip(kernels, (channels, *features), features, places, strict=False)
    for k, i, f, here in levels:
        yield _Layer(k * (i * f + f * f) + residual * i * f, here)
    # Back up: a transposed convolution, then two others over it and what was skipped.
    below = zip(kernels[1:], topology.strides[1:], features[1:], places[1:], strict=True)
    for (k, s, lower, there), f, here in zip(below, features, places, strict=False):
        yield _Layer(prod(s) * lower * f, there)
        yield _Layer(k * 3 * f * f, here)
    for f, here in zip(features[: topology.outputs], places, strict=False):
        yield _Layer(outputs * f, here)
