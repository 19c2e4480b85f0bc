"""Labels that cost nothing: background where no body is, for cases that bring no such labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from alsweep.config.base import Frozen
from alsweep.data.raw.layout import few
from alsweep.label_codes import IGNORE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alsweep.data.case import Dataset
    from alsweep.data.ingest.crop import Mask
    from alsweep.types import LabelMap

_MOST_NAMED = 10
_BACKGROUND = 0


class Derivation(Frozen):
    """How deriving the free labels of a case went.

    Attributes:
        kind: Outside the nonzero mask, or air; None where nothing was to be derived.
        labelled: Voxels there that have a label, or are to be ignored.
        found: Whether there was any air.
    """

    kind: Literal["mask", "air"] | None = None
    labelled: int = 0
    found: bool = True


def outside_mask(mask: Mask, labels: LabelMap) -> tuple[Derivation, LabelMap | None]:
    """Free labels outside the mask within which intensities are normalised, where none is labelled.

    Args:
        mask: Where any channel is not zero, holes filled.
        labels: ``(z, y, x)``, :data:`~alsweep.label_codes.IGNORE` where there is none.

    Returns:
        What is to be said, and the free labels; None where there are none.

    Source: nnU-Net v2, ``crop_to_nonzero``, whose -1 nnActive writes to ``addTr`` as background
        where the plans say ``use_mask_for_norm``.
    """
    outside = ~mask
    free = outside & (labels == _BACKGROUND)
    labelled = int(outside.sum()) - int(free.sum())
    return Derivation(kind="mask", labelled=labelled), _coded(free) if free.any() else None


def free_air(air: Mask | None, labels: LabelMap) -> tuple[Derivation, LabelMap | None]:
    """Air as free labels; none at all where a voxel of it is labelled, since it then is no air.

    Args:
        air: From :func:`alsweep.data.air.air_mask`.
        labels: ``(z, y, x)``, :data:`~alsweep.label_codes.IGNORE` where there is none.

    Returns:
        What is to be said, and the free labels; None where there are none.
    """
    if air is None:
        return Derivation(kind="air", found=False), None
    labelled = int(np.count_nonzero(labels[air] != _BACKGROUND))
    return Derivation(kind="air", labelled=labelled), None if labelled else _coded(air)


def unlabelled(free: LabelMap, reference: LabelMap) -> LabelMap | None:
    """Resampled free labels, less what resampling brought below a label; None where none is left.

    Both are interpolated on their own, so that at a border, where two are level, both may win.
    """
    kept = (free != IGNORE) & (reference == _BACKGROUND)
    return _coded(kept) if kept.any() else None


def _coded(free: Mask) -> LabelMap:
    return np.where(free, np.uint8(_BACKGROUND), np.uint8(IGNORE))


def free_shares(dataset: Dataset) -> dict[str, float]:
    """Share of the voxels of each case of the pool that has free labels, in 0..1; reads them."""
    labels = {case: dataset.free(case) for case in dataset.pool}
    return {case: float((of != IGNORE).mean()) for case, of in labels.items() if of is not None}


def free_text(dataset: Dataset, shares: Mapping[str, float]) -> str:
    """A sentence on :func:`free_shares` that holds at least one."""
    low, high = (100 * edge for edge in (min(shares.values()), max(shares.values())))
    median = 100 * float(np.median(list(shares.values())))
    return (
        f"in {len(shares)} of {len(dataset.pool)} pool cases, {median:.1f} % of the voxels of the "
        f"median case ({low:.1f} to {high:.1f} %)"
    )


def remarks_of_free(derived: Mapping[str, Derivation], *, air_asked: bool) -> list[str]:
    """Sentences on cases, by id, whose free labels are fewer than one would think."""
    said = []
    if air_asked and any(how.kind == "mask" for how in derived.values()):
        said.append(
            "--free-air adds nothing: intensities are normalised within the nonzero mask, and all "
            "outside of it is free already"
        )
    outside = _labelled(derived, "mask")
    if outside:
        said.append(
            "labels lie where the image is zero, outside the mask that it is normalised in, in "
            f"{few(outside, _MOST_NAMED)}; those voxels are not free"
        )
    inside = _labelled(derived, "air")
    if inside:
        said.append(
            f"no air is free in {few(inside, _MOST_NAMED)}: it holds a label, and so is no air; "
            "look at them, or give free labels in addTr"
        )
    airless = [case for case, how in derived.items() if not how.found]
    if airless:
        said.append(
            f"no air is free in {len(airless)} cases ({few(airless, _MOST_NAMED)}): nothing at "
            "the image's border is surely air by its intensities; if there is some, give free "
            "labels in addTr"
        )
    return said


def _labelled(derived: Mapping[str, Derivation], kind: str) -> list[str]:
    return [
        f"{case} ({how.labelled} voxels)"
        for case, how in derived.items()
        if how.kind == kind and how.labelled
    ]
