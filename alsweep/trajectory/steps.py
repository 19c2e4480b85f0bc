"""The steps of a loop: train, evaluate, query. Each can be repeated and then gives the same."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsweep.config.base import STORED, fingerprint
from alsweep.config.sweep import ResourcesConfig
from alsweep.config.trajectory import InferenceConfig, TrajectoryConfig
from alsweep.data.annotator import Annotator, ReferenceLabels
from alsweep.data.case import Dataset
from alsweep.data.label_store import PartialLabels
from alsweep.geometry import Patch, QueriedPatch
from alsweep.model.checkpoint import ModelStore
from alsweep.model.device import Compute, resolve_compute, set_threads
from alsweep.model.inference import Tiling, encode, predict
from alsweep.model.learner import Setup
from alsweep.model.learners import make_learner
from alsweep.model.memory import allowed_bytes
from alsweep.query.base import Embedding, Prediction, Streams, make_strategy
from alsweep.query.measures import MEASURES
from alsweep.query.room import has_room
from alsweep.results.loops import PartScores
from alsweep.rng import stream
from alsweep.trajectory.agreement import agreement, evenly
from alsweep.trajectory.annotator import annotated, make_annotator
from alsweep.trajectory.answers import checked
from alsweep.trajectory.budget import request_for, settle
from alsweep.trajectory.evaluation import Evaluation, Evaluator
from alsweep.trajectory.members import Member, Members
from alsweep.trajectory.pool import DatasetPool
from alsweep.trajectory.progress import OnProgress, Phase, Progress
from alsweep.trajectory.replay import replayed

if TYPE_CHECKING:
    from torch import nn

    from alsweep.types import Volume

_GIB = 1 << 30


@dataclass(frozen=True)
class Steps:
    """What the steps of one trajectory need.

    Attributes:
        members: Trains the members.
        annotator: Labels the patches.
        workers: Cases of the pool that are scored at the same time.
    """

    config: TrajectoryConfig
    members: Members
    annotator: Annotator
    workers: int = 1

    @classmethod
    def make(
        cls,
        config: TrajectoryConfig,
        dataset: Dataset,
        models: Path,
        resources: ResourcesConfig,
        owner: str,
        on_progress: OnProgress | None,
        annotator: Annotator | None = None,
    ) -> "Steps":
        """Set up this process's threads and device for a trajectory.

        Without an annotator it is the one of the config, which then must need no folder.

        Raises:
            ConfigError: The device or precision asked for is not to be had.
        """
        set_threads(resources.threads)
        compute = resolve_compute(resources.device, config.training.precision)
        compute = replace(compute, allowed=allowed_bytes(compute.device, resources))
        store = ModelStore(models, int(resources.models_gib * _GIB))
        tell = on_progress or (lambda progress: None)
        learner = make_learner(config.training.learner)
        reveal = config.annotator.reveal
        setup = Setup.make(dataset, config.training, compute, config.seed, reveal)
        members = Members(setup, learner, store, owner, tell, resources)
        # Each holds the probabilities of a case, which a card has not the room for many times.
        most = resources.threads if compute.device.type == "cpu" else 2
        annotator = annotator or make_annotator(config, dataset)
        return cls(config, members, annotator, min(resources.threads, most))

    @property
    def dataset(self) -> Dataset:
        """What the trajectory runs on."""
        return self.members.setup.dataset

    @property
    def compute(self) -> Compute:
        """Device and precision."""
        return self.members.setup.compute

    def labels(self, patches: Sequence[Patch]) -> PartialLabels:
        """The labels inside ``patches``, as the annotator reveals them."""
        return annotated(self.dataset, self.annotator, patches)

    def train(self, loop: int, patches: Sequence[Patch], parents: Sequence[Member]) -> list[Member]:
        """Train the members on ``patches``, or load those that are stored already.

        Args:
            loop: For progress only.
            patches: All annotated patches.
            parents: The members of the loop before; used by ``training.warm_start`` alone.
        """
        # Sorted: equal sets of patches must give equal members, in whatever order they were
        # queried.
        return self.members.train(loop, self.labels(sorted(patches)), parents)

    def evaluate(self, loop: int, members: Sequence[Member]) -> Evaluation:
        """How the ensemble does on validation and test cases; stored under the members' keys."""
        key = fingerprint(
            {
                "kind": "evaluation",
                "members": [member.key for member in members],
                "protocol": self.config.evaluation.identity(),
            }
        )
        meta = self.members.store.meta(key)
        if meta is None:
            made = self._evaluate(loop, members)
            self.members.store.publish(key, made)
            # Read back: the first to publish counts. Somebody short of room may have removed it.
            meta = self.members.store.meta(key) or made
        seconds = meta["seconds"] if meta["owner"] == self.members.owner else 0.0
        validation, test = (
            None if part is None else PartScores.model_validate(part, context=STORED)
            for part in (meta["validation"], meta["test"])
        )
        assert validation is not None
        return Evaluation(validation, test, seconds, meta.get("agreement"))

    def _evaluate(self, loop: int, members: Sequence[Member]) -> dict[str, Any]:
        began = time.monotonic()
        protocol = self.config.evaluation
        how = InferenceConfig(tta=protocol.tta, step=protocol.step)
        evaluator = Evaluator(
            self.dataset,
            protocol,
            lambda case: self.predict(members, case, how),
            partial(self._tell, loop, "evaluate"),
        )
        validation, test = evaluator.scores()
        judged = bool(self.dataset.validation)
        return {
            **({} if judged else {"agreement": self._agreement(members, how)}),
            "owner": self.members.owner,
            "seconds": time.monotonic() - began,
            "validation": validation.plain(),
            "test": None if test is None else test.plain(),
        }

    def _agreement(self, members: Sequence[Member], how: InferenceConfig) -> float | None:
        """Of the members, on some cases of the pool."""
        cases = evenly(self.dataset.pool)
        predictions = (self.predict(members, case, how, ("probs", "members")) for case in cases)
        order = self.dataset.manifest.regions_class_order
        return agreement((p.members for p in predictions), self.dataset.targets, order)

    def predict(
        self,
        members: Sequence[Member],
        case: str,
        how: InferenceConfig,
        needs: Collection[str] = ("probs",),
    ) -> Prediction:
        """What the ensemble says of a case, and no more of it than is needed."""
        return self.predict_image(members, self.dataset.image(case), how, needs)

    def predict_image(
        self,
        members: Sequence[Member],
        image: "Volume",
        how: InferenceConfig,
        needs: Collection[str] = ("probs",),
    ) -> Prediction:
        """What the ensemble says of an image on the grid of the dataset, normalised like it."""
        networks = [member.network for member in members]
        return predict(networks, image, self._tiling(how), needs)

    def encode(self, case: str) -> Embedding:
        """What the pretrained encoder makes of a case; it is trained where nobody has yet.

        However the pool is predicted: a start must not follow from that.
        """
        return encode(self._pretrained, self.dataset.image(case), self._tiling(InferenceConfig()))

    @cached_property
    def _pretrained(self) -> "nn.Module":
        return self.members.pretrained.network()

    def _tiling(self, how: InferenceConfig) -> Tiling:
        setup = self.members.setup
        return Tiling(
            window=setup.topology.window,
            step=how.step,
            axes=setup.axes if how.tta else (),
            compute=self.compute,
            regions=setup.regions,
            encoder=self.members.learner.encoder,
            head=self.members.learner.head,
            gaussian=how.gaussian,
            outputs=setup.outputs,
        )

    def query(
        self,
        loop: int,
        members: Sequence[Member],
        taken: Sequence[Patch],
        *,
        barred: Sequence[Patch] = (),
        patches: int | None = None,
    ) -> list[QueriedPatch]:
        """Let the strategy choose the next patches, with the networks of ``loop``.

        Args:
            loop: Whose networks predict.
            members: Its members.
            taken: The patches annotated so far.
            barred: Patches that nobody can label.
            patches: How many, where that is not what the config says.

        Raises:
            PoolExhaustedError: Fewer fit than are wanted, and the config says to stop then.
            StrategyError: What the strategy answers is no query.
        """
        chosen = make_strategy(self.config.strategy)
        request = request_for(self.config, loop, patches)
        # A composition makes nothing of a case where nothing fits, but for what is annotated there.
        reads_all = chosen.composition is None or bool(set(MEASURES) & set(chosen.needs))
        inference = self.config.inference
        pool = DatasetPool(
            self.dataset,
            taken,
            predict=lambda case: self.predict(members, case, inference, chosen.needs),
            oracle=ReferenceLabels(self.dataset) if chosen.uses_oracle else None,
            labels=self.labels(taken) if "annotated_labels" in chosen.needs else None,
            barred=barred,
            images=self.dataset.image if "images" in chosen.needs else None,
            encode=self.encode if "pretrained" in chosen.needs else None,
            replay=partial(replayed, self.config, taken, loop),
            workers=self.workers,
            wanted=lambda case: reads_all or has_room(case, request),
            on_case=lambda done: self._tell(loop, "query", done, len(self.dataset.pool)),
        )
        rng: Streams = partial(stream, self.config.seed, "query", loop)
        name = self.config.strategy.shown
        choices = checked(chosen.query(pool, request, rng), pool.cases, request, name)
        return settle(choices, pool, request, rng, self.config.query.on_shortfall)

    def lenient(self) -> "Steps":
        """The same, with fewer patches where no more fit."""
        query = self.config.query.model_copy(update={"on_shortfall": "take_all"})
        return replace(self, config=self.config.model_copy(update={"query": query}))

    def _tell(self, loop: int, phase: Phase, done: int, total: int) -> None:
        self.members.on_progress(Progress(loop, phase, done, total))
