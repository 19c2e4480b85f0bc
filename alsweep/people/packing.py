"""Volumes as text in a page: few bytes, exact codes, and a way back to what they mean."""

from __future__ import annotations

import base64
import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float, UInt8, UInt16

_FINEST, _COARSEST = 2048, 512
"""Steps between the darkest and the brightest voxels, of images without noise and of noisy ones: no
screen shows more greys than half of the latter."""

_OF_NOISE = 1 / 16
"""A step by the noise: what is finer costs most of the bytes and shows nothing."""

_NOISE_OF_STEPS = 0.954
"""Median of the difference of two numbers whose noise has a standard deviation of 1."""

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

    codes: UInt16[np.ndarray, ...]
    slope: float
    offset: float


def pack(values: Float[np.ndarray, ...], steps: int | None = None) -> Packed:
    """Round to steps that nobody sees; whole numbers stay exact unless their noise is far larger.

    Args:
        values: What is not finite is taken as the lowest, or as the highest where it is +inf.
        steps: Within the bulk of the values; the tails get as many more as they need. By the
            noise if left out.
    """
    finite = _finite(np.asarray(values, dtype=np.float64))
    low, high = float(finite.min()), float(finite.max())
    wanted = _bulk(finite) / steps if steps else _unseen(finite)
    slope = max(wanted, (high - low) / _CODES)
    codes = np.rint((finite - low) / slope).astype(np.uint16)
    return Packed(codes, slope, low)


def _finite(values: Float[np.ndarray, ...]) -> Float[np.ndarray, ...]:
    known = values[np.isfinite(values)]
    low, high = (known.min(), known.max()) if known.size else (0.0, 0.0)
    kept: Float[np.ndarray, ...] = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    return kept


def _bulk(values: Float[np.ndarray, ...]) -> float:
    low, high = np.quantile(values, [_TAIL, 1 - _TAIL])
    return float(high - low) or float(np.ptp(values)) or 1.0


def _unseen(values: Float[np.ndarray, ...]) -> float:
    """The largest step that shows nowhere."""
    bulk = _bulk(values)
    noise = (
        float(np.median(np.abs(np.diff(values)))) / _NOISE_OF_STEPS if values.shape[-1] > 1 else 0.0
    )
    slope = min(max(noise * _OF_NOISE, bulk / _FINEST), bulk / _COARSEST)
    whole = np.array_equal(values, np.rint(values))
    return max(1.0, float(int(slope))) if whole else slope


def coarsened(
    codes: UInt16[np.ndarray, "z y x"], factors: Sequence[int]
) -> UInt16[np.ndarray, ...]:
    """Means of blocks of ``factors`` voxels, even numbers, so that less noise is stored.

    A block that sticks out is filled up with the voxels at its edge.
    """
    pads = [(0, -n % f) for n, f in zip(codes.shape, factors, strict=True)]
    padded = np.pad(codes, pads, mode="edge")
    blocks = [m for n, f in zip(padded.shape, factors, strict=True) for m in (n // f, f)]
    means = padded.reshape(blocks).mean(axis=(1, 3, 5))
    even: UInt16[np.ndarray, ...] = (2 * np.rint(means / 2)).clip(0, _CODES - 1).astype(np.uint16)
    return even


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
