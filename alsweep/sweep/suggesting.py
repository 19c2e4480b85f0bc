"""Patches for people: train on what they labelled, choose, and write what they need for the next.

One trajectory, one loop a call. Its folder says what is missing, as in any other run: a call that
was killed is made good by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from alsweep.data.case import Dataset
from alsweep.errors import ConfigError, RunFolderError, TrajectoryFailedError
from alsweep.layout import models_folder, trajectory_folder
from alsweep.people.labelling import Labelling
from alsweep.people.tasks import PLAIN, TaskOptions, write_tasks
from alsweep.query.base import make_strategy
from alsweep.results.failure import forget_failure
from alsweep.results.outlook import outlook
from alsweep.results.records import read_records, read_run
from alsweep.sweep.environment import sinks_of, wandb_settings
from alsweep.sweep.run_folder import load_plugins, write_space
from alsweep.sweep.running import at_work, mirrored, told, training_in, write_report
from alsweep.trajectory.human import Skip, add_skips

if TYPE_CHECKING:
    from alsweep.config.trajectory import TrajectoryConfig
    from alsweep.people.labelling import Task
    from alsweep.people.tasks import Networks
    from alsweep.sweep.audience import Audience
    from alsweep.sweep.job import Job
    from alsweep.sweep.plan import Plan, Planned
    from alsweep.trajectory.runner import Trajectory

Make = Callable[["Job", int], None]
"""Makes the loop of that number of the only trajectory of a job."""


@dataclass(frozen=True)
class Wishes:
    """What is asked of a call.

    Attributes:
        patches: Of the query that is made; as many as the config says if left out.
        go_on: Whether to train though nobody has labelled some patches, which are given up.
        tasks: What people get besides.
        report: Whether RUN/report is written.
    """

    patches: int | None = None
    go_on: bool = False
    tasks: TaskOptions = PLAIN
    report: bool = True


NOTHING = Wishes()


@dataclass(frozen=True)
class Suggested:
    """What people are to do next.

    Attributes:
        labelling: The trajectory.
        folder: Where their tasks lie; None where nothing is left to label.
        tasks: Their patches, best first.
        trained: Whether a network was trained in this call.
        left_out: Patches that were given up.
        outlook: What the next patches are good for, in words.
    """

    labelling: Labelling
    folder: Path | None
    tasks: tuple[Task, ...]
    trained: bool
    left_out: tuple[Task, ...]
    outlook: str

    @property
    def waiting(self) -> tuple[Task, ...]:
        """Those that nobody has painted in."""
        return tuple(task for task in self.tasks if task.status == "to do")


def chosen(plan: Plan, wanted: str | None) -> Planned:
    """The trajectory that people are asked for.

    Args:
        plan: Of the run.
        wanted: Its id, or a beginning that only one has; needed where there are several.

    Raises:
        ConfigError: There is none such, or it must be said which.
    """
    found = [one for one in plan.trajectories if one.id.startswith(wanted or "")]
    exact = [one for one in found if one.id == wanted]
    if len(exact or found) == 1:
        return (exact or found)[0]
    ids = ", ".join(one.id for one in found or plan.trajectories)
    if not found:
        raise ConfigError(f"--trajectory {wanted}: there is none; the run has {ids}")
    raise ConfigError(f"--trajectory: which one of {ids}? Name it, or a beginning of it")


def suggest(
    plan: Plan,
    run: Path,
    wanted: str | None,
    audience: Audience,
    wishes: Wishes = NOTHING,
    *,
    address: str | None = None,
    make: Make | None = None,
) -> Suggested:
    """Go on as far as labels go, and write what people need to label the next patches.

    Args:
        plan: Of trajectories that people label for.
        run: The run folder, absolute.
        wanted: See :func:`chosen`.
        audience: Hears what happens.
        wishes: What is asked of this call.
        address: Of a Ray cluster; None starts a private Ray.
        make: Trains; through Ray, if left out.

    Raises:
        AlsweepError: What the user asks for cannot work; names what, and the mend.
        KeyboardInterrupt: A signal came. The same call goes on.
    """
    chosen(plan, wanted)
    with at_work(run, plan, address) as plan:
        write_space(run, plan)
        planned = chosen(plan, wanted)
        load_plugins(run, planned.config)
        turn = _Turn(plan, run, planned, audience, wishes, make or partial(_by_ray, address))
        found = turn.take()
        _write_up(run, report=wishes.report)
    return found


def _write_up(run: Path, *, report: bool) -> None:
    from alsweep.results.table import write_results

    write_results(run)
    if report and any(one.records for one in read_run(run).trajectories):
        write_report(run)


def _by_ray(address: str | None, job: Job, loop: int) -> None:
    from alsweep.sweep.nodes import check_nodes
    from alsweep.sweep.ray_session import ray_session
    from alsweep.sweep.tuner import run_trajectories

    with ray_session(job.resources, address):
        if address is not None:
            check_nodes(job.run, job.plan)
        run_trajectories(job, set(), until=loop)


def skip(
    plan: Plan, run: Path, ids: Sequence[str], reason: str, audience: Audience, wishes: Wishes
) -> list[Labelling]:
    """Say that patches cannot be labelled, and let the next best stand in their place.

    Args:
        plan: Of trajectories that people label for.
        run: The run folder, absolute.
        ids: Of patches that people are asked for.
        reason: In words.
        audience: Hears what happens.
        wishes: What people get besides.

    Returns:
        The trajectories that asked for them, as they are now.

    Raises:
        RunFolderError: Nobody is asked for one of them, or it is labelled already.
        IngestError: The images are not where they are said to be.
        PoolExhaustedError: Nothing is left to label.
    """
    with at_work(run, plan, None) as plan:
        turns = [_Turn(plan, run, one, audience, wishes, _never) for one in plan.trajectories]
        asked = [turn for turn in turns if turn.asks(ids)]
        known = {task.id for turn in asked for task in turn.now().open_tasks()}
        if unknown := [id_ for id_ in ids if id_ not in known]:
            raise RunFolderError(
                f"{unknown[0]}: is no patch that people are asked for; tasks.csv lists them"
            )
        return [turn.skip(ids, reason) for turn in asked]


def _never(job: Job, loop: int) -> None:
    raise AssertionError("nothing is trained here")


@dataclass
class _Turn:
    """One call, for one trajectory.

    Attributes:
        plan: Of the run.
        run: Its folder, which the caller holds.
        planned: The trajectory.
        audience: Hears what happens.
        wishes: What is asked.
        make: Trains.
    """

    plan: Plan
    run: Path
    planned: Planned
    audience: Audience
    wishes: Wishes
    make: Make

    def take(self) -> Suggested:
        """See :func:`suggest`."""
        dataset = Dataset.open(self.planned.config.dataset)
        self.wishes.tasks.check(dataset)
        labelling, left, trained = self._labelling(dataset), [], False
        self._ask(labelling)
        trajectory = self._trajectory(labelling)
        trajectory.begin()
        trajectory.replace_skipped()
        if self.wishes.go_on and labelling.waiting():
            left = labelling.leave_out()
        if not labelling.waiting() and not self._is_over(labelling):
            labelling.settle()
            self._train(labelling)
            trained, labelling = True, self._labelling(dataset)
        tasks = labelling.open_tasks()
        return Suggested(
            labelling=labelling,
            folder=self._write_tasks(labelling) if tasks else None,
            tasks=tuple(tasks),
            trained=trained,
            left_out=tuple(left),
            outlook=outlook(labelling.records, len(tasks) or labelling.config.query.patches),
        )

    def now(self) -> Labelling:
        """The trajectory as it is."""
        return self._labelling(Dataset.open(self.planned.config.dataset))

    def asks(self, ids: Sequence[str]) -> bool:
        """Whether people are asked for one of these patches."""
        return any(task.id in ids for task in self.now().open_tasks())

    def skip(self, ids: Sequence[str], reason: str) -> Labelling:
        """See :func:`skip`."""
        labelling = self.now()
        self.wishes.tasks.check(labelling.dataset)
        tasks = [task for task in labelling.open_tasks() if task.id in ids]
        if done := [task.id for task in tasks if task.status == "labelled"]:
            raise RunFolderError(f"{done[0]}: is labelled already; nothing is skipped")
        time = datetime.now(UTC).isoformat()
        add_skips(
            labelling.folder,
            (
                Skip(
                    case=task.patch.case,
                    start=task.patch.start,
                    size=task.patch.size,
                    loop=task.loop,
                    reason=reason,
                    time=time,
                )
                for task in tasks
            ),
        )
        self._trajectory(labelling).replace_skipped()
        self._write_tasks(labelling)
        return labelling

    def _labelling(self, dataset: Dataset) -> Labelling:
        folder = trajectory_folder(self.run, self.planned.id)
        made = Labelling(
            run=self.run,
            folder=folder,
            id=self.planned.id,
            config=self.planned.config,
            dataset=dataset,
            several=len(self.plan.trajectories) > 1,
        )
        config = _with_room(made.config, made.log.committed)
        records = read_records(folder, loops=config.query.loops)
        return replace(made, config=config, records=records)

    def _ask(self, labelling: Labelling) -> None:
        """Write down how many patches the query is to have that this call makes."""
        wanted, there = self.wishes.patches, labelling.open_tasks()
        if wanted is None:
            return
        if labelling.waiting() and not self.wishes.go_on:
            if wanted != len(there):
                raise ConfigError(
                    f"--patches {wanted}: {len(there)} were chosen already, which wait for "
                    "labels; label them first, or skip some"
                )
            return
        begun = labelling.log.committed or there
        labelling.log.ask(_next_loop(labelling) + 1 if begun else 0, wanted)

    def _trajectory(self, labelling: Labelling) -> Trajectory:
        from alsweep.trajectory.runner import Trajectory

        return Trajectory(
            labelling.config,
            labelling.folder,
            dataset=labelling.dataset,
            models=models_folder(self.run),
            resources=self.plan.sweep.resources,
        )

    def _is_over(self, labelling: Labelling) -> bool:
        """Whether all loops are done, or the last query found nothing more to label."""
        loop, log = _next_loop(labelling), labelling.log
        if loop >= labelling.config.query.loops:
            return True
        if labelling.open_tasks() or not loop:
            return False
        return log.patches(loop) == log.patches(loop - 1)

    def _train(self, labelling: Labelling) -> None:
        from alsweep.sweep.caps import meter_of
        from alsweep.sweep.job import Job

        planned = replace(self.planned, config=labelling.config)
        plan = replace(self.plan, trajectories=(planned,), examples=())
        forget_failure(labelling.folder)
        wandb, sinks = wandb_settings(plan.sweep.wandb), sinks_of(plan.sweep)
        with (
            mirrored(wandb, sinks, self.run) as tracker,
            told(plan.sweep, self.run, tracker) as events,
            self.audience.watch(self.run, plan) as monitor,
        ):
            meter, work = meter_of(plan.sweep, self.run), training_in(self.run, plan)
            job = Job(plan, self.run, work, monitor, tracker, meter=meter, events=events)
            job.count(planned, labelling.records)
            if (cap := job.meter.reached()) is not None:
                raise ConfigError(f"{cap}: is reached; raise it to go on")
            self.make(job, _next_loop(labelling))
        if planned.id in job.errors:
            raise TrajectoryFailedError(f"{planned.id}: {job.errors[planned.id]}")

    def _write_tasks(self, labelling: Labelling) -> Path:
        networks = _networks(labelling, self.run) if labelling.loop else None
        return write_tasks(labelling, networks, self.wishes.tasks)


def _networks(labelling: Labelling, run: Path) -> Networks:
    """Those that chose the pending query; loaded when a case is first asked for."""
    from alsweep.trajectory.stored_networks import StoredNetworks, voxel_map

    score = voxel_map(labelling.config.strategy)

    @cache
    def opened() -> StoredNetworks:
        found = next(one for one in read_run(run).trajectories if one.id == labelling.id)
        return StoredNetworks(
            found, labelling.loop, dataset=labelling.dataset, models=models_folder(run)
        )

    return lambda case: opened().probabilities(case, score)


def _next_loop(labelling: Labelling) -> int:
    """The training that comes next: that of the pending query, or one that was cut short."""
    log = labelling.log
    return log.committed if log.pending else max(0, log.committed - 1)


def _with_room(config: TrajectoryConfig, committed: int) -> TrajectoryConfig:
    """The config with a query after the next training, since people go on as long as they like.

    Unless its strategy looks at how many loops there are.
    """
    loops = max(config.query.loops, committed + 2)
    if make_strategy(config.strategy).reads_loops or loops == config.query.loops:
        return config
    return config.model_copy(update={"query": config.query.model_copy(update={"loops": loops})})
