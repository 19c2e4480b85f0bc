"""How the cases of a dataset lie in their scanners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from alsweep.data.case import Dataset


def axis_codes(dataset: Dataset) -> str | None:
    """Where the axes ``(x, y, z)`` of all source images point to, such as ``RAS``.

    None where they do not all point the same way: then it means nothing to a network.
    """
    import nibabel

    codes = {
        "".join(nibabel.aff2axcodes(np.asarray(case.affine))) for case in dataset.cases.values()
    }
    return codes.pop() if len(codes) == 1 else None


class Turned(NamedTuple):
    """A volume whose axes were exchanged and flipped, and how that is undone.

    Attributes:
        array: ``(z, y, x)``.
        affine: Voxel index ``(x, y, z)`` to RAS, mm.
        back: Orientation transform from it to the volume as it was, for :func:`turned_back`.
    """

    array: np.ndarray[Any, Any]
    affine: np.ndarray[Any, Any]
    back: np.ndarray[Any, Any]


def turned(array: np.ndarray[Any, Any], affine: np.ndarray[Any, Any], codes: str | None) -> Turned:
    """Turn a volume so that its axes ``(x, y, z)`` point where ``codes`` say; no voxel changes.

    Args:
        array: ``(z, y, x)``.
        affine: Voxel index ``(x, y, z)`` to RAS, mm.
        codes: Such as ``RAS``; None leaves the volume as it is.
    """
    from nibabel import orientations

    now = orientations.io_orientation(affine)
    wanted = now if codes is None else orientations.axcodes2ornt(tuple(codes))
    there = orientations.ornt_transform(now, wanted)
    moved = orientations.apply_orientation(array.T, there)
    place = affine @ orientations.inv_ornt_aff(there, array.T.shape)
    back = orientations.ornt_transform(wanted, now)
    return Turned(np.ascontiguousarray(moved.T), place, back)


def turned_back(array: np.ndarray[Any, Any], back: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What was made on a turned volume, ``(..., z, y, x)``, on the grid that it was turned from."""
    from nibabel import orientations

    found = orientations.apply_orientation(np.moveaxis(array, (-1, -2, -3), (0, 1, 2)), back)
    return np.ascontiguousarray(np.moveaxis(found, (0, 1, 2), (-1, -2, -3)))
