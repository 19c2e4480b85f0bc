"""What nnActive's trainer does otherwise than nnU-Net's own."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Int64

    Places = Mapping[Any, Int64[np.ndarray, "voxel channel_z_y_x"]]
    GetBox = Callable[[Sequence[int], bool, Places], Any]


def follow_nnactive(trainer: Any) -> None:
    """Let an nnU-Net trainer draw windows and take Dice as nnActive's does.

    Dice is not smoothed. Where labels are partial, a window that is not forced onto foreground is
    no longer centred on an annotated voxel, but off it by up to half a window. All else is that of
    the installed nnU-Net, which is newer than nnActive's.

    Source: ``nnUNetTrainer_betterIgnoreSampling_noSmooth`` in MIC-DKFZ/nnUNet, ``nnActive_base``.
    """
    loss = getattr(trainer.loss, "loss", trainer.loss)
    # What torch.compile made of it keeps the original inside.
    getattr(loss.dc, "_orig_mod", loss.dc).smooth = 0.0
    loader = trainer.dataloader_train.data_loader
    if loader.has_ignore:
        loader.get_bbox = partial(_shifted, loader.get_bbox, loader)


def _shifted(
    get_box: "GetBox", loader: Any, shape: Sequence[int], force_fg: bool, places: "Places"
) -> Any:
    """The window round a voxel that is shifted from an annotated one, or what nnU-Net would take.

    Args:
        get_box: nnU-Net's own choice.
        loader: That draws windows.
        shape: Of the case, ``(z, y, x)``.
        force_fg: Whether the window is to hold foreground.
        places: Voxels of each class, and of all classes.
    """
    annotated = places[loader.annotated_classes_key]
    if force_fg or not len(annotated):
        return get_box(shape, force_fg, places)
    # nnU-Net draws from the global generator, which is seeded for each epoch.
    voxel = annotated[np.random.choice(len(annotated))].copy()  # noqa: NPY002
    half = np.array(loader.patch_size) // 2
    low, high = -np.minimum(voxel[1:], half), np.minimum(shape - voxel[1:], half)
    voxel[1:] += np.random.randint(low, high)  # noqa: NPY002
    return get_box(shape, force_fg, {loader.annotated_classes_key: voxel[None]})
