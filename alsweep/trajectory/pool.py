"""The pool as a strategy sees it: shapes, patches, predictions; labels if declared."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alsweep.config.trajectory import TrajectoryConfig
from alsweep.data.annotator import ReferenceLabels
from alsweep.data.case import Dataset
from alsweep.data.label_store import PartialLabels
from alsweep.errors import StrategyError
from alsweep.geometry import Patch, QueriedPatch, by_case
from alsweep.query.base import Embedding, PoolCase, Prediction
from alsweep.trajectory.replay import find_source, source_config

if TYPE_CHECKING:
    from jaxtyping import Int64

    from alsweep.types import LabelMap, Volume

Predict = Callable[[str], Prediction]
Images = Callable[[str], "Volume"]
Encode = Callable[[str], Embedding]
Replay = Callable[[str, str], Sequence[QueriedPatch]]


@dataclass(frozen=True)
class DatasetFacts:
    """What a strategy's check is told of a dataset, and of other trajectories."""

    dataset: Dataset

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; the index is the label."""
        return self.dataset.classes

    @property
    def foreground(self) -> int:
        """Channels of a prediction that are foreground."""
        return len(self.dataset.targets)

    def cases_with(self, label: int) -> list[str]:
        """Cases of the pool that hold the class."""
        return [c for c in self.dataset.pool if self.dataset.cases[c].class_voxels[label]]

    def trajectory(self, folder: str) -> TrajectoryConfig:
        """Config of another trajectory.

        Raises:
            StrategyError: The folder is no trajectory's.
        """
        return source_config(folder)

    def source_in(
        self, run: str, strategy: str, config: TrajectoryConfig, *, start: bool = False
    ) -> str:
        """The trajectory of a run that is to be replayed.

        Raises:
            StrategyError: There is none, or more than one.
        """
        return str(find_source(Path(run), strategy, config, start=start))


class DatasetPool:
    """The pool cases of a dataset.

    Args:
        dataset: Gives shapes and class names.
        taken: The patches annotated so far.
        predict: The ensemble's prediction of a case; None before the first training.
        oracle: Ground truth for strategies that declare ``uses_oracle``; None for all others.
        labels: Of the annotated patches, for strategies that need them; None for all others.
        barred: Patches that nobody can label: they are not annotated, and are not asked for again.
        images: Of the cases, for strategies that need them; None for all others.
        encode: What the pretrained encoder makes of a case, likewise.
        replay: What the trajectory in a folder, or of a strategy in a run's, queried in this loop;
            None where nothing can be replayed.
        wanted: Says which cases are predicted; the others would only be thrown away.
        on_case: Called with the number of cases predicted so far.
        workers: Cases that may be scored at the same time.
    """

    def __init__(
        self,
        dataset: Dataset,
        taken: Sequence[Patch],
        *,
        predict: Predict | None = None,
        oracle: ReferenceLabels | None = None,
        labels: PartialLabels | None = None,
        barred: Sequence[Patch] = (),
        images: Images | None = None,
        encode: Encode | None = None,
        replay: Replay | None = None,
        wanted: Callable[[PoolCase], bool] = lambda case: True,
        on_case: Callable[[int], None] = lambda done: None,
        workers: int = 1,
    ) -> None:
        self.classes = dataset.classes
        self.foreground = len(dataset.targets)
        own = by_case([*taken, *barred])
        self.cases = tuple(
            PoolCase(case, dataset.cases[case].shape, tuple(own.get(case, ())), dataset.free(case))
            for case in dataset.pool
        )
        self._predict = predict
        self._oracle = oracle
        self._labels = labels
        self._barred = frozenset(barred)
        self._images = images
        self._encode = encode
        self._replay = replay
        self._wanted = wanted
        self._on_case = on_case
        self.workers = workers

    def predictions(self) -> Iterator[tuple[PoolCase, Prediction]]:
        """Predict each case in turn; nothing is kept of the one before.

        Raises:
            StrategyError: There is no network yet.
        """
        if self._predict is None:
            raise StrategyError(
                "a starting budget has no network to predict with; choose a random strategy"
            )
        for done, case in enumerate(self.cases):
            self._on_case(done)
            if self._wanted(case):
                yield case, self._predict(case.case)

    def image(self, case: str) -> "Volume":
        """Intensities of a case, ``(channel, z, y, x)``.

        Raises:
            StrategyError: The strategy's needs do not name them.
        """
        if self._images is None:
            raise StrategyError("a strategy asked for images; let its needs name 'images'")
        return self._images(case)

    def pretrained(self, case: str) -> Embedding:
        """What the encoder of ``training.pretraining`` makes of a case.

        Raises:
            StrategyError: The strategy's needs do not name it.
        """
        if self._encode is None:
            raise StrategyError(
                "a strategy asked for a pretrained encoder; let its needs name 'pretrained'"
            )
        return self._encode(case)

    def reference(self, case: str) -> "LabelMap":
        """Ground truth of a case.

        Raises:
            StrategyError: The strategy does not declare ``uses_oracle``.
        """
        if self._oracle is None:
            raise StrategyError(
                "a strategy asked for reference labels; declare uses_oracle = True on its class"
            )
        return self._oracle.volume(case)

    def annotated_classes(self, patch: Patch) -> "Int64[np.ndarray, ' label']":
        """Voxels of each label in an annotated patch.

        Raises:
            StrategyError: The strategy's needs do not name them, or the patch is not annotated.
        """
        if self._labels is None:
            raise StrategyError(
                "a strategy asked for the labels of annotated patches; let its needs name "
                "'annotated_labels'"
            )
        if patch in self._barred:
            return np.zeros(len(self.classes), dtype=np.int64)
        # The annotator would answer for any box.
        if patch not in self._labels.boxes(patch.case):
            raise StrategyError(f"a strategy asked for the labels of {patch}, which has none yet")
        counts = np.bincount(self._labels.crop(patch).ravel(), minlength=len(self.classes))
        return counts[: len(self.classes)]

    def replayed(self, source: str, strategy: str = "") -> Sequence[QueriedPatch]:
        """What another trajectory queried in this loop.

        Raises:
            StrategyError: Nothing can be replayed here.
        """
        if self._replay is None:
            raise StrategyError("there is nothing to replay here; choose another strategy")
        return self._replay(source, strategy)
