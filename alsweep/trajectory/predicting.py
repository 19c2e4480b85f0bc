"""What the networks of a trajectory say of images that are in no dataset, on their own grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alsweep.data.case import Box, Dataset
from alsweep.data.exchange.images import NewImage, prepared
from alsweep.data.exchange.volumes import NIFTI, write_volume
from alsweep.data.ingest.writing import new_folder
from alsweep.model.regrid import on_source, original_labels

if TYPE_CHECKING:
    from alsweep.trajectory.stored_networks import StoredNetworks
    from alsweep.types import Probs

OnImage = Callable[[int], None]


@dataclass(frozen=True)
class Predictor:
    """Predicts images.

    Attributes:
        networks: That predict.
        dataset: What they were trained on.
        probabilities: Whether these are written, too.
    """

    networks: StoredNetworks
    dataset: Dataset
    probabilities: bool = False

    def write(
        self,
        images: Mapping[str, Sequence[Path]],
        out: Path,
        on_image: OnImage = lambda done: None,
    ) -> list[Path]:
        """Write the labels of images, each on the grid of its file.

        Args:
            images: Files of each image by its name, in the order of the channels.
            out: Folder; must not exist.
            on_image: Called with the number of finished images.

        Returns:
            The label files.

        Raises:
            IngestError: An image cannot be read.
            DatasetError: ``out`` exists.
        """
        with new_folder(out) as new:
            for done, (name, files) in enumerate(images.items()):
                on_image(done)
                self._write(prepared(name, files, self.dataset), new)
        return [out / f"{name}{NIFTI}" for name in images]

    def _write(self, image: NewImage, folder: Path) -> None:
        prediction = self.networks.of_image(image.volume)
        manifest = self.dataset.manifest
        order = manifest.regions_class_order
        labels = original_labels(prediction, image.info, manifest.spacing, order)
        write_volume(folder / f"{image.name}{NIFTI}", image.on_file(labels), image.affine)
        if self.probabilities:
            path = folder / f"{image.name}_probabilities{NIFTI}"
            write_volume(
                path, image.on_file(self._on_source(prediction.mean_probs, image)), image.affine
            )

    def _on_source(self, probs: Probs, image: NewImage) -> np.ndarray:
        """Probabilities on the grid of the source; what the crop left out is surely background."""
        whole = Box(start=(0, 0, 0), size=image.info.original_shape)
        found = on_source(probs, image.info, self.dataset.manifest.spacing, whole)
        if not self.dataset.manifest.regions:
            outside = np.ones(image.info.original_shape, dtype=bool)
            outside[image.info.crop.slices] = False
            found[0, outside] = 1
        return found
