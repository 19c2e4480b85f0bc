"""From an ensemble's prediction to voxel scores: natural logarithms, higher = query first."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from alsweep.errors import StrategyError
from alsweep.query.cache import planes_at_once
from alsweep.query.parameters import searchable
from alsweep.query.stage import Stage, stage
from alsweep.registry import Registry

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from alsweep.query.pool import Prediction
    from alsweep.query.windows import Windows
    from alsweep.types import PatchScores, Probs, ScoreMap

# Below every probability that matters and above the smallest float32, so that 0 log 0 = 0 without a
# branch.
_TINY = 1e-30


def entropy(probs: "Probs", *, regions: bool = False) -> "ScoreMap":
    """Shannon entropy over the class axis.

    Args:
        probs: Probabilities, ``(class, z, y, x)``; sum to 1 over ``class`` unless ``regions``.
        regions: Whether each channel is a sigmoid: the binary entropies are summed then.

    Returns:
        Nats in ``[0, log(class)]``, for regions in ``[0, regions * log 2]``; ``(z, y, x)``.
    """
    import torch

    step = planes_at_once(probs)
    if step >= probs.shape[1]:
        return minus_p_log_p(probs, regions)
    slabs = torch.split(probs, step, dim=1)
    return torch.cat([minus_p_log_p(slab, regions) for slab in slabs])


def minus_p_log_p(
    probs: "Float[Tensor, 'class *voxel']", regions: bool = False
) -> "Float[Tensor, '*voxel']":
    """Sum of ``-p log p`` over the classes, with ``0 log 0 = 0``; of regions over ``1 - p``, too.

    It is not cut to fit a cache; see :func:`entropy` for the rest.
    """
    import torch

    total = probs.new_zeros(probs.shape[1:])
    log = torch.empty_like(total)
    for row in probs:
        for share in (row, 1 - row) if regions else (row,):
            torch.clamp_min(share, _TINY, out=log).log_()
            total.addcmul_(share, log, value=-1)
    return total


def predictive_entropy(prediction: "Prediction") -> "ScoreMap":
    """Entropy of the ensemble's mean probability: total uncertainty.

    Returns:
        Nats in ``[0, log(class)]``, ``(z, y, x)``. Higher = query first.

    Source: Luth et al. 2025 (nnActive), predictive entropy; Settles 2009, entropy sampling.
    """
    return entropy(prediction.mean_probs, regions=prediction.regions)


@dataclass(frozen=True)
class ScoreMapStage(Stage):
    """A stage that says how much each voxel is worth.

    Attributes:
        least_members: Members without which the map means nothing.
    """

    needs: ClassVar[tuple[str, ...]] = ("probs",)
    least_members: ClassVar[int] = 1

    @property
    def least_classes(self) -> int:
        """Classes that a dataset must have, with background."""
        return 1


@dataclass(frozen=True)
class VoxelMap(ScoreMapStage):
    """A map whose value at a voxel depends on that voxel alone, so that it can be cut in slabs."""

    def __call__(self, prediction: "Prediction") -> "ScoreMap":
        """Score every voxel.

        Args:
            prediction: Of a case or of a part of it; ``mean_probs`` is ``(class, z, y, x)``.

        Returns:
            Scores, ``(z, y, x)``; higher = query first.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class WindowMap(ScoreMapStage):
    """A map that scores windows as wholes; it takes the place of the aggregation."""

    def windows(self, prediction: "Prediction", windows: "Windows") -> "PatchScores":
        """Score every window of a case.

        Args:
            prediction: Of the whole case; ``mean_probs`` is ``(class, z, y, x)``.
            windows: The candidate boxes.

        Returns:
            Scores, ``(z_start, y_start, x_start)`` as in ``windows.grid``; higher = query first.
        """
        raise NotImplementedError


MAPS: Registry[type[ScoreMapStage]] = Registry("map")
"""Score maps by the name that stages use."""


@stage(MAPS, "predictive_entropy")
@dataclass(frozen=True)
class PredictiveEntropyMap(VoxelMap):
    """Entropy of the mean probability: total uncertainty.

    Source: Luth et al. 2025 (nnActive), predictive entropy; Settles 2009, entropy sampling.
    """

    def __call__(self, prediction: "Prediction") -> "ScoreMap":
        """Nats in ``[0, log(class)]``."""
        return predictive_entropy(prediction)


@stage(MAPS, "expected_entropy")
@dataclass(frozen=True)
class ExpectedEntropyMap(VoxelMap):
    """Mean entropy of the members: what remains uncertain where they agree.

    Source: Luth et al. 2025 (nnActive), expected entropy.
    """

    needs: ClassVar[tuple[str, ...]] = ("probs", "mean_entropy")

    def __call__(self, prediction: "Prediction") -> "ScoreMap":
        """Nats in ``[0, log(class)]``."""
        return _mean_entropy(prediction)


@stage(MAPS, "mutual_information")
@dataclass(frozen=True)
class MutualInformationMap(VoxelMap):
    """Disagreement between members: predictive minus expected entropy (BALD).

    Source: Houlsby et al. 2011, arXiv:1112.5745, eq. 2; Gal et al. 2017.
    """

    needs: ClassVar[tuple[str, ...]] = ("probs", "mean_entropy")
    least_members: ClassVar[int] = 2

    def __call__(self, prediction: "Prediction") -> "ScoreMap":
        """Nats in ``[0, log(class)]``; 0 where all members agree."""
        # Rounding can take the difference just below zero, and a logarithm downstream would be NaN.
        return (predictive_entropy(prediction) - _mean_entropy(prediction)).clamp_(min=0.0)


@stage(MAPS, "mixed_entropy")
@dataclass(frozen=True)
class MixedEntropyMap(VoxelMap):
    """Weighted mean of predictive and expected entropy.

    Source: Gaillochet et al. 2023 (stochastic batches), as in its code; the text has the difference
    of the two instead, which is mutual_information.
    """

    needs: ClassVar[tuple[str, ...]] = ("probs", "mean_entropy")
    alpha: float = searchable(0.5, low=0.0, high=1.0, help="weight of the predictive entropy")

    def __call__(self, prediction: "Prediction") -> "ScoreMap":
        """Nats in ``[0, log(class)]``."""
        total = predictive_entropy(prediction).mul_(self.alpha)
        return total.add_(_mean_entropy(prediction), alpha=1 - self.alpha)


def _mean_entropy(prediction: "Prediction") -> "ScoreMap":
    if prediction.mean_entropy is None:
        raise StrategyError(
            "a map needs the members' mean entropy, which the prediction does not hold; "
            "let the strategy's needs name 'mean_entropy'"
        )
    return prediction.mean_entropy


@stage(MAPS, "least_confidence")
@dataclass(frozen=True)
class LeastConfidenceMap(VoxelMap):
    """One minus the probability of the likeliest class; for regions the least certain one counts.

    Source: Settles 2009, least confident sampling.
    """

    def __call__(self, prediction: "Prediction") -> "ScoreMap":
        """In ``[0, 1 - 1/class]``; for regions in ``[0, 1/2]``."""
        probs = prediction.mean_probs
        if prediction.regions:
            return probs.minimum(1 - probs).amax(dim=0)
        return 1 - probs.amax(dim=0)


@stage(MAPS, "margin")
@dataclass(frozen=True)
class MarginMap(VoxelMap):
    """One minus the lead of the likeliest class over the second; for regions over its absence.

    Source: Settles 2009, margin sampling.
    """

    def __call__(self, prediction: "Prediction") -> "ScoreMap":
        """In ``[0, 1]``; 1 where two classes are level."""
        probs = prediction.mean_probs
        if prediction.regions:
            return 1 - (2 * probs - 1).abs().amin(dim=0)
        first, second = probs.topk(2, dim=0).values
        lead: Tensor = first - second
        return 1 - lead


@stage(MAPS, "class_weighted_entropy")
@dataclass(frozen=True)
class ClassWeightedEntropyMap(VoxelMap):
    """Predictive entropy times the probability of one class: uncertainty about that structure.

    The sum over all classes is the predictive entropy; to share a query out over the classes, use
    the stratification ``by_class``.

    Source: Luth et al. 2026 (ClaSP PE), class-weighted entropy.
    """

    label: int = searchable(1, low=0, high=254, help="class id; 0 is background")

    @property
    def least_classes(self) -> int:
        """The class must be there."""
        return self.label + 1

    def __call__(self, prediction: "Prediction") -> "ScoreMap":
        """Nats in ``[0, log(class)]``."""
        channel = self.label - 1 if prediction.regions else self.label
        return predictive_entropy(prediction).mul_(prediction.mean_probs[channel])
