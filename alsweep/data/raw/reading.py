"""Reading one volume from a file that nobody vouches for: NIfTI, NRRD or MetaImage."""

from __future__ import annotations

import io
import stat
from dataclasses import replace
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np

from alsweep.data.raw.itk import itk_voxels, read_itk
from alsweep.data.raw.nifti import nifti_voxels, read_nifti
from alsweep.data.raw.volume import RawVolume, check_kind
from alsweep.errors import IngestError

if TYPE_CHECKING:
    from pathlib import Path

ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")
_LARGEST_VALUE = 1e30
_LFS = b"version https://git-lfs"


def read_volume(
    path: Path, name: str, *, stacked: bool = False, reorient: bool = False
) -> RawVolume:
    """Read a volume.

    Args:
        path: The file.
        name: What to call it in messages.
        stacked: Whether a fourth axis, last in the file, is allowed and means channels.
        reorient: Whether to turn the axes to those of RAS, by exchanges and flips alone.

    Raises:
        IngestError: The file is missing, no regular file, truncated, corrupt, not a 3D volume of
            finite numbers, or has no positive spacing. One line with the mend.
    """
    size = _checked_size(path, name)
    if path.name.endswith((".nii", ".nii.gz")):
        volume = read_nifti(path, size, name)
    else:
        volume = read_itk(path, size, name)
    _check_axes(volume, name, stacked)
    # NaN fails both comparisons.
    if not (volume.array.min() > -_LARGEST_VALUE and volume.array.max() < _LARGEST_VALUE):
        raise IngestError(
            f"{name}: holds NaN or infinite values, or some beyond {_LARGEST_VALUE:g}; replace them"
        )
    return _to_ras(volume, name) if reorient else volume


def promised_voxels(path: Path) -> int:
    """Voxels that the header of a file speaks of; 0 where it cannot be read."""
    try:
        _checked_size(path, path.name)
        if path.name.endswith((".nii", ".nii.gz")):
            return nifti_voxels(path, path.name)
        return itk_voxels(path, path.name)
    except (IngestError, OSError):
        return 0


def _to_ras(volume: RawVolume, name: str) -> RawVolume:
    """The same voxels in the same place, with axes that point right, anterior and superior."""
    turns = nib.orientations.io_orientation(volume.affine)
    if np.isnan(turns).any():
        raise IngestError(f"{name}: its affine is too askew to be turned; mend the header")
    array, shape = volume.array.T, volume.array.shape[:-4:-1]
    turned = nib.orientations.apply_orientation(array, turns)
    x, y, z = (volume.spacing[::-1][axis] for axis in np.argsort(turns[:, 0]))
    affine = volume.affine @ nib.orientations.inv_ornt_aff(turns, shape)
    return replace(volume, array=np.ascontiguousarray(turned.T), spacing=(z, y, x), affine=affine)


def _checked_size(path: Path, name: str) -> int:
    """Bytes of a regular file that is not empty and not the stand-in for another one."""
    try:
        # Before it is opened: that of a FIFO would wait for ever.
        if not stat.S_ISREG(path.stat().st_mode):
            raise IngestError(f"{name}: is not a regular file; put the volume itself there")
        with path.open("rb") as file:
            start = file.read(len(_LFS))
            size = file.seek(0, io.SEEK_END)
    except FileNotFoundError:
        raise IngestError(
            f"{name}: is missing; add the file, or leave the case out by --bad-cases skip"
        ) from None
    except OSError as error:
        raise IngestError(
            f"{name}: cannot be read ({error.strerror}); mend its permissions"
        ) from None
    if not size:
        raise IngestError(f"{name}: is empty; copy or export it again")
    if start == _LFS:
        raise IngestError(f"{name}: is a Git LFS pointer, not a volume; run 'git lfs pull'")
    return size


def _check_axes(volume: RawVolume, name: str, stacked: bool) -> None:
    shape = volume.array.shape
    axes = "x".join(map(str, shape[::-1]))
    if len(shape) == 4 and not stacked:
        raise IngestError(f"{name}: has four axes ({axes}); write one 3D file per channel")
    if len(shape) not in (3, 4) or min(shape[-3:]) < 2:
        raise IngestError(
            f"{name}: is not three-dimensional ({axes} voxels); alsweep needs 3D volumes"
        )
    check_kind(volume.array.dtype, name)
