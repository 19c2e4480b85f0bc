"""Races and halvings: what is decided, what the log says of it, and what a resume makes of that."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from alsweep.config.schedule import ScheduleConfig
from alsweep.errors import ConfigError
from alsweep.layout import query_path, trajectory_folder
from alsweep.results import simulate_race
from alsweep.results.decisions import Decision, append_decisions, read_decisions
from alsweep.results.loops import write_query
from alsweep.results.records import read_records, read_run
from alsweep.results.table import collect
from alsweep.sweep import race
from alsweep.sweep.asha import Halving
from alsweep.sweep.deciding import extended, overrule
from alsweep.sweep.job import Job
from alsweep.sweep.missing import loops_done, unfinished
from alsweep.sweep.plan import Plan
from alsweep.sweep.race import run_race
from alsweep.sweep.remarks import of_run
from alsweep.sweep.run_folder import write_space
from alsweep.trajectory.query_log import QueryLog
from tests.sweep.conftest import MakePlan
from tests.sweep.fakes import TableWork, queried, table_record

LABELS = ("at90a", "at90b", "at60", "at30")
SEEDS = [3, 1, 2, 0, 5]


LACKING = {
    "grid": {},
    "points": [
        {"strategy": {"name": "power_pe", "label": "at90"}, "query.patches": 6},
        {"strategy": {"name": "margin", "label": "at30"}, "query.patches": 6},
        {"strategy": {"name": "power_pe", "label": "at90"}, "query.patches": 8},
    ],
}
"""Two settings, one of them without at30."""


class KilledError(Exception):
    pass


@pytest.fixture
def plan(plan_of: MakePlan) -> Plan:
    return raced(plan_of)


def raced(plan_of: MakePlan, **schedule: Any) -> Plan:
    strategies = [{"name": "power_pe", "beta": n + 1, "label": x} for n, x in enumerate(LABELS)]
    said = {"kind": "race", **schedule}
    return plan_of(grid={"strategy": strategies}, seeds=SEEDS, schedule=said)


def scheduled(plan: Plan, **schedule: Any) -> Plan:
    """The same trajectories under another schedule."""
    sweep = plan.sweep.model_copy(update={"schedule": ScheduleConfig(**schedule)})
    return replace(plan, sweep=sweep)


def job_of(plan: Plan, run: Path) -> Job:
    write_space(run, plan)
    heard: list[tuple[str, str]] = []
    monitor = SimpleNamespace(stopped=lambda p, why: heard.append((p.id, why)), heard=heard)
    return Job(extended(plan, run), run, TableWork(run), monitor, SimpleNamespace())


def maker(after: int | None = None) -> Callable[..., None]:
    """Makes what is missing by table lookup; killed once it has made so many loops."""
    made = 0

    def make(job: Job, until: int | None = None) -> None:
        nonlocal made
        for planned in job.unfinished():
            folder, loops = job.folder(planned), planned.config.query.loops
            log = QueryLog(folder)
            log.claim(planned.config)
            if not log.has(0):
                log.commit(0, [])
            last = loops - 1 if until is None else min(until, loops - 1)
            for loop in range(loops_done(job.run, planned), last + 1):
                if made == after:
                    raise KilledError
                table_record(planned.config, loop).write(folder)
                if loop + 1 < loops:
                    write_query(
                        query_path(folder, loop + 1), loop + 1, [queried(planned.config, 0)]
                    )
                made += 1

    return make


def run_whole(plan: Plan, run: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setattr(race, "make", maker())
    return run_race(job_of(plan, run))


def loops_made(plan: Plan, run: Path) -> dict[tuple[str, int], int]:
    return {(p.label, p.config.seed): loops_done(run, p) for p in plan.trajectories}


def test_a_look_reads_no_seed_again_that_has_ended(
    plan: Plan, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    monkeypatch.setattr(race, "read_records", lambda folder: read.append(folder) or ())
    monkeypatch.setattr(race, "make", maker())
    run_race(job_of(plan, run))
    # As the seed at hand, and once more when it has ended.
    assert max(read.count(folder) for folder in read) == 2


@pytest.mark.parametrize(
    "schedule", [{}, {"each_loop": True}, {"control": "at60"}, {"alpha": 0.01, "assurance": 0.99}]
)
def test_a_race_leaves_out_what_its_replay_on_the_whole_table_does(
    plan_of: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, schedule: dict[str, Any]
) -> None:
    plan = raced(plan_of, **schedule)
    run = tmp_path / "run"
    run_whole(plan, run, monkeypatch)
    # The replay takes seeds in ascending order, so they are called by their place in the race.
    whole = tmp_path / "whole"
    maker()(job_of(scheduled(plan), whole))
    table = collect(whole)
    table["seed"] = table["seed"].map(SEEDS.index)
    found = simulate_race(table, **schedule)
    expected = {(row.strategy, SEEDS[row.seed]): row.loops for row in found.itertuples()}
    assert loops_made(plan, run) == expected
    assert sum(expected.values()) < len(SEEDS) * len(LABELS) * 3, "nothing was left out"
    against = {d.trajectory: d.against for d in read_decisions(run)}
    dropped = {(row.strategy, row.decided_against) for row in found.itertuples()}
    by_id = {p.id: p.label for p in plan.trajectories}
    assert {(by_id[id_], other) for id_, other in against.items() if other} == {
        pair for pair in dropped if isinstance(pair[1], str)
    }


def test_what_was_stopped_is_truncated_and_the_outcome_lacks_nothing(
    plan: Plan, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = run_whole(plan, run, monkeypatch)
    assert unfinished(run, job.plan) == []
    states = {(t.id, t.status) for t in read_run(run).trajectories}
    assert {id_ for id_, state in states if state == "truncated"} == job.plan.stopped
    assert {state for _, state in states} == {"done", "truncated"}
    assert [id_ for id_, _ in job.monitor.heard] == [d.trajectory for d in read_decisions(run)]
    told = {why for _, why in job.monitor.heard}
    assert told & {"worse than at90a after 2 seeds", "worse than at90b after 2 seeds"}


@pytest.mark.parametrize("after", [0, 7, 24, 25, 30])
def test_a_race_that_was_killed_decides_the_same_when_it_goes_on(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    calm, broken = tmp_path / "calm", tmp_path / "broken"
    run_whole(plan, calm, monkeypatch)
    monkeypatch.setattr(race, "make", maker(after))
    with pytest.raises(KilledError):
        run_race(job_of(plan, broken))
    run_whole(plan, broken, monkeypatch)
    assert read_decisions(broken) == read_decisions(calm)
    assert loops_made(plan, broken) == loops_made(plan, calm)


def test_a_kill_while_decisions_are_written_loses_none(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm, torn = tmp_path / "calm", tmp_path / "torn"
    run_whole(plan, calm, monkeypatch)
    run_whole(plan, torn, monkeypatch)
    log = torn / "decisions.jsonl"
    log.write_bytes(log.read_bytes()[:-30])
    run_whole(plan, torn, monkeypatch)
    assert {d.trajectory for d in read_decisions(torn)} == {
        d.trajectory for d in read_decisions(calm)
    }


def test_a_dropped_strategy_stays_dropped_when_seeds_are_added(
    plan_of: MakePlan, plan: Plan, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_whole(plan, run, monkeypatch)
    more = plan_of(
        grid=dict(plan.sweep.grid),
        seeds=[*SEEDS, 8, 9],
        schedule={"kind": "race"},
    )
    job = run_whole(more, run, monkeypatch)
    assert first.plan.stopped < job.plan.stopped
    made = loops_made(more, run)
    assert made["at30", 8] == made["at30", 9] == 0
    assert made["at90a", 9] == made["at90b", 9] == 3


def test_a_failed_trajectory_does_not_hold_the_race_up(
    plan: Plan, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = maker()
    lost = plan.trajectories[0]

    def but_one(job: Job, until: int | None = None) -> None:
        rest = [p for p in job.plan.trajectories if p.id != lost.id]
        make(replace(job, plan=replace(job.plan, trajectories=tuple(rest))), until)

    monkeypatch.setattr(race, "make", but_one)
    begun = job_of(plan, run)
    begun.errors[lost.id] = "no room"
    job = run_race(begun)
    assert [p.id for p in unfinished(run, job.plan)] == [lost.id]
    assert loops_made(plan, run)["at30", SEEDS[-1]] == 0


def test_what_failed_before_and_is_not_tried_again_is_not_decided(
    plan: Plan, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = next(p for p in plan.trajectories if p.label == "at90a")
    begun = job_of(plan, run)
    begun.errors[lost.id] = "no room"
    left = replace(begun, plan=replace(begun.plan, stopped=frozenset({lost.id})))
    monkeypatch.setattr(race, "make", maker())
    run_race(left)
    made = loops_made(plan, run)
    assert [made["at90a", seed] for seed in SEEDS] == [0, 3, 3, 3, 3]


def without(*labels: str) -> Callable[..., None]:
    """As ``maker``, where all trajectories of some strategies fail."""
    make = maker()

    def some(job: Job, until: int | None = None) -> None:
        rest = [p for p in job.plan.trajectories if p.label not in labels]
        make(replace(job, plan=replace(job.plan, trajectories=tuple(rest))), until)

    return some


def test_a_strategy_that_always_fails_keeps_nobody_from_being_dropped(
    plan: Plan, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(race, "make", without("at60"))
    run_race(job_of(plan, run))
    assert {d.trajectory for d in read_decisions(run)} == {
        p.id for p in plan.trajectories if p.label == "at30" and p.config.seed in SEEDS[2:]
    }


def test_what_failed_and_is_tried_again_takes_part(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm, mended = tmp_path / "calm", tmp_path / "mended"
    run_whole(plan, calm, monkeypatch)
    monkeypatch.setattr(race, "make", without("at90a"))
    run_race(job_of(plan, mended))
    assert all(d.against == "at90b" for d in read_decisions(mended))
    run_whole(plan, mended, monkeypatch)
    assert loops_made(plan, mended) == loops_made(plan, calm)


def test_a_seed_without_values_is_no_seed(
    plan: Plan, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    defined = table_record

    def undefined(config: Any, loop: int) -> Any:
        record = defined(config, loop)
        return record.model_copy(update={"mean_dice": None}) if config.seed == SEEDS[0] else record

    monkeypatch.setattr(f"{__name__}.table_record", undefined)
    run_whole(plan, run, monkeypatch)
    assert [loops_made(plan, run)["at30", seed] for seed in SEEDS] == [3, 3, 3, 0, 0]


def test_what_somebody_else_stopped_is_not_decided_for_other_seeds(
    plan: Plan, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_space(run, plan)
    first = next(p for p in plan.trajectories if p.label == "at90a")
    append_decisions(
        run, [Decision(action="stopped", trajectory=first.id, by="ann", why="a broken scan")]
    )
    run_whole(plan, run, monkeypatch)
    assert [loops_made(plan, run)["at90a", seed] for seed in SEEDS] == [0, 3, 3, 3, 3]


def test_strategies_that_come_later_race_from_the_first_seed(
    plan_of: MakePlan, plan: Plan, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_decisions_of(plan, run, monkeypatch)
    strategies = [*plan.sweep.grid["strategy"], *({"name": "margin", "label": "at20"},)]
    more = plan_of(grid={"strategy": strategies}, seeds=SEEDS, schedule={"kind": "race"})
    run_whole(more, run, monkeypatch)
    assert read_decisions(run)[: len(before)] == before
    made = loops_made(more, run)
    assert [made["at20", seed] for seed in SEEDS] == [3, 3, 0, 0, 0]
    assert [made["at30", seed] for seed in SEEDS] == [3, 3, 0, 0, 0]


def read_decisions_of(
    plan: Plan, run: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Decision, ...]:
    run_whole(plan, run, monkeypatch)
    return read_decisions(run)


def test_the_log_says_what_would_have_been_and_against_whom_also_of_seeds_that_came_later(
    plan_of: MakePlan, plan: Plan, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_decisions_of(plan, run, monkeypatch)
    more = plan_of(
        grid=dict(plan.sweep.grid), seeds=[*SEEDS, 8], schedule=plan.sweep.schedule.plain()
    )
    run_whole(more, run, monkeypatch)
    configs = {p.id: p.config for p in more.trajectories}
    log = read_decisions(run)
    assert all(d.config == configs[d.trajectory] for d in log)
    told = {(d.why, d.against) for d in log if configs[d.trajectory].strategy.label == "at30"}
    assert len(told) == 1
    assert {d.config.seed for d in log if d.config is not None} >= {8}


@pytest.mark.parametrize(("begun", "now"), [("race", "asha"), ("asha", "race")])
def test_another_kind_of_schedule_does_not_go_on(
    plan_of: MakePlan, plan: Plan, run: Path, begun: str, now: str
) -> None:
    write_space(run, plan)
    append_decisions(run, [Decision(action="stopped", trajectory=plan.ids[0], by=begun, why="cut")])
    with pytest.raises(ConfigError, match=rf"schedule.kind: {now} cannot go on with what {begun}"):
        extended(scheduled(plan, kind=now), run)
    assert extended(scheduled(plan, kind=begun), run).stopped == {plan.ids[0]}
    overrule(run, extended(scheduled(plan), run))
    assert not extended(scheduled(plan, kind=now), run).stopped


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"seeds": [0, 1]}, "warning: schedule: a race decides after 2 seeds at the earliest"),
        ({"schedule": {"kind": "asha", "grace_loops": 3}}, "schedule.grace_loops: nothing is cut"),
        (
            {"schedule": {"kind": "race", "control": "at30"}, **LACKING},
            "warning: schedule.control: 1 of 2 settings have no strategy 'at30'",
        ),
        ({}, None),
        ({"schedule": {"kind": "none"}, "seeds": [0]}, None),
    ],
)
def test_a_schedule_that_cannot_stop_anything_is_told(
    plan_of: MakePlan, run: Path, changes: dict[str, Any], told: str | None
) -> None:
    strategies = [{"name": "power_pe", "beta": n + 1, "label": x} for n, x in enumerate(LABELS)]
    sweep = {"grid": {"strategy": strategies}, "seeds": SEEDS, "schedule": {"kind": "race"}}
    found = [text for text in of_run(run, plan_of(**(sweep | changes))) if "schedule" in text]
    assert [told in text for text in found] == ([] if told is None else [True])


def test_a_schedule_is_not_overruled_and_without_one_all_goes_on(
    plan: Plan, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_whole(plan, run, monkeypatch)
    again = extended(plan, run)
    assert overrule(run, again).stopped == again.stopped != frozenset()
    assert overrule(run, scheduled(again)).stopped == frozenset()
    assert {d.action for d in read_decisions(run)} == {"stopped", "overruled"}


def test_an_unknown_control_is_named(plan_of: MakePlan) -> None:
    with pytest.raises(ConfigError, match=r"schedule.control: no strategy bears the label 'at91'"):
        raced(plan_of, control="at91")


def result(loop: int, dice: float, done: bool = False) -> dict[str, Any]:
    return {"loop": loop, "mean_dice": dice, "failed": None, "erred": None, "done": done}


def trial(id_: str) -> Any:
    return SimpleNamespace(config={"trajectory": id_})


def test_halving_compares_at_equal_loops_and_logs_what_it_cuts(
    plan_of: MakePlan, run: Path
) -> None:
    plan = scheduled(raced(plan_of), kind="asha", grace_loops=1)
    job = job_of(plan, run)
    scheduler = Halving(job, 1, lambda _: False)
    ids = [p.id for p in plan.trajectories[:4]]
    said = [
        scheduler.on_trial_result(None, trial(id_), result(0, dice))
        for id_, dice in zip(ids, (0.8, 0.9, 0.5, 0.95), strict=True)
    ]
    assert said == ["CONTINUE", "CONTINUE", "STOP", "CONTINUE"]
    assert [(d.trajectory, d.by) for d in read_decisions(run)] == [(ids[2], "asha")]
    assert scheduler.on_trial_result(None, trial(ids[0]), result(2, 0.1, done=True)) == "CONTINUE"


def test_halving_goes_on_with_what_is_recorded(plan_of: MakePlan, run: Path) -> None:
    plan = raced(plan_of)
    job = job_of(plan, run)
    one, other, late = plan.trajectories[:3]
    for planned, loops in ((one, 1), (other, 1)):
        maker()(replace(job, plan=replace(plan, trajectories=(planned,))), loops - 1)
    scheduler = Halving(job_of(plan, run), 1, lambda _: False)
    best = max(r.mean_dice or 0 for p in (one, other) for r in read_records(job.folder(p)))
    assert scheduler.on_trial_result(None, trial(late.id), result(0, best - 0.2)) == "STOP"
    assert scheduler.on_trial_result(None, trial(plan.ids[3]), result(0, best)) == "CONTINUE"


def test_halving_keeps_settings_apart(plan_of: MakePlan, run: Path) -> None:
    strategies = [{"name": "power_pe", "beta": n + 1, "label": x} for n, x in enumerate(LABELS)]
    grid = {"strategy": strategies, "query.patches": [6, 8]}
    plan = plan_of(grid=grid, seeds=[0], schedule={"kind": "asha"})
    by_patches = {n: [p for p in plan.trajectories if p.config.query.patches == n] for n in (6, 8)}
    scheduler = Halving(job_of(plan, run), 1, lambda _: False)
    said = {
        (n, dice): scheduler.on_trial_result(None, trial(planned.id), result(0, dice))
        for n, values in ((6, (0.9, 0.95)), (8, (0.2, 0.1)))
        for planned, dice in zip(by_patches[n], values, strict=False)
    }
    assert said == {
        (6, 0.9): "CONTINUE",
        (6, 0.95): "CONTINUE",
        (8, 0.2): "CONTINUE",
        (8, 0.1): "STOP",
    }


def test_folders_of_what_never_began_are_not_made(
    plan: Plan, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = run_whole(plan, run, monkeypatch)
    never = [p for p in plan.trajectories if p.id in job.plan.stopped]
    assert never
    assert not any(trajectory_folder(run, p.id).exists() for p in never)
