"""Where the voxels of a file lie: one affine, and what in its header speaks against it."""

from __future__ import annotations

from itertools import product
from math import isfinite
from typing import TYPE_CHECKING, Literal

import numpy as np

from alsweep.config.base import Frozen
from alsweep.errors import IngestError

if TYPE_CHECKING:
    from jaxtyping import Float64

    from alsweep.data.case import Spacing

    Affine = Float64[np.ndarray, "4 4"]

ROUNDING = 0.05
"""Voxels by which corners may lie apart where one grid is written in two ways, as quaternion and as
matrix, in single precision."""

_SAME_SIZE = 1e-3
_FLAT = 1e-4
_FAR = 1e30
_SHORTEST_MM = 1
_MM = {
    1e-6: ("nm", "nanometer", "nanometre"),
    1e-3: ("um", "µm", "μm", "Âµm", "Î¼m", "micron", "micrometer", "micrometre"),
    1.0: ("", "?", "???", "none", "unknown", "mm", "millimeter", "millimetre"),
    10.0: ("cm", "centimeter", "centimetre"),
    1000.0: ("m", "meter", "metre"),
}
"""Factors to mm. A µ has two code points, and more bytes in UTF-8 than in Latin-1."""

_FACTORS = {name.lower(): factor for factor, names in _MM.items() for name in names}

Oddness = Literal["spacing", "orientation", "nowhere", "unit"]


class Oddity(Frozen):
    """Something in a header that contradicts what is taken from it, though it may be harmless.

    Attributes:
        kind: ``spacing``: voxel size and affine disagree. ``orientation``: two affines disagree.
            ``nowhere``: there is none. ``unit``: nobody knows it, and it is taken for mm.
        detail: What was found, for a message.
        file: Path relative to the raw dataset; the reader of a single file leaves it empty.
    """

    kind: Oddness
    detail: str
    file: str = ""


def settled_spacing(affine: Affine, told: Spacing, name: str) -> tuple[Spacing, tuple[Oddity, ...]]:
    """Voxel size by the affine, mm ``(z, y, x)``, and whether the header says another one too.

    Within a thousandth both are the same, and what the header says is free of the affine's
    rounding.

    Args:
        affine: Voxel index ``(x, y, z)`` to mm.
        told: What the header says, mm ``(z, y, x)``.
        name: What to call the file in messages.

    Raises:
        IngestError: A size is not positive, or the affine is singular or not finite.
    """
    positive(told, name)
    with np.errstate(all="ignore"):
        # NaN fails the comparison.
        if not (np.isfinite(affine).all() and _flatness(affine) >= _FLAT):
            raise IngestError(f"{name}: its affine is singular or not finite; mend the header")
        x, y, z = (float(size) for size in np.linalg.norm(affine[:3, :3], axis=0))
    sizes = positive((z, y, x), name)
    ratios = np.array(sizes) / np.array(told)
    if np.abs(ratios - 1).max() <= _SAME_SIZE:
        return told, ()
    return sizes, (Oddity(kind="spacing", detail=f"{shown(told)} against {shown(sizes)} mm"),)


def positive(spacing: Spacing, name: str) -> Spacing:
    """Give a spacing back; refuse one that is not positive."""
    if not all(isfinite(value) and value > 0 for value in spacing):
        raise IngestError(
            f"{name}: its spacing is {shown(spacing)} mm; each must be positive, mend the header"
        )
    return spacing


def shown(spacing: Spacing) -> str:
    """A spacing for a message."""
    return " x ".join(f"{value:g}" for value in spacing)


def displacement(affine: Affine, other: Affine, shape: tuple[int, ...]) -> float:
    """Largest distance of two corners that should coincide, along an axis, in voxels of ``other``.

    Args:
        affine: Voxel index ``(x, y, z)`` to mm.
        other: Likewise, not singular.
        shape: Of both volumes ``(z, y, x)``.
    """
    corners = np.array(list(product(*[(0, n - 1) for n in shape[::-1]])), dtype=np.float64)
    homogeneous = np.column_stack([corners, np.ones(len(corners))])
    with np.errstate(all="ignore"):
        index = (np.linalg.solve(other, affine) @ homogeneous.T)[:3].T
    return float(np.nan_to_num(np.abs(index - corners), nan=_FAR, posinf=_FAR).max())


def millimetres(unit: str) -> float | None:
    """How many mm a unit of length is; an unspoken one is taken for mm, None is an unknown one.

    >>> millimetres("um"), millimetres("Meters"), millimetres("parsec")
    (0.001, 1000.0, None)
    """
    plain = unit.strip().lower()
    return _FACTORS.get(plain, _FACTORS.get(plain.removesuffix("s")))


def unspoken_unit(shape: tuple[int, ...], spacing: Spacing) -> tuple[Oddity, ...]:
    """Whether mm are hard to believe where the header says nothing: metres look so.

    Args:
        shape: ``(z, y, x)``.
        spacing: ``(z, y, x)``, taken for mm.
    """
    length = max((n * s for n, s in zip(shape[-3:], spacing, strict=False)), default=0.0)
    if length >= _SHORTEST_MM:
        return ()
    return (Oddity(kind="unit", detail=f"none is named, {length:.2g} mm long"),)


def scaled(affine: Affine, factor: float) -> Affine:
    """The affine with lengths in a unit that is ``factor`` times smaller."""
    longer: Affine = np.diag([factor, factor, factor, 1.0]) @ affine
    return longer


def _flatness(affine: Affine) -> float:
    """How far the voxel axes are from lying in a plane: 0 if they do, 1 at right angles."""
    axes = affine[:3, :3]
    lengths = np.linalg.norm(axes, axis=0)
    return abs(float(np.linalg.det(axes / lengths))) if lengths.all() else 0.0
