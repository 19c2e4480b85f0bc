"""Contrastive pretraining: windows from like places of different cases are alike."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from alsweep.data.patches import ImageWindows
from alsweep.errors import TrajectoryFailedError
from alsweep.geometry import Triple, triple
from alsweep.model.augment import Augmentation
from alsweep.model.device import on_one_thread
from alsweep.model.learner import Checkpoint, OnEpoch, Setup
from alsweep.model.options.pretraining import Pretraining
from alsweep.model.options.windows import STRONG
from alsweep.query.parameters import searchable
from alsweep.rng import stream, torch_seed

if TYPE_CHECKING:
    from jaxtyping import Float, Int64
    from torch import Tensor

_WIDTHS = (256, 128)
_KERNELS = ("gaussian", "laplacian", "exponential", "discrete")


@dataclass(frozen=True)
class PositionalContrastive(Pretraining):
    """Teach the encoder where in the body a window lies, from images alone.

    Of each case in turn a window is drawn whose centre lies in the middle of the case, and seen
    twice, with other intensities and mirrored. What the encoder makes of two windows is to be the
    more alike the nearer their places are, as shares of the case.

    Adapted: places are three numbers, not the share of a slice; the head starts at the encoder's
    width, where the source has 512; cases bear no label, so that all are of one kind. An epoch is
    ``steps`` steps, not a pass over all slices, and the learning rate is that of a network of this
    size from random weights: the source's is 1e-5.

    Source: Sarfati et al. 2023 (WSP, weakly-supervised positional contrastive learning),
    arXiv:2307.04617; temperature, sigma, views, batch, head, decay and epochs are its published
    configuration.
    """

    epochs: int = searchable(40, low=1, high=10000, help="of pretraining")
    steps: int = searchable(10, low=1, high=10000, help="of an epoch")
    batch: int = searchable(64, low=2, high=1024, help="cases a step, each once, two views each")
    learning_rate: float = searchable(1e-3, low=1e-7, high=1.0, log=True, help="at the beginning")
    weight_decay: float = searchable(1e-5, low=0.0, high=1.0, help="of Adam")
    temperature: float = searchable(0.1, low=0.01, high=10.0, log=True, help="of similarities")
    kernel: str = searchable("gaussian", choices=_KERNELS, help="weight of a pair over distance")
    sigma: float = searchable(0.85, low=0.01, high=10.0, log=True, help="of the kernel")
    central: float = searchable(0.7, low=0.1, high=1.0, help="of each axis that centres lie in")

    def part(self, network: nn.Module) -> nn.Module:
        """The way down, bottleneck included."""
        stages = (network.input_block, network.downsamples, network.bottleneck)
        return nn.ModuleList(stages)  # type: ignore[arg-type]

    def fit(
        self, network: nn.Module, setup: Setup, on_epoch: OnEpoch, checkpoint: Checkpoint
    ) -> float:
        """See :class:`Pretraining`."""
        course = _Course.make(self, network, setup)
        first, mean = course.resume(checkpoint.load())
        network.train()
        for epoch in range(first, self.epochs):
            mean = sum(course.step(epoch, step) for step in range(self.steps)) / self.steps
            course.schedule.step()
            if not isfinite(mean):
                raise TrajectoryFailedError(
                    f"the loss of pretraining became {mean} in epoch {epoch}; lower learning_rate "
                    "of training.pretraining"
                )
            on_epoch(epoch + 1)
            if epoch + 1 < self.epochs and checkpoint.due():
                checkpoint.save(course.state(epoch + 1, mean))
        return mean


@dataclass(frozen=True)
class _Course:
    """All that changes in a pretraining, and what it goes by."""

    option: PositionalContrastive
    setup: Setup
    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    scaler: torch.GradScaler

    @classmethod
    def make(cls, option: PositionalContrastive, network: nn.Module, setup: Setup) -> "_Course":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed(setup.seed, "pretraining head"))
            head = _head(setup.topology.features[-1])
        model = nn.Sequential(_Down(option.part(network)), head).to(setup.compute.device)
        adam = torch.optim.Adam(
            model.parameters(), lr=option.learning_rate, weight_decay=option.weight_decay
        )
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, option.epochs)
        compute = setup.compute
        scaler = torch.GradScaler(compute.device.type, enabled=compute.scales_loss)
        return cls(option, setup, model, adam, cosine, scaler)

    def _parts(self) -> Iterator[tuple[str, Any]]:
        return (
            (name, getattr(self, name)) for name in ("model", "optimizer", "schedule", "scaler")
        )

    def state(self, epochs: int, loss: float) -> dict[str, Any]:
        return {name: p.state_dict() for name, p in self._parts()} | {
            "epochs": epochs,
            "loss": loss,
        }

    def resume(self, state: dict[str, Any] | None) -> tuple[int, float]:
        if state is None:
            return 0, float("nan")
        for name, part in self._parts():
            part.load_state_dict(state[name])
        return state["epochs"], state["loss"]

    def step(self, epoch: int, step: int) -> float:
        """One change of the weights; gives its loss."""
        rng = stream(self.setup.seed, "pretraining", epoch, step)
        windows, places = drawn(self.setup, self.option.batch, self.option.central, rng)
        device = self.setup.compute.device
        self.optimizer.zero_grad(set_to_none=True)
        with self.setup.compute.autocast():
            features = self.model(torch.from_numpy(windows).to(device))
        kinds = torch.zeros(len(windows), dtype=torch.int64, device=device)
        loss = positional_loss(
            features.float(), torch.from_numpy(places).to(device), kinds, self.option
        )
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return float(loss.detach())


class _Down(nn.Module):
    """The mean of the deepest features of windows."""

    def __init__(self, stages: nn.Module) -> None:
        super().__init__()
        self.stages = stages

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        entry, downsamples, bottleneck = self.stages.children()
        found = entry(windows)
        for stage in downsamples.children():
            found = stage(found)
        mean: torch.Tensor = bottleneck(found).mean(dim=(2, 3, 4))
        return mean


def _head(features: int) -> nn.Module:
    hidden, out = _WIDTHS
    return nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, out))


def drawn(
    setup: Setup, most: int, central: float, rng: np.random.Generator
) -> "tuple[np.ndarray, np.ndarray]":
    """Two views of one window each of so many cases of the pool, and where they lie.

    Returns:
        Windows ``(view and case, channel, z, y, x)``, the second views behind the first ones, and
        places ``(view and case, axis)``, 0..1 over the central part of the case.
    """
    dataset, window = setup.dataset, setup.topology.window
    chosen = rng.permutation(len(dataset.pool))[:most]
    windows = np.empty((len(chosen), len(dataset.channels), *window), dtype=np.float32)
    images, places = ImageWindows(dataset), []
    for own, index in zip(windows, chosen, strict=True):
        case = dataset.pool[index]
        start, place = _place(dataset.cases[case].shape, window, central, rng)
        images.read(own, case, start)
        places.append(place)
    change, nothing = Augmentation(STRONG, window, setup.axes), np.zeros(window, dtype=np.uint8)
    with on_one_thread():  # more would change the last bits
        views = [change(one, nothing, rng)[0] for _ in range(2) for one in windows]
    return np.stack(views), np.array(places * 2, dtype=np.float32)


def _place(
    shape: Triple, window: Triple, central: float, rng: np.random.Generator
) -> "tuple[Triple, list[float]]":
    """A window's lowest corner, and its centre within the central part of the case, 0..1."""
    margin = (1 - central) / 2
    centres = rng.uniform(margin, 1 - margin, 3)
    start, place = [], []
    for centre, length, size in zip(centres.tolist(), shape, window, strict=True):
        low = round(centre * length - size / 2)
        # A window stays inside; one that is longer has the case in its middle.
        start.append(min(max(low, 0), length - size) if size <= length else -((size - length) // 2))
        place.append(min(max(((start[-1] + size / 2) / length - margin) / central, 0.0), 1.0))
    return triple(start), place


def positional_loss(
    features: "Float[Tensor, 'view feature']",
    places: "Float[Tensor, 'view axis']",
    kinds: "Int64[Tensor, ' view']",
    option: PositionalContrastive,
) -> "Float[Tensor, '']":
    """How unlike windows of one kind are that lie near each other, mean over all views.

    Each view's positives are weighted by the kernel, and these weights sum to 1. The source's code
    divides by the sum over the positive's own neighbours, not the anchor's, and by the number of
    windows, not of views; its paper has what is here.

    Args:
        features: Of any length.
        places: 0..1.
        kinds: Only views of one kind are positives of each other.
        option: Temperature and kernel.
    """
    alone = torch.eye(len(features), dtype=torch.bool, device=features.device)
    normed = functional.normalize(features, dim=1)
    similar = (normed @ normed.T / option.temperature).masked_fill(alone, float("-inf"))
    logs = (similar - similar.logsumexp(dim=1, keepdim=True)).masked_fill(alone, 0.0)
    same = (kinds[:, None] == kinds[None, :]) & ~alone
    weights = kernel_of(torch.cdist(places, places), option) * same
    weights = weights / weights.sum(dim=1, keepdim=True).clamp_min(1e-12)
    return -(weights * logs).sum(dim=1).mean()


def kernel_of(
    distance: "Float[Tensor, 'view view']", option: PositionalContrastive
) -> "Float[Tensor, 'view view']":
    """The weight of a pair, 1 where both lie in one place."""
    wide = 2 * option.sigma**2
    if option.kernel == "gaussian":
        return (-(distance**2) / wide).exp()
    if option.kernel == "laplacian":
        return (-distance / wide).exp()
    if option.kernel == "exponential":
        return (-distance).exp()
    return torch.where(distance == 0, 1.0, torch.where(distance < option.sigma, 0.5, 0.0))
