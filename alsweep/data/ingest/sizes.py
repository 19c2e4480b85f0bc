"""Cases that are small beside a training patch."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal

from alsweep.data.raw.layout import few
from alsweep.geometry import triple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alsweep.data.case import CaseInfo, Dataset
    from alsweep.geometry import Triple

_SMALL = 0.5
_MOST_NAMED = 10


def training_patch(asked: Triple | Literal["plan"], dataset: Dataset) -> Triple:
    """The training patch ``(z, y, x)`` that a config gets: no longer than the pool's longest axes.

    Args:
        asked: ``training.patch_size``.
        dataset: What it is trained on.
    """
    if asked == "plan":
        return dataset.manifest.plan.patch_size
    longest = dataset.pool_shapes.max(axis=0)
    return triple(min(a, int(n)) for a, n in zip(asked, longest, strict=True))


def dwarfed(cases: Iterable[CaseInfo], patch: Triple) -> list[CaseInfo]:
    """Cases that are shorter than a patch along every axis and fill less than half of it."""
    return [
        case
        for case in cases
        if all(n < p for n, p in zip(case.shape, patch, strict=True))
        and case.voxels < _SMALL * prod(patch)
    ]


def dwarfed_text(cases: list[CaseInfo], patch: Triple) -> str:
    """A sentence on cases that are :func:`dwarfed`."""
    shown = few((f"{case.id} ({_by(case.shape)})" for case in cases), _MOST_NAMED)
    return (
        f"smaller than a training patch of {_by(patch)} voxels, of which zeros fill the rest: "
        f"{shown}"
    )


def _by(shape: Triple) -> str:
    return "x".join(map(str, shape))
