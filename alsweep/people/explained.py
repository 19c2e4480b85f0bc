"""Why each patch was chosen, for whoever labels it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from alsweep.config.base import Frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alsweep.geometry import Patch
    from alsweep.people.labelling import Labelling, Task
    from alsweep.types import LabelMap


class Explained(Frozen):
    """Why a patch was chosen.

    Attributes:
        patch: Its id.
        rank: Place in the query, from 1.
        of: Patches in the query.
        strategy: Who chose.
        score: Higher = chosen first; None where nothing was scored.
        shows: The foreground class that the networks see most of in it; None where they see none,
            or have not been trained.
        share: Of the patch's voxels that are predicted so.
        nearest_mm: From centre to centre to the nearest patch of the same case that was labelled
            before; None where there is none.
    """

    patch: str
    rank: int
    of: int
    strategy: str
    score: float | None
    shows: str | None
    share: float
    nearest_mm: float | None

    @property
    def words(self) -> str:
        """One line."""
        scored = "" if self.score is None else f", score {self.score:.4g}"
        seen = f"; mostly {self.shows} ({100 * self.share:.0f} %)" if self.shows else ""
        near = (
            "nothing labelled in this case before"
            if self.nearest_mm is None
            else f"nearest labelled patch {self.nearest_mm:.0f} mm away"
        )
        return f"rank {self.rank} of {self.of} by {self.strategy}{scored}{seen}; {near}"


def explain(
    labelling: Labelling, task: Task, of: int, predicted: LabelMap | None, before: Sequence[Patch]
) -> Explained:
    """Say why a patch was chosen.

    Args:
        labelling: Whose patch.
        task: The patch.
        of: How many the query has.
        predicted: Label codes in the box; None before the first training.
        before: Patches labelled before the query.
    """
    config = labelling.config
    spec = config.strategy if task.loop else config.starting_budget.strategy
    shows, share = _mostly(labelling, predicted)
    return Explained(
        patch=task.id,
        rank=task.rank,
        of=of,
        strategy=spec.shown if task.loop else f"{spec.name}, the starting budget",
        score=task.queried.score,
        shows=shows,
        share=share,
        nearest_mm=_nearest(labelling, task.patch, before),
    )


def _mostly(labelling: Labelling, predicted: LabelMap | None) -> tuple[str | None, float]:
    if predicted is None:
        return None, 0.0
    counts = np.bincount(predicted.ravel(), minlength=len(labelling.classes))
    best = int(counts[1 : len(labelling.classes)].argmax()) + 1
    if not counts[best]:
        return None, 0.0
    return labelling.classes[best], float(counts[best] / predicted.size)


def _nearest(labelling: Labelling, patch: Patch, before: Sequence[Patch]) -> float | None:
    info = labelling.dataset.case(patch.case)
    voxel = np.multiply(info.crop.size, info.original_spacing) / info.shape
    centres = [np.add(p.start, p.stop) / 2 for p in before if p.case == patch.case]
    own = np.add(patch.start, patch.stop) / 2
    return min((float(np.linalg.norm((c - own) * voxel)) for c in centres), default=None)
