"""Vary training patches: turn, scale, mirror, and change intensities as other scanners would."""

from math import pi
from typing import TYPE_CHECKING

import numpy as np
import torch
from monai.transforms import (
    AffineGrid,
    Compose,
    RandAdjustContrast,
    RandGaussianNoise,
    RandGaussianSmooth,
    RandomizableTransform,
    RandScaleIntensity,
    RandScaleIntensityFixedMean,
    RandSimulateLowResolution,
    Resample,
)

from alsweep.config.augmentation import AugmentationConfig
from alsweep.geometry import Triple, box_slices, triple

if TYPE_CHECKING:
    from jaxtyping import Float32, UInt8

    Image = Float32[np.ndarray, "channel z y x"]
    Target = UInt8[np.ndarray, "z y x"]

_FLAT = 3
"""A patch whose other edges are longer than this many times its z edge is turned in plane only."""


class Augmentation:
    """Changes one training patch at a time.

    Args:
        config: What is done how often.
        window: Size of the patch that comes out ``(z, y, x)``, voxels.
        axes: Spatial axes (0 = z) that may be mirrored.

    Source: nnU-Net v2 (2.8), ``get_training_transforms``. Turning and scaling are one resampling
    here. Voxels from beyond the image are ignored, where nnU-Net calls them background.
    """

    def __init__(self, config: AugmentationConfig, window: Triple, axes: tuple[int, ...]) -> None:
        self._config = config
        self._window = window
        self._axes = axes
        self._flat = max(window) > _FLAT * window[0]
        self._intensity = Compose(_intensity(config))

    @property
    def margin(self) -> Triple:
        """Voxels to be read on either side of the window, so that a turned one is filled."""
        reach = 2 if self._config.spatial else 0
        return triple(n // reach if reach else 0 for n in self._window)

    def __call__(
        self, image: "Image", target: "Target", rng: np.random.Generator
    ) -> "tuple[Image, Target]":
        """Change a patch.

        Args:
            image: The window with its margin.
            target: Class ids in the same place, 255 where not annotated.
            rng: Source of all draws.

        Returns:
            Image and target of the window's size.
        """
        image, target = self._spatial(image, target, rng)
        if self._intensity.transforms:
            self._intensity.set_random_state(int(rng.integers(2**32)))
            changed = self._intensity(torch.from_numpy(np.ascontiguousarray(image)))
            image = np.asarray(changed, dtype=np.float32)
        flipped = tuple(axis for axis in self._axes if rng.random() < 0.5)
        return np.flip(image, tuple(axis + 1 for axis in flipped)), np.flip(target, flipped)

    def _spatial(
        self, image: "Image", target: "Target", rng: np.random.Generator
    ) -> "tuple[Image, Target]":
        config = self._config
        turns = config.rotation > 0 and rng.random() < config.rotation
        scales = config.scaling > 0 and rng.random() < config.scaling
        if not turns and not scales:
            inner = box_slices(self.margin, self._window)
            return image[(slice(None), *inner)], target[inner]
        angles = self._angles(rng) if turns else (0.0, 0.0, 0.0)
        scale = rng.uniform(config.smallest, config.largest) if scales else 1.0
        # The grid says where each voxel comes from, so that what is to grow is read from less.
        step = (1.0 if self._flat else 1 / scale, 1 / scale, 1 / scale)
        grid, _ = AffineGrid(rotate_params=angles, scale_params=step)(self._window)
        return _resampled(image, grid, "bilinear"), _resampled_labels(target, grid)

    def _angles(self, rng: np.random.Generator) -> tuple[float, float, float]:
        """About z, y and x, radians."""
        if self._flat:
            return rng.uniform(-pi, pi), 0.0, 0.0
        most = self._config.degrees * pi / 180
        z, y, x = rng.uniform(-most, most, 3).tolist()
        return z, y, x


def _resampled(volume: "Image", grid: torch.Tensor, mode: str) -> "Image":
    """Values at the places of ``grid``, 0 beyond the volume."""
    resample = Resample(mode=mode, padding_mode="zeros")
    found = resample(torch.from_numpy(np.ascontiguousarray(volume)), grid=grid)
    return np.asarray(found, dtype=np.float32)


def _resampled_labels(target: "Target", grid: torch.Tensor) -> "Target":
    # One is added, so that 255, not annotated, becomes the 0 that is also beyond the volume.
    shifted = (target + np.uint8(1)).astype(np.float32)[None]
    return _resampled(shifted, grid, "nearest")[0].astype(np.uint8) - np.uint8(1)


def _intensity(config: AugmentationConfig) -> list[RandomizableTransform]:
    """nnU-Net's changes of intensity, in its order; those that never happen are left out."""
    sigma = (0.5, 1.0)
    gamma = (0.7, 1.5)
    changes = [
        (config.noise, RandGaussianNoise(config.noise, std=0.1)),
        (config.blur, RandGaussianSmooth(sigma, sigma, sigma, prob=config.blur)),
        (config.brightness, RandScaleIntensity(0.25, prob=config.brightness, channel_wise=True)),
        (
            config.contrast,
            RandScaleIntensityFixedMean(config.contrast, factors=0.25, preserve_range=True),
        ),
        (
            config.low_resolution,
            RandSimulateLowResolution(config.low_resolution, zoom_range=(0.5, 1.0)),
        ),
        (
            config.inverted_gamma,
            RandAdjustContrast(config.inverted_gamma, gamma, invert_image=True, retain_stats=True),
        ),
        (config.gamma, RandAdjustContrast(config.gamma, gamma, retain_stats=True)),
    ]
    return [transform for probability, transform in changes if probability]
