"""Volumes as text in a page: few bytes, exact codes, and a way back to what they mean."""

from __future__ import annotations

import base64
import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8, UInt16

_FINE = 2048
"""Steps between the darkest and the brightest voxels: a window of an eighth still has all greys of
a screen, and the noise below a step, which no gzip makes smaller, is left out."""

_CODES = 65535
_TAIL = 0.005
"""Share of the voxels on each side that may be as bright as they like: metal makes no steps coarser
while there are codes for it."""

_LEVEL = 6


@dataclass(frozen=True, eq=False)
class Packed:
    """A volume as integers.

    Attributes:
        codes: Any shape.
        slope: With ``offset`` the way back: value = offset + slope * code.
        offset: The value of code 0.
    """

    codes: UInt16[np.ndarray, "..."]
    slope: float
    offset: float


def pack(values: Float[np.ndarray, ...], steps: int = _FINE) -> Packed:
    """Round to at least ``steps`` steps between the tails; what is whole and no finer, is exact.

    Args:
        values: What is not finite is taken as the lowest, or as the highest where it is +inf.
        steps: Within the bulk of the values; the tails get as many more as they need.
    """
    finite = _finite(np.asarray(values, dtype=np.float64))
    low, high = float(finite.min()), float(finite.max())
    slope = max(_slope(finite, steps), (high - low) / _CODES)
    codes = np.rint((finite - low) / slope).astype(np.uint16)
    return Packed(codes, slope, low)


def _finite(values: Float[np.ndarray, ...]) -> Float[np.ndarray, ...]:
    known = values[np.isfinite(values)]
    low, high = (known.min(), known.max()) if known.size else (0.0, 0.0)
    return np.nan_to_num(values, nan=low, posinf=high, neginf=low)


def _slope(values: Float[np.ndarray, ...], steps: int) -> float:
    low, high = np.quantile(values, [_TAIL, 1 - _TAIL])
    bulk = float(high - low) or float(np.ptp(values)) or 1.0
    if bulk <= 2 * steps and np.array_equal(values, np.rint(values)):
        return 1.0
    return bulk / steps


def volume_text(codes: UInt16[np.ndarray, ...]) -> str:
    """Base64 of gzip of the steps from voxel to voxel, all low bytes before all high bytes.

    Neighbours are alike, so their steps are small; of either sign, they are small as numbers, too.
    """
    steps = np.diff(codes.ravel(), prepend=np.uint16(0)).view(np.int16)
    small = ((steps << 1) ^ (steps >> 15)).view(np.uint16)
    return _text(np.concatenate([small & 255, small >> 8]).astype(np.uint8))


def label_text(codes: UInt8[np.ndarray, ...]) -> str:
    """Base64 of gzip of label codes."""
    return _text(np.ascontiguousarray(codes, dtype=np.uint8))


def _text(content: np.ndarray[Any, np.dtype[np.uint8]]) -> str:
    return base64.b64encode(gzip.compress(content.tobytes(), _LEVEL, mtime=0)).decode()
