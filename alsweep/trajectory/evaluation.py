"""How an ensemble does on the labelled cases that it never learns from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from alsweep.config.trajectory import EvaluationConfig, SurfaceConfig
from alsweep.data.annotator import ReferenceLabels
from alsweep.data.case import Dataset
from alsweep.model.evaluation import case_dice, mean_over_cases
from alsweep.model.outputs import predicted_labels
from alsweep.model.regrid import original_labels
from alsweep.results.loops import PartScores, SurfaceScores

if TYPE_CHECKING:
    from alsweep.data.case import Spacing
    from alsweep.model.surfaces import SurfaceDistance
    from alsweep.query.pool import Prediction
    from alsweep.types import LabelMap

Predict = Callable[[str], "Prediction"]
"""What the ensemble says of a case."""


@dataclass(frozen=True)
class Evaluation:
    """How an ensemble did.

    Attributes:
        validation: On the validation cases; this alone may decide anything.
        test: On the test cases; None where there are none, or nobody asks for them.
        seconds: What both took; 0 where another trajectory did it.
        agreement: Of the members on cases of the pool, where nobody validates.
    """

    validation: PartScores
    test: PartScores | None
    seconds: float
    agreement: float | None = None


class _Labels(NamedTuple):
    predicted: "LabelMap"
    true: "LabelMap"
    spacing: "Spacing"


@dataclass(frozen=True)
class Evaluator:
    """Holds predictions against complete labels.

    Attributes:
        dataset: Whose cases.
        config: The protocol.
        predict: The ensemble, under that protocol.
        on_case: Called with the number of finished cases and of all.
    """

    dataset: Dataset
    config: EvaluationConfig
    predict: Predict
    on_case: Callable[[int, int], None]

    def scores(self) -> tuple[PartScores, PartScores | None]:
        """Scores on the validation and on the test cases."""
        test = self.dataset.test if self.config.test else ()
        total = len(self.dataset.validation) + len(test)
        validation = self._part(self.dataset.validation, 0, total)
        if not test:
            return validation, None
        return validation, self._part(test, len(self.dataset.validation), total)

    def _part(self, cases: Sequence[str], before: int, total: int) -> PartScores:
        dice: dict[str, list[float | None]] = {}
        referenced = [False for _ in self.dataset.targets]
        surfaces: dict[str, Sequence[SurfaceDistance]] = {}
        for done, case in enumerate(cases, start=before):
            self.on_case(done, total)
            predicted, true, spacing = self._labels(case)
            dice[case], there = case_dice(predicted, true, self.dataset.targets)
            referenced = [a or b for a, b in zip(referenced, there, strict=True)]
            if self.config.surface is not None:
                surfaces[case] = self._surfaces(predicted, true, spacing, self.config.surface)
        mean, by_class, by_case = self._named(dice, referenced)
        surface = self._surface_scores(surfaces, referenced) if surfaces else None
        return PartScores(mean_dice=mean, dice=by_class, case_dice=by_case, surface=surface)

    def _labels(self, case: str) -> "_Labels":
        """What is held against what, on the grid that the protocol names."""
        info, spacing = self.dataset.case(case), self.dataset.manifest.spacing
        order = self.dataset.manifest.regions_class_order
        reference, found = ReferenceLabels(self.dataset), self.predict(case)
        if self.config.grid == "resampled" or info.is_original:
            return _Labels(predicted_labels(found, order), reference.volume(case), spacing)
        predicted = original_labels(found, info, spacing, order)
        return _Labels(predicted, reference.original(case), info.original_spacing)

    def _surfaces(
        self, predicted: "LabelMap", true: "LabelMap", spacing: "Spacing", config: SurfaceConfig
    ) -> "Sequence[SurfaceDistance]":
        from alsweep.model.surfaces import case_surfaces

        return case_surfaces(predicted, true, self.dataset.targets, spacing, config.tolerance_mm)

    def _surface_scores(
        self, surfaces: "Mapping[str, Sequence[SurfaceDistance]]", referenced: Sequence[bool]
    ) -> SurfaceScores:
        shares = {c: [one.surface_dice for one in s] for c, s in surfaces.items()}
        distances = {c: [one.hd95 for one in s] for c, s in surfaces.items()}
        dice, far = self._named(shares, referenced), self._named(distances, referenced)
        return SurfaceScores(
            surface_dice=dice[0],
            hd95=far[0],
            class_surface_dice=dice[1],
            class_hd95=far[1],
            case_surface_dice=dice[2],
            case_hd95=far[2],
        )

    def _named(
        self, by_case: Mapping[str, Sequence[float | None]], referenced: Sequence[bool]
    ) -> tuple[float | None, dict[str, float | None], dict[str, dict[str, float | None]]]:
        """Mean, by class name, and by case and class name."""
        names = [target.name for target in self.dataset.targets]
        # Where nobody validates there is no column to take a mean of.
        mean, by_class = mean_over_cases(by_case or {"": [None] * len(names)}, referenced)
        cases = {case: dict(zip(names, own, strict=True)) for case, own in by_case.items()}
        return mean, dict(zip(names, by_class, strict=True)), cases
