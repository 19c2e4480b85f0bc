"""A worker without Ray: it claims trajectories of a run one at a time, until nothing is left."""

from __future__ import annotations

import logging
import shutil
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from alsweep.disk import full_disk_told
from alsweep.errors import AlsweepError, DiskFullError, LostError, StoreAwayError
from alsweep.files import published
from alsweep.layout import log_path, starts_folder, trajectory_folder
from alsweep.results.failure import read_failure, write_failure
from alsweep.results.records import read_records
from alsweep.storage.claims import ObjectClaims
from alsweep.storage.mirror import mirror_at
from alsweep.storage.rooms import refresh
from alsweep.sweep.audience import OnLoop, log
from alsweep.sweep.claims import Claims
from alsweep.sweep.crash import error_told, raised_at
from alsweep.sweep.deciding import extended
from alsweep.sweep.events import Events, Nobody
from alsweep.sweep.folder_at_work import LoggedHeartbeat, lock_folder
from alsweep.sweep.heartbeat import Heartbeat, read_sign_of_life
from alsweep.sweep.missing import finished, loops_done, unfinished
from alsweep.sweep.order import Order, in_order, seldom_lost_first
from alsweep.sweep.reuse import Slate, used_again
from alsweep.sweep.tries import Setback, Tries
from alsweep.sweep.undriven import refuse_too_few_cpus, refuse_without_driver
from alsweep.sweep.watchdog import Watchdog

if TYPE_CHECKING:
    from alsweep.config.sweep import ResourcesConfig
    from alsweep.results.loops import LoopRecord
    from alsweep.storage.claims import Claim as ObjectClaim
    from alsweep.sweep.claims import Claim
    from alsweep.sweep.plan import Plan, Planned
    from alsweep.sweep.planning import Tell
    from alsweep.sweep.work import Stepper, Work

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shift:
    """What a worker leaves.

    Attributes:
        loops: That it has done.
        done: Finished trajectories of the run.
        failed: Id to error of those that cannot go on.
        left: Trajectories that others are at, or that nobody has come to.
        capped: The cap that keeps it from going on, as ``caps.gpu_hours``.
        renew: Whether it goes on, but in a new process: what it did leaves things in this one.
    """

    loops: int
    done: int
    failed: dict[str, str]
    left: int
    capped: str | None = None
    renew: bool = False


def run_worker(
    run: Path,
    on_loop: OnLoop,
    *,
    most: int | None = None,
    work: Work | None = None,
    tell: Tell = log,
) -> Shift:
    """Do what is left of a planned run beside other workers; the last one writes the results.

    Args:
        run: The run folder.
        on_loop: Called with a trajectory's id and the record of each loop that is done here.
        most: Loops at most; None for all.
        work: Makes trajectories; by training, if left out.
        tell: Hears warnings.

    Raises:
        AlsweepError: The run cannot be worked on; names what, and the mend.
        KeyboardInterrupt: A signal came; what is held is given back, finished loops are safe.
    """
    from alsweep.sweep import mixing
    from alsweep.sweep.planning import stored_plan
    from alsweep.sweep.remote import elsewhere, pull_trajectory
    from alsweep.sweep.run_folder import worker_lock
    from alsweep.sweep.running import told, training_in
    from alsweep.sweep.stops import stops_raise
    from alsweep.tracking.base import NullTracker

    run = run.absolute()
    plan = stored_plan(run, tell)
    refuse_without_driver(plan.sweep)
    refuse_too_few_cpus(plan.sweep.resources)
    with full_disk_told(run), worker_lock(run), stops_raise():
        now = extended(plan, run)
        mixing.refuse_mixing(mixing.Stored.read(run, now, trained=work is None))
        work, claims = elsewhere(work or training_in(run, plan), run, plan), claims_of(run)

        def heard(id_: str, record: LoopRecord) -> None:
            pull_trajectory(run, trajectory_folder(run, id_))
            on_loop(id_, record)

        with told(plan.sweep, run, NullTracker()) as events:
            shift = Worker(run, plan, work, claims, heard, most, events).work_on()
        if not shift.left:
            _write_up(run, claims)
    return shift


def claims_of(run: Path) -> Claims | ObjectClaims:
    """The claims of a run, or of the one in an object store that its folder mirrors."""
    mirror = mirror_at(run)
    return Claims(run) if mirror is None else ObjectClaims(mirror.store)


def _write_up(run: Path, claims: Claims | ObjectClaims) -> None:
    """Results and report of a run of which nothing is left; once is enough."""
    from alsweep.results.table import write_results
    from alsweep.sweep.running import write_report

    with claims.taken("report") as claim:
        if claim is not None:
            refresh(run)
            write_results(run)
            write_report(run)
            if (mirror := mirror_at(run)) is not None:
                mirror.publish_rest()


@dataclass
class Worker:
    """Does trajectories of a run that others work on, too.

    Attributes:
        run: The run folder, absolute; the caller is registered there.
        plan: As it was planned; what was decided since is read again and again.
        work: Makes trajectories.
        claims: Of the run.
        on_loop: Is called with a trajectory's id and record, for each loop that is done here.
        most: Loops that it does; None for all.
        events: Is told what somebody may want to know at once.
        loops: That it has done.
    """

    run: Path
    plan: Plan
    work: Work
    claims: Claims | ObjectClaims
    on_loop: OnLoop
    most: int | None = None
    events: Events = field(default_factory=Nobody)
    loops: int = field(default=0, init=False)
    _began: float = field(default_factory=time.monotonic, init=False)
    _prepared: set[str] = field(default_factory=set, init=False)
    _capped: str | None = field(default=None, init=False)
    _under_way: str | None = field(default=None, init=False)
    _tries: Tries = field(default_factory=Tries, init=False)

    def work_on(self) -> Shift:
        """Claim and do one trajectory after the other."""
        slate = Slate()
        again = used_again(self._resources, (one.config for one in self.plan.trajectories))
        while self._goes_on():
            with self._next() as taken:
                if taken is None:
                    break
                self._do(*taken)
                self._tell(taken[0])
            self._tell_if_all_is_done()
            slate.wipe()
            if not again and self._goes_on():
                return self._shift(renew=True)
        shift = self._shift(renew=False)
        if shift.capped is not None:
            text = f"stopped at {shift.capped}; {_counted(shift)}"
            self.events.tell("cap_reached", text, cap=shift.capped, **_counts(shift))
        return shift

    @property
    def _resources(self) -> ResourcesConfig:
        return self.plan.sweep.resources

    def _goes_on(self) -> bool:
        if self.most is not None and self.loops >= self.most:
            return False
        self._capped = self._cap_reached()
        return self._capped is None

    def _cap_reached(self) -> str | None:
        """Of what all workers have used together; ``hours`` are those of this one."""
        from alsweep.sweep.caps import metered

        bounds = self.plan.sweep.caps.bounds
        if not bounds:
            return None
        refresh(self.run, besides=self._under_way)
        found = {p.id: read_records(self._folder(p)) for p in self.plan.trajectories}
        used = metered(self.plan.sweep, self.run, found).used()
        used["hours"] = (time.monotonic() - self._began) / 3600
        return next((f"caps.{name}" for name, most in bounds.items() if used[name] >= most), None)

    def _folder(self, planned: Planned) -> Path:
        return trajectory_folder(self.run, planned.id)

    def _rest(self) -> list[Planned]:
        """What lacks a loop, is not stopped and has not failed, in the order of a run."""
        rest = unfinished(self.run, extended(self.plan, self.run))
        going = [one for one in rest if read_failure(self._folder(one)) is None]
        return seldom_lost_first(in_order(going, self.plan.sweep, Order.seeds), self.run)

    @contextmanager
    def _next(self) -> Iterator[tuple[Planned, Claim | ObjectClaim] | None]:
        """Hold a trajectory; None once all are done, or in the hands of others who are alive."""
        while True:
            waiting = False
            refresh(self.run)
            for planned in self._rest():
                if not self._started(planned):
                    waiting = True
                    continue
                with self.claims.taken(planned.id) as claim:
                    if claim is not None and self._is_to_do(planned):
                        self._under_way = self._of_run(planned)
                        yield planned, claim
                        self._under_way = None
                        return
                waiting = waiting or (claim is None and self.claims.unsure(planned.id))
            if not waiting:
                yield None
                return
            time.sleep(self.claims.seconds_between_looks)

    def _of_run(self, planned: Planned) -> str:
        """A trajectory's folder, from the run's."""
        return self._folder(planned).relative_to(self.run).as_posix()

    def _is_to_do(self, planned: Planned) -> bool:
        """Whether it still is, now that nobody else can be at it."""
        refresh(self.run, self._of_run(planned))
        done = loops_done(self.run, planned)
        return done < planned.config.query.loops and read_failure(self._folder(planned)) is None

    def _started(self, planned: Planned) -> bool:
        """See to the start that a trajectory shares; False while somebody else does."""
        key = planned.start
        if key in self._prepared or loops_done(self.run, planned):
            return True
        sharers = [one for one in self.plan.trajectories if one.start == key]
        if any(loops_done(self.run, one) for one in sharers):
            self._prepared.add(key)
            return True
        with self.claims.taken(f"start-{key[:16]}") as claim:
            if claim is None:
                return False
            self._note_loss(key, starts_folder(self.run) / key, claim)
            self._prepare(planned, sharers)
        for one in sharers:
            self._tell(one)
        return read_failure(self._folder(planned)) is None

    def _prepare(self, planned: Planned, sharers: list[Planned]) -> None:
        """Train a start, or find it trained; where it cannot be, nobody who shares it can go on.

        Nobody is at a trajectory whose start is not ready, so that its log is free.
        """
        signs, folder = starts_folder(self.run) / planned.start, self._folder(planned)
        folder.mkdir(parents=True, exist_ok=True)
        with self._watchdog(folder) as watchdog:
            beat = Heartbeat(signs, watchdog)
            do = partial(self.work.prepare_start, planned.config, beat)
            error = self._tried(planned.start, log_path(folder), beat, do)
        shutil.rmtree(signs, ignore_errors=True)
        if error is None:
            self._prepared.add(planned.start)
            return
        for one in sharers:
            write_failure(self._folder(one), error, 0)

    def _do(self, planned: Planned, claim: Claim | ObjectClaim) -> None:
        """Do a trajectory's loops, as many as there may be."""
        folder = self._folder(planned)
        folder.mkdir(parents=True, exist_ok=True)
        self._note_loss(planned.id, folder, claim)
        with (
            self._watchdog(folder) as watchdog,
            LoggedHeartbeat(planned.id, folder, watchdog) as beat,
        ):
            do = partial(self._do_loops, planned, claim, beat)
            error = self._tried(planned.id, log_path(folder), beat, do)
        if error is not None:
            write_failure(folder, error, len(read_records(folder)))

    def _watchdog(self, folder: Path) -> Watchdog:
        """In a mirror a log lasts until the next worker comes: its stacks go to stderr."""
        log = log_path(folder) if mirror_at(self.run) is None else None
        return Watchdog(self._resources.stuck_minutes, log)

    def _note_loss(self, name: str, signs: Path, claim: Claim | ObjectClaim) -> None:
        """Write down that whoever was at something before is gone without a word."""
        if claim.inherited is not None:
            beat = read_sign_of_life(signs)
            place = (None, None) if beat is None else (beat.loop, beat.phase)
            self._again(name, Setback(f"its worker was lost ({claim.inherited})", *place))

    def _again(self, name: str, setback: Setback) -> str | None:
        return self._tries.again(self.run, name, setback, self._resources.retries)

    def _tried(
        self, name: str, log: Path, beat: Heartbeat | LoggedHeartbeat, do: Callable[[], None]
    ) -> str | None:
        """Do something, again after what was lost and after a first error; or why it cannot be."""
        while True:
            try:
                with full_disk_told(log.parent):
                    do()
                return None
            except LostError as error:
                setback = Setback(str(error), *beat.place)
            except DiskFullError:
                raise
            except AlsweepError as error:
                return str(error)
            except Exception as error:
                _keep_traceback(log)
                setback = Setback(error_told(error, log), *beat.place, raised_at(error))
            if (told := self._again(name, setback)) is None:
                return setback.told
            _log.warning("warning: %s: %s", name, told)
            time.sleep(self._tries.seconds_left(name))

    def _do_loops(
        self, planned: Planned, claim: Claim | ObjectClaim, beat: LoggedHeartbeat
    ) -> None:
        folder = self._folder(planned)
        with ExitStack() as held:
            held.enter_context(lock_folder(folder))
            stepper: Stepper = self.work.trajectory(planned.config, folder, beat)
            held.callback(stepper.close)
            while not stepper.finished and not claim.lost and self._goes_on():
                record = stepper.step()
                self.loops += 1
                self._tries.went_on(planned.id)
                self.on_loop(planned.id, record)

    def _tell(self, planned: Planned) -> None:
        """Tell of a trajectory that this worker has given up."""
        if (error := read_failure(self._folder(planned))) is not None:
            text = f"{planned.id}: {error}"
            self.events.tell("trajectory_failed", text, trajectory=planned.id, error=error)

    def _tell_if_all_is_done(self) -> None:
        """By the worker whose trajectory was the last one."""
        refresh(self.run)
        shift = self._shift(renew=False)
        if not shift.left:
            self.events.tell("all_done", _counted(shift), **_counts(shift))

    def _shift(self, *, renew: bool) -> Shift:
        plan = extended(self.plan, self.run)
        rest = unfinished(self.run, plan)
        errors = {one.id: read_failure(self._folder(one)) for one in rest}
        failed = {id_: error for id_, error in errors.items() if error is not None}
        done, left = len(finished(self.run, plan)), len(rest) - len(failed)
        return Shift(self.loops, done, failed, left, self._capped if left else None, renew)


def _keep_traceback(log: Path) -> None:
    """Append the traceback of what was raised just now, for who reads it anywhere."""
    with log.open("a", encoding="utf-8") as file:
        traceback.print_exc(file=file)
    with suppress(StoreAwayError):
        published(log)


def _counts(shift: Shift) -> dict[str, int]:
    return {"done": shift.done, "failed": len(shift.failed), "left": shift.left}


def _counted(shift: Shift) -> str:
    """As a driver says it."""
    return "trajectories: " + ", ".join(f"{n} {state}" for state, n in _counts(shift).items())
