"""Repeats of starts: which there are, and what is told of them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from alsweep.sweep.noise import Repeat, missing_repeats, repeats, run_repeats
from alsweep.sweep.run_folder import write_space
from alsweep.sweep.tasks import Ended
from alsweep.trajectory.progress import OnProgress
from tests.sweep.conftest import MakePlan
from tests.sweep.fakes import TableWork


def silent(_: object) -> None:
    """Hears nothing."""


def test_each_start_is_trained_once_before_one_is_again(plan_of: MakePlan, run: Path) -> None:
    plan = plan_of()  # two strategies share the start of each of two seeds
    every = repeats(plan, 3)
    assert [one.name for one in every] == [
        f"seed {seed}, repeat {number}" for number in range(3) for seed in (0, 1)
    ]
    assert len({one.key for one in every}) == 6
    assert missing_repeats(run, plan, 3) == every
    every[1].task(TableWork(run))(silent)
    assert missing_repeats(run, plan, 3) == [every[0], *every[2:]]
    assert missing_repeats(run, plan, 1) == every[:1]


def test_what_is_missing_alone_is_made_and_failures_are_returned_by_name(
    run: Path, plan_of: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of()
    first, second, third, fourth = repeats(plan, 2)
    write_space(run, plan)
    first.task(TableWork(run))(silent)
    told, addresses, looked = [], [], []

    def session(_: object, address: str | None) -> AbstractContextManager[None]:
        addresses.append(address)
        return nullcontext()

    def tasks(tasks: dict[str, Callable[[OnProgress], None]], *_: object) -> Iterator[Ended]:
        assert list(tasks) == [second.key, third.key, fourth.key]
        for one in (second, third, fourth):
            if one != third:
                tasks[one.key](silent)
            yield Ended(one.key, "no room" if one == third else None, 1.0)

    monkeypatch.setattr("alsweep.sweep.ray_session.ray_session", session)
    monkeypatch.setattr("alsweep.sweep.tasks.run_tasks", tasks)
    monkeypatch.setattr("alsweep.sweep.nodes.check_nodes", lambda run, _: looked.append(run))

    def hear(one: Repeat, error: str | None) -> None:
        told.append((one.number, one.example.config.seed, error))

    failed = run_repeats(plan, run, 2, hear, address="a:1", work=TableWork(run))
    assert failed == {"seed 0, repeat 1": "no room"}
    assert told == [(0, 1, None), (1, 0, "no room"), (1, 1, None)]
    assert (addresses, looked) == (["a:1"], [run])
    assert missing_repeats(run, plan, 2) == [third]
