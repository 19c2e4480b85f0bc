"""The order in which trajectories begin."""

from types import SimpleNamespace
from typing import Any

import pytest

from alsweep.config.sweep import ResourcesConfig
from alsweep.sweep import turns
from alsweep.sweep.turns import InTurn, workers_at_once


def waiting(count: int, scheduler: InTurn) -> list[Any]:
    trials = [SimpleNamespace(name=i, status="PENDING") for i in range(count)]
    trials = [Trial(**vars(trial)) for trial in trials]
    for trial in trials:
        scheduler.on_trial_add(None, trial)
    return trials


class Trial:
    PENDING, RUNNING, TERMINATED = "PENDING", "RUNNING", "TERMINATED"

    def __init__(self, name: int, status: str) -> None:
        self.name, self.status = name, status


def test_the_first_that_waits_is_next_while_all_workers_are_there() -> None:
    scheduler = InTurn(at_once=2)
    trials = waiting(4, scheduler)
    assert scheduler.choose_trial_to_run(None) is trials[0]
    trials[0].status = trials[1].status = Trial.RUNNING
    assert scheduler.choose_trial_to_run(None) is trials[2]
    trials[0].status = Trial.TERMINATED
    # One runs, one worker is free: that makes two.
    assert scheduler.choose_trial_to_run(None) is trials[2]


def test_a_free_worker_leaves_the_first_to_those_that_are_starting() -> None:
    scheduler = InTurn(at_once=3)
    trials = waiting(4, scheduler)
    trials[0].status = Trial.RUNNING
    assert scheduler.choose_trial_to_run(None) is trials[3]
    trials[0].status, trials[3].status = Trial.TERMINATED, Trial.RUNNING
    (late,) = waiting(1, scheduler)
    assert scheduler.choose_trial_to_run(None) is late


def test_who_is_tried_again_waits_at_the_end() -> None:
    scheduler = InTurn(at_once=1)
    first, second = waiting(2, scheduler)
    first.status = Trial.RUNNING
    scheduler.choose_trial_to_run(None)
    first.status = Trial.PENDING
    scheduler.on_trial_add(None, first)
    assert scheduler.choose_trial_to_run(None) is second
    second.status = Trial.TERMINATED
    assert scheduler.choose_trial_to_run(None) is first
    first.status = Trial.TERMINATED
    assert scheduler.choose_trial_to_run(None) is None


@pytest.mark.parametrize(
    ("resources", "count"),
    [({}, 8), ({"cpus": 3}, 2), ({"gpus": 0.25}, 4), ({"cpus": 4, "gpus": 0.25}, 2)],
)
def test_as_many_at_once_as_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch, resources: dict[str, float], count: int
) -> None:
    monkeypatch.setattr(turns.ray, "cluster_resources", lambda: {"CPU": 8.0, "GPU": 1.0})
    assert workers_at_once(ResourcesConfig.model_validate(resources)) == count


def test_once_it_is_enough_nothing_begins_and_what_runs_ends_with_its_loop() -> None:
    asked: list[Any] = []

    def enough(trial: Any | None) -> bool:
        asked.append(trial)
        return trial is not None or len(asked) > 2

    scheduler = InTurn(at_once=2, enough=enough)
    running, waits, late = waiting(3, scheduler)
    assert scheduler.choose_trial_to_run(None) is running
    running.status = Trial.RUNNING
    assert scheduler.on_trial_result(None, running, {}) == InTurn.STOP
    stopped: list[Any] = []
    controller = SimpleNamespace(stop_trial=stopped.append)
    assert scheduler.choose_trial_to_run(controller) is None
    assert stopped == [waits, late]
    assert asked == [None, running, None]
