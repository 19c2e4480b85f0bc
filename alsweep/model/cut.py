"""A case whose probabilities the device cannot hold: predicted slab by slab, when it is read."""

import logging
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import torch

from alsweep.geometry import Triple
from alsweep.model.device import enough_memory
from alsweep.model.lattice import Box, Lattice, whole
from alsweep.query.pool import Embedding, Prediction

if TYPE_CHECKING:
    from alsweep.types import Probs, ScoreMap

_log = logging.getLogger(__name__)

MENDS = ("lower resources.gpu_memory_gib, so that fewer planes of a case are held at once",)


class Source(Protocol):
    """An ensemble and the case that it predicts."""

    @property
    def lattice(self) -> Lattice:
        """Where the windows lie."""

    @property
    def device(self) -> torch.device:
        """Where predictions are."""

    @property
    def channels(self) -> int:
        """Of the probabilities."""

    @property
    def regions(self) -> bool:
        """Whether channels are regions."""

    def box(self, box: Box) -> Prediction:
        """The prediction of a part, as it is in the whole."""

    def embedding(self) -> Embedding | None:
        """Features of the case; None where nobody asked for them."""


class CutPrediction(Prediction):
    """What the ensemble says of a case, of which some planes at a time are held.

    Each part is that of the whole, bit for bit. Planes that are read one after the other cost few
    windows twice; whoever reads ``mean_probs`` or ``mean_entropy`` gets all of the case at once,
    for which the memory may not suffice.

    Args:
        source: Predicts parts.
        planes: Most planes of a slab.
        again: Whether to try once more with half as many where the memory does not suffice.
    """

    def __init__(self, source: Source, planes: int, *, again: bool = True) -> None:
        # Its class is a frozen record; what changes here is only what is held for the next reader.
        vars(self).update(
            regions=source.regions,
            members=(),
            _source=source,
            _planes=planes,
            _again=again,
            _first=0,
            _slab=None,
        )
        lattice = source.lattice
        _log.info(
            "a case of %s voxels is predicted in %d slabs, each window %.1f times",
            "x".join(map(str, lattice.shape)),
            len(lattice.slabs(planes)),
            lattice.passes(planes),
        )

    def __repr__(self) -> str:
        return f"CutPrediction({self.shape}, {self._planes} planes at a time)"

    _source: Source
    _planes: int
    _again: bool
    _first: int
    _slab: Prediction | None

    @property
    def shape(self) -> Triple:
        """Voxels of the case, ``(z, y, x)``."""
        return self._source.lattice.shape

    @property
    def device(self) -> torch.device:
        """Where the tensors will be."""
        return self._source.device

    @property
    def slabs(self) -> Sequence[slice]:
        """Planes along z that are best read together, one slab after the other."""
        return self._source.lattice.slabs(self._planes)

    @property
    def channels(self) -> int:
        """How many there are: classes, or regions."""
        return self._source.channels

    def part(self, planes: slice, rows: slice) -> Prediction:
        """Some planes and rows; the planes that follow are held for whoever comes next."""
        begin, stop, _ = planes.indices(self.shape[0])
        held = self._slab
        if held is None or begin < self._first or stop > self._first + held.shape[0]:
            del held
            held = self._take(begin, stop)
        return held.part(slice(begin - self._first, stop - self._first), rows)

    def box(self, place: Box) -> Prediction:
        """A box, such as a patch, which costs the windows that hold any of it."""
        z, y, x = (
            slice(*part.indices(length)[:2]) for part, length in zip(place, self.shape, strict=True)
        )
        with enough_memory("to predict part of a case", *MENDS):
            return self._source.box((z, y, x))

    @cached_property
    def embedding(self) -> Embedding | None:
        """Features of the case, from a pass of their own."""
        with enough_memory("to gather the features of a case", *MENDS):
            return self._source.embedding()

    @cached_property
    def _whole(self) -> Prediction:
        vars(self).update(_slab=None)
        with enough_memory(f"to hold all of a case of {self.shape} voxels, as its strategy needs"):
            return self._source.box(whole(self.shape))

    @property
    def mean_probs(self) -> "Probs":
        """Of all of the case."""
        return self._whole.mean_probs

    @property
    def mean_entropy(self) -> "ScoreMap | None":
        """Of all of the case."""
        return self._whole.mean_entropy

    def _take(self, begin: int, stop: int) -> Prediction:
        """Hold the slab that begins there, in the place of the one before."""
        vars(self).update(_slab=None)
        if self._again:
            try:
                return self._predict(begin, stop)
            except torch.OutOfMemoryError as error:
                _log.info("%s; once more with half as many planes", error)
                vars(self).update(_again=False, _planes=max(1, self._planes // 2))
            # Behind the handler: what failed held its tensors.
            give_back(self.device)
        with enough_memory(f"to predict {self._planes} planes of a case", *MENDS):
            return self._predict(begin, stop)

    def _predict(self, begin: int, stop: int) -> Prediction:
        slab = self._source.lattice.slab(begin, self._planes)
        planes = slice(begin, max(stop, slab.stop))
        _, height, width = whole(self.shape)
        held = self._source.box((planes, height, width))
        vars(self).update(_first=begin, _slab=held)
        return held


def give_back(device: torch.device) -> None:
    """Let go of all memory that nothing needs any more."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
