"""How long networks took on machines that are stated, for who has neither records nor a minute.

A training step is scaled by how often a forward pass multiplies and adds, and takes a card no less
than a small network took it. A forward pass alone counts as a third of a step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from alsweep.config.trajectory import TrainingConfig
from alsweep.data.ingest.network_plan import levels_of
from alsweep.geometry import Triple
from alsweep.model.topology import Topology, make_topology, multiply_adds

if TYPE_CHECKING:
    from alsweep.config.sweep import ResourcesConfig
    from alsweep.data.case import Dataset

FORWARD = 1 / 3
"""Of a training step: backward is taken for twice the work of forward."""


@dataclass(frozen=True)
class Stated:
    """A training step that was measured.

    Attributes:
        features: Of the network.
        window: Edges of the training patch, voxels.
        seconds: Of a step on two windows: of the card, or of one CPU core.
        machine: That took them.
        source: Where the figure stands.
    """

    features: tuple[int, ...]
    window: Triple
    seconds: float
    machine: str
    source: str

    @property
    def seconds_each(self) -> float:
        """Of one multiplication with its addition, in a forward pass with its share of the step."""
        strides, kernels = levels_of(self.window, (1.0, 1.0, 1.0), len(self.features))
        topology = Topology(self.window, strides, kernels, self.features[: len(strides)])
        plain = TrainingConfig.model_validate({})
        return self.seconds / (2 * multiply_adds(plain, topology, 1, 2))


_H200 = Stated(
    (32, 64, 128, 256, 320, 320),
    (128, 128, 128),
    0.059,
    "an NVIDIA H200, fp16",
    "docs/training.md, Devices, precision, speed",
)
CARDS = {
    ("fp16", False): _H200,
    ("bf16", False): replace(_H200, seconds=0.075, machine="an NVIDIA H200, bf16"),
    ("fp32", False): replace(_H200, seconds=0.102, machine="an NVIDIA H200, fp32"),
    ("fp16", True): replace(_H200, seconds=0.039, machine="an NVIDIA H200, fp16, compiled"),
    ("bf16", True): replace(_H200, seconds=0.041, machine="an NVIDIA H200, bf16, compiled"),
}
"""By precision, and whether the network is compiled."""

LEAST_ON_A_CARD = 3600 / 642 / 400
"""Seconds of a step of a network that does not fill the card: 642 trainings of 400 steps an hour,
features 8, 16, 32, windows of 32x32x32, one NVIDIA H100 (docs/cards.md)."""

CPU = Stated(
    (8, 16, 32, 64),
    (32, 32, 32),
    0.3,
    "a core of a cloud machine, fp32",
    "docs/training.md, Which recipe: 242 to 350 s for 1,000 iterations",
)


_TIMES = {
    "mean_teacher": 1.67,
    "augment_and_criticize": 1.94,
    "open_set_weights": 1.60,
    "self_training": 2.02,
}
"""Seconds of a training that learns from images without labels too, over those of one that does
not: ``training.semi_supervised`` at its defaults (docs/methods.md, What they take)."""


_PRETRAINED = 0.67
"""A window of a step of ``positional_contrastive`` over one of a training step: 466 ms for 24, and
87 ms for 3 (docs/methods.md, What they take)."""


@dataclass(frozen=True)
class Step:
    """A training step of some recipe, as the table has it.

    Attributes:
        alone: Seconds, with the card or one core to itself.
        device: Seconds that it takes of the card or of a core, where others may share it.
        stated: What it was scaled from.
    """

    alone: float
    device: float
    stated: Stated


def stated_step(training: TrainingConfig, dataset: Dataset, resources: ResourcesConfig) -> Step:
    """What the table makes of a training step."""
    outputs = len(dataset.manifest.regions or dataset.classes)
    topology = make_topology(training, dataset)
    sums = multiply_adds(training, topology, len(dataset.channels), outputs)
    if not resources.gpus:
        seconds = training.batch_size * sums * CPU.seconds_each
        return Step(seconds, seconds, CPU)
    precision = "fp16" if training.precision == "auto" else training.precision
    stated = CARDS.get((precision, training.compile), CARDS[precision, False])
    busy = training.batch_size * sums * stated.seconds_each
    # A small network leaves room for those of other workers, each with its share of the card.
    shared = max(busy, LEAST_ON_A_CARD * min(1.0, resources.gpus)) * max(1.0, resources.gpus)
    return Step(max(busy, LEAST_ON_A_CARD), shared, stated)


def pretraining_steps(training: TrainingConfig, cases: int) -> float:
    """As how many training steps a pretraining on so many cases counts; unknown ones as none."""
    option = training.pretraining
    if option.kind != "positional_contrastive":
        return 0.0
    epochs, steps, batch = (int(option.parameters[key]) for key in ("epochs", "steps", "batch"))
    return _PRETRAINED * epochs * steps * 2 * min(batch, cases) / training.batch_size


def times_of(training: TrainingConfig) -> float:
    """How often as long a training step takes for what is learnt beside labels; unknown ones: 1."""
    return _TIMES.get(training.semi_supervised.kind, 1.0)
