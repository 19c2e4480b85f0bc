"""A pool of arrays: what a strategy may see, without a dataset and without a network."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from alsweep.errors import StrategyError
from alsweep.geometry import Patch, QueriedPatch, Triple, by_case, triple
from alsweep.query.base import Embedding, PoolCase, Prediction, Request, Streams
from alsweep.rng import stream

if TYPE_CHECKING:
    from torch import Tensor

    from alsweep.types import LabelMap, Volume

CLASSES = ("background", "organ", "lesion")
_FEATURES = 6
_CELL = 4


@dataclass
class ArrayPool:
    """A pool whose cases are arrays.

    Attributes:
        references: Case to its ground truth, ``(z, y, x)``.
        given: Case to its prediction; may be empty for strategies that need none.
        taken: The patches annotated so far.
        classes: Class names; the index is the label.
        workers: Cases that may be scored at the same time.
        oracle: Whether ground truth may be asked for.
        labels: Whether the classes of annotated patches may be asked for.
        queried: What another trajectory queried, for strategies that replay.
        free: Case to its free labels, where it has some.
        images: Whether intensities may be asked for.
        encoder: Whether what a pretrained encoder makes of a case may be asked for.
        reference_reads: How often ground truth was asked for.
        label_reads: How often the classes of an annotated patch were asked for.
        image_reads: How often the intensities of a case were asked for.
        encoder_reads: How often it was asked what a pretrained encoder makes of a case.
    """

    references: Mapping[str, "LabelMap"]
    given: Mapping[str, Prediction] = field(default_factory=dict)
    taken: Sequence[Patch] = ()
    classes: tuple[str, ...] = CLASSES
    workers: int = 1
    oracle: bool = True
    labels: bool = True
    queried: Sequence[QueriedPatch] = ()
    free: Mapping[str, "LabelMap"] = field(default_factory=dict)
    images: bool = True
    encoder: bool = True
    reference_reads: int = 0
    label_reads: int = 0
    image_reads: int = 0
    encoder_reads: int = 0

    @property
    def foreground(self) -> int:
        """Channels of a prediction that are foreground."""
        for prediction in self.given.values():
            return prediction.foreground_channels
        return len(self.classes) - 1

    @property
    def cases(self) -> tuple[PoolCase, ...]:
        """All cases, by id."""
        own = by_case(self.taken)
        return tuple(
            PoolCase(case, triple(volume.shape), tuple(own.get(case, ())), self.free.get(case))
            for case, volume in sorted(self.references.items())
        )

    def predictions(self) -> Iterator[tuple[PoolCase, Prediction]]:
        """Each case with its prediction."""
        for case in self.cases:
            yield case, self.given[case.case]

    def image(self, case: str) -> "Volume":
        """Intensities of a case: brighter where it is labelled, and noise that is the case's own.

        Raises:
            StrategyError: The pool gives none.
        """
        self.image_reads += 1
        if not self.images:
            raise StrategyError("a strategy asked for images; let its needs name 'images'")
        labels = self.references[case]
        noise = stream(0, "image", case).normal(size=labels.shape)
        return (labels + noise / 4).astype(np.float32)[None]

    def pretrained(self, case: str) -> Embedding:
        """Features that are a case's own, and drawn for it.

        Raises:
            StrategyError: The pool has no encoder.
        """
        import torch

        self.encoder_reads += 1
        if not self.encoder:
            raise StrategyError(
                "a strategy asked for a pretrained encoder; let its needs name 'pretrained'"
            )
        grid = [max(1, n // _CELL) for n in self.references[case].shape]
        drawn = stream(0, "encoder", case).normal(size=(_FEATURES, *grid))
        return Embedding(torch.from_numpy(drawn.astype(np.float32)), (_CELL, _CELL, _CELL))

    def reference(self, case: str) -> "LabelMap":
        """Ground truth of a case.

        Raises:
            StrategyError: The pool gives none.
        """
        self.reference_reads += 1
        if not self.oracle:
            raise StrategyError(
                "a strategy asked for reference labels; declare uses_oracle = True on its class"
            )
        return self.references[case]

    def annotated_classes(self, patch: Patch) -> np.ndarray:
        """Voxels of each label in an annotated patch.

        Raises:
            StrategyError: The pool gives none.
        """
        self.label_reads += 1
        if not self.labels:
            raise StrategyError(
                "a strategy asked for the labels of annotated patches; let its needs name "
                "'annotated_labels'"
            )
        assert patch in self.taken, f"{patch} is not annotated"
        values = self.references[patch.case][patch.slices].ravel()
        return np.bincount(values, minlength=len(self.classes))[: len(self.classes)]

    def replayed(self, source: str, strategy: str = "") -> Sequence[QueriedPatch]:
        """The queried patches that the pool was given, whatever the source."""
        return self.queried

    def with_workers(self, workers: int) -> "ArrayPool":
        """The same pool, scored by as many workers."""
        return replace(self, workers=workers)


def make_references(cases: int = 5, shape: Triple = (24, 24, 24)) -> dict[str, "LabelMap"]:
    """Ground truth of a few cases: an organ in one corner, a small lesion in another."""
    references = {}
    for index in range(cases):
        volume = np.zeros(shape, dtype=np.uint8)
        near, far = [max(1, n // 6) for n in shape], [max(1, 2 * n // 3) for n in shape]
        volume[tuple(slice(a, a + max(1, n // 3)) for a, n in zip(near, shape, strict=True))] = 1
        volume[tuple(slice(b, b + 1 + index % 2) for b in far)] = 2
        references[f"case_{index}"] = volume
    return references


def make_prediction(
    shape: Triple, *, seed: int = 0, classes: int = len(CLASSES), members: int = 2
) -> Prediction:
    """A prediction with everything that a strategy can need, from random logits."""
    import torch

    from alsweep.query.maps import entropy

    generator = torch.Generator().manual_seed(seed)

    def draw(*size: int) -> "Tensor":
        return torch.randn(*size, generator=generator)

    probs = [(draw(classes, *shape) * 3).softmax(dim=0) for _ in range(members)]
    grid = [max(1, n // _CELL) for n in shape]
    return Prediction(
        mean_probs=torch.stack(probs).mean(dim=0),
        mean_entropy=torch.stack([entropy(p) for p in probs]).mean(dim=0),
        embedding=Embedding(draw(_FEATURES * members, *grid), (_CELL, _CELL, _CELL)),
        members=tuple(probs),
        gradient=Embedding(draw(_FEATURES * classes, *grid), (_CELL, _CELL, _CELL)),
        soft_gradient=Embedding(draw(_FEATURES * classes, *grid), (_CELL, _CELL, _CELL)),
    )


def make_pool(
    cases: int = 5, shape: Triple = (24, 24, 24), *, seed: int = 0, taken: Sequence[Patch] = ()
) -> ArrayPool:
    """A pool with random predictions."""
    references = make_references(cases, shape)
    given = {
        case: make_prediction(shape, seed=1000 * seed + index)
        for index, case in enumerate(references)
    }
    return ArrayPool(references, given, taken)


def make_request(
    patches: int,
    patch_size: Triple = (6, 6, 6),
    *,
    strides: Triple = (1, 1, 1),
    overlap: float = 0.0,
    per_case: int | None = None,
    loop: int = 0,
    loops: int = 5,
) -> Request:
    """A request; as many patches of one case as are wanted in all, unless said otherwise."""
    most = patches if per_case is None else per_case
    return Request(patches, patch_size, strides, overlap, most, loop, loops)


def make_streams(seed: int = 0, loop: int = 0) -> Streams:
    """The generators of one query."""
    return partial(stream, seed, "query", loop)
