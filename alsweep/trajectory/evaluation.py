"""How an ensemble does on the labelled cases that it never learns from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alsweep.config.trajectory import EvaluationConfig, SurfaceConfig
from alsweep.data.annotator import ReferenceLabels
from alsweep.data.case import Dataset
from alsweep.model.evaluation import case_dice, mean_over_cases
from alsweep.model.outputs import label_map
from alsweep.results.loops import PartScores, SurfaceScores

if TYPE_CHECKING:
    from alsweep.model.surfaces import SurfaceDistance
    from alsweep.types import LabelMap, Probs

Predict = Callable[[str], "Probs"]
"""Mean probability of a case, ``(class, z, y, x)``."""


@dataclass(frozen=True)
class Evaluation:
    """How an ensemble did.

    Attributes:
        validation: On the validation cases; this alone may decide anything.
        test: On the test cases; None where there are none, or nobody asks for them.
        seconds: What both took; 0 where another trajectory did it.
    """

    validation: PartScores
    test: PartScores | None
    seconds: float


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
        reference = ReferenceLabels(self.dataset)
        order = self.dataset.manifest.regions_class_order
        dice: dict[str, list[float | None]] = {}
        surfaces: dict[str, Sequence[SurfaceDistance]] = {}
        for done, case in enumerate(cases, start=before):
            self.on_case(done, total)
            predicted, true = label_map(self.predict(case), order), reference.volume(case)
            dice[case] = case_dice(predicted, true, self.dataset.targets)
            if self.config.surface is not None:
                surfaces[case] = self._surfaces(predicted, true, self.config.surface)
        mean, by_class, by_case = self._named(dice)
        surface = self._surface_scores(surfaces) if surfaces else None
        return PartScores(mean_dice=mean, dice=by_class, case_dice=by_case, surface=surface)

    def _surfaces(
        self, predicted: "LabelMap", true: "LabelMap", config: SurfaceConfig
    ) -> "Sequence[SurfaceDistance]":
        from alsweep.model.surfaces import case_surfaces

        spacing = self.dataset.manifest.spacing
        return case_surfaces(predicted, true, self.dataset.targets, spacing, config.tolerance_mm)

    def _surface_scores(self, surfaces: "Mapping[str, Sequence[SurfaceDistance]]") -> SurfaceScores:
        dice = self._named({c: [one.surface_dice for one in s] for c, s in surfaces.items()})
        far = self._named({c: [one.hd95 for one in s] for c, s in surfaces.items()})
        return SurfaceScores(
            surface_dice=dice[0],
            hd95=far[0],
            class_surface_dice=dice[1],
            class_hd95=far[1],
            case_surface_dice=dice[2],
            case_hd95=far[2],
        )

    def _named(
        self, by_case: Mapping[str, Sequence[float | None]]
    ) -> tuple[float | None, dict[str, float | None], dict[str, dict[str, float | None]]]:
        """Mean, by class name, and by case and class name."""
        names = [target.name for target in self.dataset.targets]
        mean, by_class = mean_over_cases(by_case)
        cases = {case: dict(zip(names, own, strict=True)) for case, own in by_case.items()}
        return mean, dict(zip(names, by_class, strict=True)), cases
