"""One trajectory in any Python process: the folder says what is missing."""

import logging
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

from alsweep import __version__
from alsweep.config.base import fingerprint
from alsweep.config.sweep import ResourcesConfig
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.data.case import Dataset
from alsweep.data.label_store import PartialLabels
from alsweep.data.labels.human import HumanLabels
from alsweep.disk import full_disk_told, require_room
from alsweep.errors import PoolExhaustedError
from alsweep.geometry import Patch, QueriedPatch
from alsweep.label_codes import named
from alsweep.layout import labels_folder, models_folder
from alsweep.query.pool import Embedding
from alsweep.results.loops import HumanEffort, LoopRecord
from alsweep.results.records import read_records
from alsweep.trajectory.annotator import make_annotator
from alsweep.trajectory.background import Backgrounds, tell_backgrounds
from alsweep.trajectory.budget import draw_start, next_of_start
from alsweep.trajectory.evaluation import Evaluation
from alsweep.trajectory.human import (
    acknowledge,
    effort_of,
    keep_before,
    patches_before,
    read_skips,
)
from alsweep.trajectory.members import Member
from alsweep.trajectory.numerics import NUMERICS
from alsweep.trajectory.progress import OnProgress, Progress
from alsweep.trajectory.query_log import QueryLog
from alsweep.trajectory.resolving import resolve
from alsweep.trajectory.start import setting_of
from alsweep.trajectory.steps import Steps

__all__ = ["Progress", "Trajectory"]

_log = logging.getLogger(__name__)


class Trajectory:
    """One strategy in one setting with one seed, from starting budget to last loop.

    Making one is cheap and writes nothing. :meth:`step` does the next missing loop; after a crash a
    new object over the same folder goes on where the query log ends, and ends with the same queries
    and records as an unbroken run.

    Args:
        config: What to do; it is resolved against the dataset.
        folder: Where the query log, the records and the view of the labels lie.
        dataset: Opened already, or None to open ``config.dataset``.
        models: The model store, shared within a sweep; ``folder/models`` if left out.
        resources: Threads, device and disk space.
        on_progress: Called many times a loop.

    Raises:
        ConfigError: The config cannot work on the dataset.
        DatasetError: The dataset cannot be opened.
    """

    def __init__(
        self,
        config: TrajectoryConfig,
        folder: Path,
        *,
        dataset: Dataset | None = None,
        models: Path | None = None,
        resources: ResourcesConfig | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        self.dataset = dataset or Dataset.open(config.dataset)
        self.config = resolve(config, self.dataset)
        self.id = self.config.trajectory_id(self.dataset.fingerprint)
        self.loops = self.config.query.loops
        self._folder = Path(folder)
        self._log = QueryLog(self._folder)
        self._annotator = make_annotator(self.config, self.dataset, self._folder)
        self._models = models or models_folder(Path(folder))
        self._resources = resources or ResourcesConfig()
        self._on_progress = on_progress or (lambda progress: None)
        self._members: Sequence[Member] = ()
        self._mixing_told = False
        self._view: Future[None] | None = None

    @cached_property
    def _steps(self) -> Steps:
        """Made when first needed: it claims the device and sets this process's threads."""
        return Steps.make(
            self.config,
            self.dataset,
            self._models,
            self._resources,
            self.id,
            self._on_progress,
            self._annotator,
        )

    @cached_property
    def _backgrounds(self) -> Backgrounds:
        """Reads a case when a patch of it is first annotated."""
        return Backgrounds(self.dataset)

    @property
    def records(self) -> tuple[LoopRecord, ...]:
        """Records of the finished loops."""
        return read_records(self._folder)

    @property
    def finished(self) -> bool:
        """Whether every loop is done."""
        return len(self.records) == self.loops

    @property
    def setting(self) -> str:
        """Name of everything but strategy and seed."""
        return setting_of(self.config, self.dataset)

    @property
    def labels(self) -> PartialLabels:
        """All labels that the trajectory has so far."""
        return self._steps.labels(self._log.patches(self._log.committed - 1))

    @property
    def waiting(self) -> tuple[Patch, ...]:
        """Queried patches that are still to be labelled; the trajectory goes on once they are."""
        return self._annotator.missing(queried.patch for queried in self._log.pending)

    def run(self) -> tuple[LoopRecord, ...]:
        """Do all missing loops, or as many as there are labels for; return all records."""
        if not self.finished:
            self._begin()
        while not self.finished and not self.waiting:
            self.step()
        return self.records

    def step(self) -> LoopRecord:
        """Do the next missing loop: train, evaluate, query, commit.

        Where the annotator has not labelled the query yet, it is pending, and a later call goes on:
        in this object, or in another over the same folder.

        Returns:
            The loop's record.

        Raises:
            IndexError: The trajectory is finished.
            DiskFullError: A disk has no room; what is finished is safe, and the loop can be done
                again.
            RunFolderError: Patches are still :attr:`waiting` for their labels.
        """
        if self.finished:
            raise IndexError(f"trajectory {self.id} is finished")
        with full_disk_told(self._folder, self._models):
            require_room(self._folder)
            return self._next_loop()

    def _next_loop(self) -> LoopRecord:
        self._begin()
        self._take_up()
        self._tell_of_mixing()
        if self._steps.members.loaders:
            # They are forks, which must not come while another thread holds a lock.
            self._wait_for_view()
        loop = len(self.records)
        patches = self._log.patches(loop)
        members = self._steps.train(loop, patches, self._parents(loop))
        evaluation = self._steps.evaluate(loop, members)
        began = time.monotonic()
        last = loop == self.loops - 1
        queried = [] if last else self._query(loop, members, patches)
        record = self._record(loop, patches, members, evaluation, time.monotonic() - began)
        record.write(self._folder)
        if not last:
            self._submit(loop + 1, queried)
        self._members = members
        self._on_progress(Progress(loop, "annotate", 0, 1))
        self._show_labels()
        if last:
            self._wait_for_view()
        return record

    def _begin(self) -> None:
        """Write what a new folder lacks: the config and the starting budget."""
        self._log.claim(self.config)
        if not self._log.has(0) and not self._log.pending:
            self._on_progress(Progress(0, "start", 0, 1))
            self._submit(0, self._start())
            self._show_labels()

    def begin(self) -> None:
        """Write what a new folder lacks, and train no member; again it changes nothing."""
        self._begin()

    def _start(self) -> list[QueriedPatch]:
        """What was labelled before anybody was asked; else what the starting budget draws."""
        crops = self._annotator
        before = patches_before(self.dataset) if isinstance(crops, HumanLabels) else []
        if before:
            assert isinstance(crops, HumanLabels)
            keep_before(self.dataset, crops, before)
            return before
        return draw_start(self.config, self.dataset, self._log.wanted(0), self._encode)

    def _encode(self, case: str) -> Embedding:
        """What the pretrained encoder makes of a case; the device is claimed for starts by it."""
        return self._steps.encode(case)

    def _query(
        self, loop: int, members: Sequence[Member], patches: tuple[Patch, ...]
    ) -> list[QueriedPatch]:
        wanted = self._log.wanted(loop + 1)
        return self._steps.query(loop, members, patches, barred=self._barred, patches=wanted)

    @property
    def _barred(self) -> tuple[Patch, ...]:
        """Patches that nobody can label."""
        return tuple(skip.patch for skip in read_skips(self._folder))

    def replace_skipped(self) -> int:
        """Replace what was skipped of the pending query by the next best.

        Returns:
            How many patches there are in place of those that were skipped: fewer where the pool
            has no more.

        Raises:
            PoolExhaustedError: Nothing is left to label.
        """
        pending, barred = self._log.pending, frozenset(self._barred)
        kept = [one for one in pending if one.patch not in barred]
        if len(kept) == len(pending):
            return 0
        more = self._next_best(len(pending) - len(kept), [one.patch for one in kept])
        rest = iter(more)
        filled = (next(rest, None) if one.patch in barred else one for one in pending)
        found = [one for one in filled if one is not None]
        if not found:
            raise PoolExhaustedError(
                f"{self._folder}: nothing is left to label in place of what was skipped; add cases"
            )
        self._log.suspend(self._log.committed, found)
        return len(more)

    def _next_best(self, count: int, kept: Sequence[Patch]) -> list[QueriedPatch]:
        """Patches beside those of the pending query, as many as there are up to ``count``."""
        loop, barred = self._log.committed, self._barred
        if loop == 0:
            beside = [*kept, *barred]
            return next_of_start(self.config, self.dataset, beside, count, self._encode)
        patches = self._log.patches(loop - 1)
        members = self._steps.train(loop - 1, patches, self._parents(loop - 1))
        lenient = self._steps.lenient()
        # Their labels are still to come, so that to a strategy they are as good as barred.
        return lenient.query(loop - 1, members, patches, barred=(*kept, *barred), patches=count)

    def _tell_of_mixing(self) -> None:
        """Say once that finished loops have other numerics; a sweep asks for leave before."""
        others = {r.numerics for r in self.records} - {None, NUMERICS}
        if others and not self._mixing_told:
            _log.warning(
                "warning: %s goes on with numerics %d, and has loops of %s: equal configs give "
                "other numbers",
                self.id,
                NUMERICS,
                " and ".join(map(str, sorted(filter(None, others)))),
            )
        self._mixing_told = True

    def _submit(self, loop: int, queried: list[QueriedPatch]) -> None:
        """Commit a query, or keep it until its patches are labelled."""
        if self._annotator.missing(one.patch for one in queried):
            self._log.suspend(loop, queried)
        else:
            self._log.commit(loop, queried)

    def _take_up(self) -> None:
        """Commit a pending query once all its patches are labelled."""
        if queried := self._log.pending:
            acknowledge(self._log, self._annotator, self._log.committed, queried)
            self._show_labels()

    def _parents(self, loop: int) -> Sequence[Member]:
        """Members of the loop before, for a warm start; loaded from the store after a resume."""
        if loop == 0 or not self.config.training.warm_start:
            return ()
        return self._members or self._steps.train(
            loop - 1, self._log.patches(loop - 1), self._parents(loop - 1)
        )

    @cached_property
    def _viewer(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1, thread_name_prefix="labels.zarr")

    def _show_labels(self) -> None:
        """Bring labels.zarr up to the query log, beside the next training.

        It is a view for people and tools alone, so that a training waits for it only to fork.
        """
        self._wait_for_view()
        path, spacing = labels_folder(self._folder), self.dataset.manifest.spacing
        boxes = self.config.annotator.reveal == "box"
        self._view = self._viewer.submit(
            self.labels.write_zarr, path, named(self.dataset.classes, boxes=boxes), spacing
        )

    def _wait_for_view(self) -> None:
        if self._view is not None:
            self._view.result()

    def close(self) -> None:
        """Wait for what is still being written; a trajectory that is dropped then leaves nothing.

        The folder is complete without it.
        """
        self._wait_for_view()

    def _record(
        self,
        loop: int,
        patches: tuple[Patch, ...],
        members: Sequence[Member],
        evaluation: Evaluation,
        query_seconds: float,
    ) -> LoopRecord:
        labels, before = self._steps.labels(patches), self._steps.members.pretrained.cost()
        counts = labels.class_voxels()
        foreground = int(counts[1:].sum())
        background = self._backgrounds.count(labels, patches)
        self._tell_background(loop, labels, background)
        return LoopRecord(
            loop=loop,
            dataset=self.dataset.name,
            setting=self.setting,
            start_hash=self._start_hash(),
            annotated_patches=len(patches),
            annotated_voxels=labels.annotated_voxels(),
            foreground_voxels=foreground,
            foreground_fraction=self._share_of_pool(foreground),
            annotated_cases=len(labels.cases),
            background_patches=background,
            pool_cases=len(self.dataset.pool),
            mean_dice=evaluation.validation.mean_dice,
            dice=evaluation.validation.dice,
            case_dice=evaluation.validation.case_dice,
            surface=evaluation.validation.surface,
            test=evaluation.test,
            agreement=evaluation.agreement,
            effort=self._effort(patches),
            train_seconds=sum(member.seconds for member in members),
            evaluate_seconds=evaluation.seconds,
            query_seconds=query_seconds,
            cached_members=sum(member.cached for member in members),
            threads=self._resources.threads,
            training_threads=self._steps.members.threads,
            device=str(self._steps.compute.device),
            precision=self._steps.compute.precision,
            members=tuple(member.key for member in members),
            version=__version__,
            numerics=NUMERICS,
            pretraining=None if before is None else before.key,
            pretrain_seconds=None if before is None else before.seconds,
        )

    def _effort(self, patches: Sequence[Patch]) -> HumanEffort | None:
        crops = self._annotator
        return effort_of(crops, patches) if isinstance(crops, HumanLabels) else None

    def _tell_background(self, loop: int, labels: PartialLabels, so_far: int) -> None:
        """Tell the log how many of the latest patches show nothing but background."""
        before = self._log.patches(loop - 1) if loop else ()
        earlier = self._backgrounds.count(labels, before)
        tell_backgrounds(loop, so_far - earlier, len(labels.patches) - len(before))

    def _share_of_pool(self, foreground: int) -> float | None:
        """Share of the pool's foreground voxels, as far as all of them are known."""
        pool = [self.dataset.cases[case] for case in self.dataset.pool]
        if not all(case.has_reference for case in pool):
            return None
        return foreground / max(1, sum(sum(case.class_voxels[1:]) for case in pool))

    def _start_hash(self) -> str:
        """What paired trajectories share: dataset and starting patches."""
        start = [[p.case, p.start, p.size] for p in sorted(self._log.patches(0))]
        return fingerprint([self.dataset.fingerprint, start])[:12]
