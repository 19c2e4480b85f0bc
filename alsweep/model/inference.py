"""Predict one case at a time: sliding window, mirroring, members folded into running sums."""

import itertools
import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from alsweep.geometry import triple
from alsweep.model.cut import CutPrediction, give_back
from alsweep.model.device import enough_memory
from alsweep.model.embedding import FeatureMean, outputs_of
from alsweep.model.ensemble_mean import EnsembleMean, temporary_bytes
from alsweep.model.gradients import GradientMean, inputs_of, targets_of
from alsweep.model.lattice import Box, Lattice, whole
from alsweep.model.memory import FLOAT, Need, extra_bytes, free_bytes
from alsweep.model.sliding import OnWindows, Tiling, forward, passes, slide
from alsweep.query.pool import Embedding, Prediction

if TYPE_CHECKING:
    from alsweep.types import Probs, Volume

__all__ = ["Tiling", "encode", "predict"]

_log = logging.getLogger(__name__)

_WHOLE = frozenset({"members", "gradient", "soft_gradient"})
"""Needs that want all of a case at once; whatever else is needed can be had of parts."""


@torch.no_grad()
def predict(
    networks: Sequence[nn.Module],
    image: "Volume",
    tiling: Tiling,
    needs: Collection[str] = ("probs",),
) -> Prediction:
    """What the members say of one case, folded over them one at a time.

    Args:
        networks: The members, on ``tiling.compute.device``.
        image: ``(channel, z, y, x)``, normalised.
        tiling: Windows, mirroring, device.
        needs: What is wanted beside the mean probability: ``mean_entropy``, ``embedding``,
            ``members``, ``gradient``, ``soft_gradient``. For gradients the first member goes over
            the case once more.

    Returns:
        Float32 tensors on ``tiling.compute.device``, float16 for features; probabilities sum to 1
        over ``class`` unless ``tiling.regions``. Memory grows with the number of members for
        ``embedding`` and ``members`` alone. A case that the memory does not suffice for is
        predicted slab by slab when it is read, unless ``needs`` name what must be there as a whole.

    Raises:
        TrajectoryFailedError: The device's memory does not suffice.

    Source: Isensee et al. 2021 (nnU-Net): Gaussian importance with sigma = 1/8 of the window.
    """
    # A copy: the image is a read-only memory map, which torch must not be handed.
    source = _Source(networks, torch.from_numpy(image.copy()), tiling, frozenset(needs))
    if not source.can_be_cut:
        with enough_memory(f"to predict a case of {tuple(image.shape)} voxels"):
            return source.all()
    planes, depth = source.planes(), image.shape[1]
    if planes >= depth:
        try:
            return source.all()
        except torch.OutOfMemoryError as error:
            _log.info("%s; once more with half of the planes", error)
        # Behind the handler: what failed held its tensors.
        give_back(source.device)
        return CutPrediction(source, -(-depth // 2), again=False)
    return CutPrediction(source, planes)


def encode(network: nn.Module, image: "Volume", tiling: Tiling) -> Embedding:
    """What one network's encoder makes of a case; of its voxels no more than a pass is held.

    Args:
        network: On ``tiling.compute.device``.
        image: ``(channel, z, y, x)``, normalised.
        tiling: Windows, device, encoder.

    Raises:
        TrajectoryFailedError: The device's memory does not suffice.
    """
    needs = frozenset({"embedding"})
    source = _Source([network], torch.from_numpy(image.copy()), tiling, needs)
    with enough_memory(f"to look at a case of {tuple(image.shape)} voxels"):
        found = source.embedding()
    assert found is not None
    return found


@dataclass(frozen=True)
class _Source:
    """An ensemble and the case that it predicts.

    Attributes:
        networks: The members.
        image: ``(channel, z, y, x)``.
        tiling: Windows, mirroring, device.
        needs: What is wanted.
    """

    networks: Sequence[nn.Module]
    image: torch.Tensor
    tiling: Tiling
    needs: frozenset[str]

    @property
    def lattice(self) -> Lattice:
        """Where the windows lie."""
        return self.tiling.lattice(triple(self.image.shape[1:]))

    @property
    def device(self) -> torch.device:
        """Where predictions are."""
        return self.tiling.compute.device

    @property
    def channels(self) -> int:
        """Of the probabilities."""
        assert self.tiling.outputs is not None, "who cuts a case knows its channels"
        return self.tiling.outputs

    @property
    def regions(self) -> bool:
        """Whether channels are regions."""
        return self.tiling.regions

    @property
    def can_be_cut(self) -> bool:
        """Whether all that is needed of the case can be had of parts."""
        return self.tiling.outputs is not None and not self.needs & _WHOLE

    def planes(self) -> int:
        """How many the device has the room for now."""
        free, shape = free_bytes(self.tiling.compute), self.lattice.shape
        if free is None:
            return shape[0]
        beside = self._logits_of_a_pass + temporary_bytes(self.device)
        volumes = 4 if self.tiling.axes else 2
        need = Need(shape, self.channels, volumes, self.image.nbytes + beside)
        # What a forward pass takes is looked at where it could matter.
        if need.planes_in(free // 2) == shape[0]:
            return shape[0]
        beside += extra_bytes(self.tiling.compute, self._one_pass)
        planes = replace(need, beside=self.image.nbytes + beside).planes_in(free)
        # The image goes over window by window where the case is cut.
        there = self.image.nbytes if self.device.type == "cpu" else 0
        cut = replace(need, beside=there + beside).planes_in(free)
        return planes if planes == shape[0] else min(cut, shape[0] - 1)

    @property
    def _logits_of_a_pass(self) -> int:
        """Bytes, as they come and weighted."""
        at_once = self.tiling.windows_at_once(self.lattice.shape)
        return 2 * FLOAT * at_once * self.channels * prod(self.tiling.window)

    @torch.no_grad()
    def _one_pass(self) -> None:
        at_once = self.tiling.windows_at_once(self.lattice.shape)
        windows = torch.zeros(at_once, len(self.image), *self.tiling.window, device=self.device)
        forward(self.networks[0].eval(), windows, self.tiling.compute, at_once).float().mul_(1)

    def all(self) -> Prediction:
        """The prediction of the whole, embedding included."""
        there = replace(self, image=self.image.to(self.device))
        found = there._means()
        return replace(found, **there._gradients(found.mean_probs))

    def _means(self) -> Prediction:
        """The sums over members, and their features."""
        there = self
        if "embedding" not in self.needs:
            return there.box(whole(self.lattice.shape))
        fold = there._fold()
        features = []
        for network in self.networks:
            mean = FeatureMean(self.lattice.shape, self.tiling.window)
            there._fold_member(fold, network, whole(self.lattice.shape), mean)
            features.append(mean.mean())
        return replace(fold.means(), embedding=Embedding(torch.cat(features), mean.cell))

    @torch.no_grad()
    def box(self, box: Box) -> Prediction:
        """The prediction of a part, as it is in the whole; without its embedding."""
        fold = self._fold()
        for network in self.networks:
            self._fold_member(fold, network, box)
        return fold.means()

    @torch.no_grad()
    def embedding(self) -> Embedding | None:
        """Features of the case, plane by plane, so that nothing but them is held."""
        if "embedding" not in self.needs:
            return None
        features = []
        for network in self.networks:
            mean = FeatureMean(self.lattice.shape, self.tiling.window)
            for flips in _subsets(self.tiling.axes):
                self._see(network, mean, flips)
            features.append(mean.mean())
        return Embedding(torch.cat(features), mean.cell)

    def _gradients(self, probs: "Probs") -> dict[str, Any]:
        """The gradients that are needed, of the first member as it is, without mirroring."""
        alone = len(self.networks) == 1 and not self.tiling.axes
        targets = targets_of(probs, self.regions, alone=alone)
        means = {
            need: GradientMean(target(), self.tiling.window, self.regions)
            for need, target in targets.items()
            if need in self.needs
        }
        if not means:
            return {}
        assert self.tiling.head is not None
        with inputs_of(self.tiling.head(self.networks[0])) as seen:
            for corners, logits in passes(self.networks[0], self.image, self.tiling):
                features = seen.pop()[: len(corners)]
                for mean in means.values():
                    mean.add(logits, features, corners)
        return {need: mean.mean() for need, mean in means.items()}

    def _fold(self) -> EnsembleMean:
        return EnsembleMean(len(self.networks), self.needs, self.regions)

    def _fold_member(
        self, fold: EnsembleMean, network: nn.Module, box: Box, features: FeatureMean | None = None
    ) -> None:
        """Count one member in; its probabilities are averaged over the mirrored inputs first."""
        network.eval()
        mirrored = list(_subsets(self.tiling.axes))
        # The entropy is that of the average: only without mirroring it can come from the logits.
        own = EnsembleMean(len(mirrored), regions=self.regions) if self.tiling.axes else fold
        for flips in mirrored:
            with _gathering(network, self.tiling, features, flips) as on_windows:
                own.add_logits(slide(network, self.image, self.tiling, on_windows, flips, box))
        if self.tiling.axes:
            fold.add(own.means().mean_probs)

    def _see(self, network: nn.Module, mean: FeatureMean, flips: tuple[int, ...]) -> None:
        """Let a member go over the case for its features alone."""
        network.eval()
        with _gathering(network, self.tiling, mean, flips) as on_windows:
            for corners, logits in passes(network, self.image, self.tiling, flips):
                on_windows(logits, corners)


@contextmanager
def _gathering(
    network: nn.Module, tiling: Tiling, features: FeatureMean | None, flips: tuple[int, ...]
) -> Iterator[OnWindows]:
    """What to do after each forward pass: hand its encoder features on, or nothing."""
    if features is None:
        yield lambda logits, corners: None
        return
    assert tiling.encoder is not None
    with outputs_of(tiling.encoder(network)) as seen:
        yield lambda logits, corners: features.add(seen.pop()[: len(corners)], corners, flips)


def _subsets(axes: Iterable[int]) -> Iterable[tuple[int, ...]]:
    """All sets of axes, the empty one first."""
    chosen = tuple(axes)
    return itertools.chain.from_iterable(
        itertools.combinations(chosen, k) for k in range(len(chosen) + 1)
    )
