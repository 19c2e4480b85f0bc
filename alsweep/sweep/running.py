"""A sweep from beginning to end: the one call behind the command line and notebooks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial, wraps
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, cast

from alsweep.config.load import load_sweep
from alsweep.config.sweep import SweepConfig
from alsweep.disk import full_disk_told
from alsweep.layout import report_folder, space_path, trajectory_folder
from alsweep.results.studies import check_storage
from alsweep.storage.rooms import to_work_in
from alsweep.sweep import mixing, remarks, taking_over
from alsweep.sweep.audience import Audience, Listener, OnLoop
from alsweep.sweep.deciding import extended, overrule
from alsweep.sweep.environment import (
    cluster_address,
    prepare_environment,
    sinks_of,
    unset_which_run,
    wandb_settings,
)
from alsweep.sweep.fulldata import refuse_search_without_references
from alsweep.sweep.order import Order
from alsweep.sweep.plan import Plan
from alsweep.sweep.planning import plan_of, plan_read, with_fraction
from alsweep.sweep.retry import Retry
from alsweep.sweep.run_folder import check_same_sweep, driver_lock, refresh_configs, write_space
from alsweep.sweep.stops import stops_raise

if TYPE_CHECKING:
    from alsweep.config.sweep import WandbConfig
    from alsweep.sweep.events import Told
    from alsweep.sweep.job import Outcome
    from alsweep.sweep.taking_over import TakenOver
    from alsweep.sweep.work import Work
    from alsweep.tracking.base import Tracker
    from alsweep.tracking.sinks import MakeSink, Several

_SECONDS_TO_CLOSE = 10.0
_SECONDS_TO_TELL = 60.0
"""For all events that are still to be told at the end, once results and report are written."""


_P = ParamSpec("_P")


_Do = Callable[Concatenate["SweepConfig | Plan | Path | str", "Path | str", _P], "Outcome"]


def _in_its_room(do: _Do[_P]) -> _Do[_P]:
    """Let a run in an object store be worked on in a local folder."""

    @wraps(do)
    def in_its_room(
        sweep: SweepConfig | Plan | Path | str, run: Path | str, *args: _P.args, **kwargs: _P.kwargs
    ) -> Outcome:
        with to_work_in(Path(run)) as folder:
            return do(sweep, folder, *args, **kwargs)

    return cast("_Do[_P]", in_its_room)


@_in_its_room
def run_sweep(
    sweep: SweepConfig | Plan | Path | str,
    run: Path | str,
    *,
    address: str | None = None,
    order: Order = Order.seeds,
    work: Work | None = None,
    on_loop: OnLoop | None = None,
    report: bool | Callable[[Path], object] = True,
    audience: Audience | None = None,
    mix_numerics: bool = False,
    retry: Retry = Retry.failed,
) -> Outcome:
    """Make what is missing of a sweep: run it, continue it, extend it; then results and report.

    Workers are told what they need by variables of this process's environment, so a process that
    has not imported ray before has it as a command has. ``run_sweep(RUN / "sweep.yaml", RUN)``
    takes a run up again.

    Args:
        sweep: What to make: a search space, the path of one, or a plan.
        run: The run folder, or its place in an object store; made where it is not there.
        address: Of a running Ray cluster. None takes that of the Ray job this is in, and starts a
            private Ray elsewhere; ``local`` always does.
        order: What is made first; results do not depend on it.
        work: Makes trajectories; by training, if left out.
        on_loop: Called with a trajectory's id and the record of each loop that is finished in this
            call. What else there is to hear goes to Python's logging.
        report: Whether to write RUN/report, or what to call with the run folder in place of that.
        audience: Hears everything, in place of ``on_loop`` and logging.
        mix_numerics: Whether loops of an alsweep with other numbers may be continued.
        retry: Whether trajectories that failed before are tried again.

    Returns:
        How many trajectories are done, why others failed, and at which cap it ended, if at one.

    Raises:
        AlsweepError: What the user asks for cannot work; names what, and the mend.
        KeyboardInterrupt: A signal came. No worker is left, and the same call goes on.
    """
    audience, run = audience or Listener(on_loop), Path(run).absolute()
    address = cluster_address(address)
    plan = _plan(sweep, run, audience, private=address is None)
    wandb = wandb_settings(plan.sweep.wandb)
    if (unheeded := unset_which_run(wandb)) is not None:
        audience.tell(unheeded)
    sinks = sinks_of(plan.sweep)
    with at_work(run, plan, address) as plan:
        # Now that the environment is prepared, which Ray reads when it is imported.
        from alsweep.sweep.caps import meter_of
        from alsweep.sweep.driver import make_missing
        from alsweep.sweep.job import Job
        from alsweep.sweep.missing import going_on
        from alsweep.sweep.remote import elsewhere

        making = going_on(run, plan.overruled, retry)
        taken = tuple(taking_over.to_take_over(run, plan))
        stored = mixing.Stored.read(run, making, taken=taken, trained=work is None)
        if not mix_numerics:
            mixing.refuse_mixing(stored)
        for remark in _remarks(plan, stored, taken, private=address is None):
            audience.tell(remark)
        _refuse_untold_search(run, plan)
        plan = _written_down(run, plan, taken)
        with mirrored(wandb, sinks, run) as tracker, told(plan.sweep, run, tracker) as events:
            with audience.watch(run, plan) as monitor:
                meter = meter_of(plan.sweep, run)
                work = elsewhere(work or training_in(run, plan), run, plan)
                job = Job(plan, run, work, monitor, tracker, order, meter=meter, events=events)
                outcome = make_missing(job, address, retry)
            _tidy_up(run, plan)
            _write_up(run, report)
    return outcome


def _write_up(run: Path, report: bool | Callable[[Path], object]) -> None:
    """Results, and the report that was asked for."""
    from alsweep.results.table import write_results

    write_results(run)
    if report is not False:
        (write_report if report is True else report)(run)


def write_plan(
    plan: Plan,
    run: Path,
    audience: Audience,
    *,
    mix_numerics: bool = False,
    retry: Retry = Retry.failed,
) -> int:
    """Begin or continue a run folder for workers without a driver; nothing is made.

    Args:
        plan: What they are to make.
        run: The run folder, absolute.
        audience: Hears what there is to say before.
        mix_numerics: As in :func:`run_sweep`.
        retry: Whether they try again what failed before.

    Returns:
        How many trajectories are left to them.

    Raises:
        ConfigError: Somebody has to decide while it runs.
    """
    from alsweep.results.failure import forget_failure
    from alsweep.sweep.missing import going_on, unfinished
    from alsweep.sweep.undriven import refuse_without_driver

    refuse_without_driver(plan.sweep)
    with at_work(run, plan, None) as plan:
        making = going_on(run, plan.overruled, retry)
        taken = tuple(taking_over.to_take_over(run, plan))
        stored = mixing.Stored.read(run, making, taken=taken)
        if not mix_numerics:
            mixing.refuse_mixing(stored)
        for remark in _remarks(plan, stored, taken, private=False):
            audience.tell(remark)
        plan = _written_down(run, plan, taken)
        if retry is Retry.failed:
            for planned in plan.trajectories:
                forget_failure(trajectory_folder(run, planned.id))
    return len(unfinished(run, going_on(run, plan, retry)))


def _remarks(
    plan: Plan, stored: mixing.Stored, taken: Sequence[TakenOver], *, private: bool
) -> Iterator[str]:
    """What people are told before anything is made."""
    return chain(
        remarks.of_run(stored.run, plan),
        mixing.on_stored(stored),
        remarks.of_disk(stored.run, stored.plan, private=private),
        taking_over.summary(taken),
    )


def _tidy_up(run: Path, plan: Plan) -> None:
    """Remove the networks that ``resources.keep`` does not want, once nothing is left to make."""
    from alsweep.sweep.keep import Keep
    from alsweep.sweep.missing import unfinished
    from alsweep.sweep.retention import collect_held

    if plan.sweep.resources.keep is not None and not unfinished(run, plan):
        collect_held(run, Keep(plan.sweep.resources.keep))


def _refuse_untold_search(run: Path, plan: Plan) -> None:
    """Refuse a search that cannot tell what it gave, before anything is written."""
    refuse_search_without_references(run, plan)
    if plan.sweep.search is not None:
        check_storage(run, plan.sweep.search.storage)


def _written_down(run: Path, plan: Plan, taken: Iterable[TakenOver]) -> Plan:
    """Make a folder the plan's run, with what it has that the plan can use; it goes on from there.

    Returns:
        The plan with what stays stopped.
    """
    write_space(run, plan)
    plan = overrule(run, plan)
    taking_over.take_over(run, taken)
    refresh_configs(run, plan)
    return plan


def _plan(
    sweep: SweepConfig | Plan | Path | str, run: Path, audience: Audience, *, private: bool
) -> Plan:
    if isinstance(sweep, Plan):
        return sweep
    if isinstance(sweep, SweepConfig):
        own = run if sweep.provenance is not None and space_path(run).exists() else None
        plan = plan_of(sweep, sweep.name, own, audience.tell)
        return with_fraction(plan, private=private, tell=audience.tell)
    space = Path(sweep)
    return plan_read(load_sweep(space), space, run, tell=audience.tell, private=private)


@contextmanager
def at_work(run: Path, plan: Plan, address: str | None) -> Iterator[Plan]:
    """Hold a run folder for a plan, with the environment, disk and signals as work needs them.

    Args:
        run: Absolute.
        plan: What is going to be made.
        address: Of a Ray cluster, or None.

    Yields:
        The plan with what was decided in the folder before.

    Raises:
        RunFolderError: The folder is not the plan's, or somebody else is at work in it.
    """
    prepare_environment(plan.sweep.resources, private=address is None)
    check_same_sweep(run, plan)
    with full_disk_told(run), driver_lock(run), stops_raise():
        # Again, now that nobody else can be at work in it.
        check_same_sweep(run, plan)
        yield extended(plan, run)


def training_in(run: Path, plan: Plan) -> Work:
    """The real work, within what the plan's resources allow."""
    from alsweep.sweep import work

    return work.Training(run, plan.sweep.resources)


@contextmanager
def mirrored(settings: WandbConfig, sinks: Mapping[str, MakeSink], run: Path) -> Iterator[Several]:
    """The mirrors that are asked for; a sweep that was stopped does not wait for them long."""
    tracker = _trackers(settings, sinks, run)
    try:
        yield tracker
    except BaseException:
        tracker.close(patience=_SECONDS_TO_CLOSE)
        raise
    tracker.close()


@contextmanager
def told(sweep: SweepConfig, run: Path, tracker: Tracker) -> Iterator[Told]:
    """Who is told of events; when a sweep has ended, what is still to be told has its time."""
    from alsweep.sweep.events import Told

    listening = Told(sweep, run, tracker)
    try:
        yield listening
    except BaseException:
        listening.close(patience=_SECONDS_TO_CLOSE)
        raise
    listening.close(patience=_SECONDS_TO_TELL)


def _trackers(settings: WandbConfig, sinks: Mapping[str, MakeSink], run: Path) -> Several:
    from alsweep.tracking.base import BackgroundTracker
    from alsweep.tracking.sinks import Several
    from alsweep.tracking.wandb import WandbTracker

    wanted: list[Callable[[], Tracker]] = [
        partial(make, run, settings.project) for make in sinks.values()
    ]
    if settings.mode != "disabled":
        wanted.append(lambda: WandbTracker(run, settings))
    return Several([BackgroundTracker(make) for make in wanted])


def write_report(run: Path) -> Path:
    """Write RUN/report, of the pictures a few; returns the page."""
    from alsweep.report import write_report as write

    return write([run], report_folder(run), pictures=False)
