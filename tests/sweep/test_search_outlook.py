"""What a dry run says of a search that has begun: what is to come, and nothing of it twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alsweep.data.case import Dataset
from alsweep.layout import trajectory_folder
from alsweep.sweep import search as searching
from alsweep.sweep.deciding import extended
from alsweep.sweep.missing import to_do, unfinished
from alsweep.sweep.remarks import of_run
from alsweep.sweep.search import left
from alsweep.sweep.search_outlook import SearchOutlook, search_outlook
from alsweep.sweep.search_space import size
from tests.sweep.fakes import ERROR, plant_fault
from tests.sweep.test_search import Bench, Stopped, counted

_RANGE = {
    "strategy": [{"name": "power_bald", "beta": {"low": 1, "high": 1000, "log": True}}],
}
"""In which no configuration is suggested twice, so that what is to come can be counted."""


def seen(bench: Bench) -> SearchOutlook:
    found = search_outlook(bench.run, extended(bench.plan, bench.run))
    assert found is not None
    return found


def to_come(bench: Bench) -> int:
    """Trajectories of which loops lack, by what a dry run says."""
    plain = seen(bench).plain()
    own = len(unfinished(bench.run, extended(bench.plan, bench.run)))
    more = plain["promoted"]["trajectories"] + plain["confirmed"]["trajectories"]
    return int(own + plain["trajectories"] + more)


_STOPS = {
    "at its beginning": (Bench, "make", 0),
    "suggested": (searching._Search, "_decided", 2),
    "decided": (Bench, "make", 2),
    "half a batch told": (searching._Search, "_tell", 3),
    "to be run at the high rung": (searching, "run_best_again", 0),
    "at the high rung": (Bench, "make", 4),
    "noted of one at the high rung": (searching.Searcher, "note", 1),
    "to be confirmed": (Bench, "make", 5),
    "one is confirmed": (searching.Searcher, "note", 3),
}


@pytest.mark.parametrize("where", _STOPS)
def test_what_a_stop_leaves_is_counted_once(
    where: str, dataset: Dataset, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how: dict[str, Any] = {
        "over": _RANGE,
        "fidelity": {"training.epochs": [2, 3]},
        "confirm_seeds": [7, 8, 9],
    }
    bench = Bench(dataset, run, **how)
    before = to_come(bench)
    place, name, allowed = _STOPS[where]
    with monkeypatch.context() as patch:
        patch.setattr(place, name, counted(getattr(place, name), {"here": 0}, allowed))
        with pytest.raises(Stopped):
            bench.go()
    assert before == len(set(bench.made)) + to_come(bench)
    del bench.made[:]
    expected = to_come(bench)
    bench.go()
    assert len(set(bench.made)) == expected
    assert to_come(bench) == left(bench.begun()) == 0
    assert seen(bench).lines() == ["search: all of 6 configurations told"]


def test_a_search_that_ended_by_itself_has_nothing_to_come(dataset: Dataset, run: Path) -> None:
    bench = Bench(dataset, run, configurations=20, stop={"patience": 2})
    told = len(bench.go().plan.trajectories) and seen(bench).told
    assert 0 < told < 20
    assert seen(bench).plain()["trajectories"] == left(bench.begun()) == 0
    assert seen(bench).cost is not None
    assert seen(bench).total is None
    assert seen(bench).lines() == [
        f"search: {told} of 20 configurations told, ended since the best rises no more"
    ]
    further = Bench(dataset, run, configurations=20)
    assert seen(further).left == 20 - told


def test_what_failed_is_tried_again_among_the_runs_own(
    dataset: Dataset, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(dataset, run, over=_RANGE, configurations=2)
    with monkeypatch.context() as patch:
        patch.setattr(Bench, "make", counted(Bench.make, {"here": 0}, 1))
        with pytest.raises(Stopped):
            bench.go()
    first = unfinished(run, extended(bench.plan, run))[0]
    plant_fault(trajectory_folder(run, first.id), ERROR, 1)
    bench.drive(monkeypatch)
    found, own = seen(bench), to_do(run, extended(bench.plan, run))
    assert (found.told, found.under_way, found.left, own.unfinished) == (2, 0, 0, 1)
    more = Bench(dataset, run, over=_RANGE, configurations=3)
    assert (seen(more).under_way, seen(more).left) == (1, 0)
    assert seen(more).lines() == [
        "search: 3 configurations, 2 of them told, 1 of them under way and counted above"
    ]


def test_a_space_with_fewer_configurations_than_are_asked_for_is_told(
    dataset: Dataset, run: Path
) -> None:
    over: dict[str, Any] = {
        "strategy": ["random", {"name": "power_bald", "beta": {"choices": [1, 2, 3]}}],
        "query.patches": {"low": 6, "high": 7},
    }
    plan = Bench(dataset, run, over=over, configurations=9).plan
    assert plan.sweep.search is not None
    assert size(plan.sweep.search.over) == (1 + 3) * 2
    (told,) = [text for text in of_run(run, plan) if "search" in text]
    assert told.startswith(
        "warning: search.configurations: 9 are asked for, but search.over has 8 different ones"
    )
    for enough in (Bench(dataset, run, over=over, configurations=8), Bench(dataset, run)):
        assert not [text for text in of_run(run, enough.plan) if "different ones" in text]
