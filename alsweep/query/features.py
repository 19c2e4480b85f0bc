"""What tells patches apart before there is a network: features of images alone, by name."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy import ndimage

from alsweep.errors import StrategyError
from alsweep.query.candidates import patch_features

if TYPE_CHECKING:
    from alsweep.geometry import Patch
    from alsweep.query.pool import Pool
    from alsweep.types import Volume

GROUP = "alsweep.features"

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_SCALES = (1.0, 2.0)
"""Of the Gaussians that derivatives are taken at, voxels."""


class Describer(ABC):
    """Describes patches of a pool: by no label, and no network trained on any.

    Attributes:
        needs: What it reads; see :attr:`Strategy.needs`.
    """

    needs: ClassVar[tuple[str, ...]]

    @abstractmethod
    def of(self, pool: "Pool", case: str, patches: "Sequence[Patch]") -> np.ndarray:
        """Features of patches of one case, ``(patch, feature)``, finite."""


class Features(Describer):
    """Describes patches by their images alone.

    Entry-point group ``alsweep.features``; each entry is called without arguments and gives one of
    these. What it says of a patch must follow from the image and the patch alone.
    """

    needs: ClassVar[tuple[str, ...]] = ("images",)

    def of(self, pool: "Pool", case: str, patches: "Sequence[Patch]") -> np.ndarray:
        """By the image of the case."""
        return self(pool.image(case), patches)

    @abstractmethod
    def __call__(self, image: "Volume", patches: "Sequence[Patch]") -> np.ndarray:
        """Features of patches of one case, ``(patch, feature)``, finite.

        Args:
            image: Normalised intensities of the whole case, ``(channel, z, y, x)``; read-only.
            patches: Of the case.
        """


@dataclass(frozen=True)
class Intensity(Features):
    """Mean, spread and quantiles of the intensities in a patch, channel by channel."""

    def __call__(self, image: "Volume", patches: "Sequence[Patch]") -> np.ndarray:
        """``(patch, 7 * channel)``; see :class:`Features`."""
        rows = [[_statistics(channel[patch.slices]) for channel in image] for patch in patches]
        return np.array(rows, dtype=np.float64).reshape(len(patches), -1)


@dataclass(frozen=True)
class Texture(Features):
    """Intensities, and how strong edges and blobs are in a patch at two scales.

    Edges by the length of the gradient, blobs by the Laplacian, both of Gaussians of 1 and 2
    voxels; their mean and spread.
    """

    def __call__(self, image: "Volume", patches: "Sequence[Patch]") -> np.ndarray:
        """``(patch, 15 * channel)``; see :class:`Features`."""
        parts = [Intensity()(image, patches)]
        for channel in image:
            values = np.asarray(channel, dtype=np.float32)
            for scale in _SCALES:
                for operator in (ndimage.gaussian_gradient_magnitude, ndimage.gaussian_laplace):
                    made = operator(values, scale, mode="nearest")
                    parts.append(np.array([_mean_and_spread(made[p.slices]) for p in patches]))
        return np.concatenate([part.reshape(len(patches), -1) for part in parts], axis=1)


@dataclass(frozen=True)
class Pretrained(Describer):
    """What the encoder of ``training.pretraining`` makes of a patch, which no label taught.

    The mean over the patch of what its second-deepest stage gives, as strategies that embed have it
    of trained members.
    """

    needs: ClassVar[tuple[str, ...]] = ("pretrained",)

    def of(self, pool: "Pool", case: str, patches: "Sequence[Patch]") -> np.ndarray:
        """``(patch, feature)``, by the encoder of the pool."""
        return patch_features(pool.pretrained(case), patches)


def _statistics(values: np.ndarray) -> list[float]:
    return [*_mean_and_spread(values), *np.quantile(values, _QUANTILES).tolist()]


def _mean_and_spread(values: np.ndarray) -> list[float]:
    return [float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))]


_OWN = (
    EntryPoint("intensity", "alsweep.query.features:Intensity", GROUP),
    EntryPoint("texture", "alsweep.query.features:Texture", GROUP),
    EntryPoint("pretrained", "alsweep.query.features:Pretrained", GROUP),
)


@cache
def _points() -> dict[str, EntryPoint]:
    return {point.name: point for point in (*entry_points(group=GROUP), *_OWN)}


def features_named(name: str) -> Describer:
    """Make what describes patches, ours or another package's.

    Raises:
        StrategyError: There is none of that name, or what was found is none.
    """
    points = _points()
    if name not in points:
        near = get_close_matches(name, points, n=1)
        mend = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(sorted(points))}"
        raise StrategyError(
            f"unknown features '{name}'; {mend} Those of other packages are entry points of the "
            f"group {GROUP}"
        )
    try:
        made = points[name].load()()
    except (ImportError, AttributeError, TypeError) as error:
        raise StrategyError(
            f"features '{name}' cannot be made from {points[name].value} ({error}); mend the "
            "package that brings them"
        ) from error
    if not isinstance(made, Describer):
        raise StrategyError(
            f"features '{name}': {points[name].value} gives no alsweep.query.Features; mend the "
            "package that brings them"
        )
    return made


def described_by(
    features: Describer, pool: "Pool", case: str, patches: "Sequence[Patch]"
) -> np.ndarray:
    """Features of patches of one case, ``(patch, feature)``.

    Raises:
        StrategyError: They have another shape, or are not finite.
    """
    found = np.asarray(features.of(pool, case, patches), dtype=np.float64)
    name = type(features).__name__
    if found.ndim != 2 or len(found) != len(patches):
        raise StrategyError(
            f"features {name}: {len(patches)} patches got an array of the shape {found.shape}; "
            "give one row for each"
        )
    if not np.isfinite(found).all():
        raise StrategyError(f"features {name}: some are not finite; mend what makes them")
    return found
