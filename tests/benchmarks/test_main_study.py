"""The main study as it is simulated: as much work as the search space means, in the right order."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from alsweep.sweep.throughputs import LEAST_ON_A_CARD
from benchmarks import main_study
from benchmarks.main_study import (
    CHECKPOINT,
    Draw,
    One,
    Seconds,
    by_member,
    shared,
    study,
    ungated,
    unshared,
    windows_of,
)
from benchmarks.simulation import Cluster, Job, Simulation

EXACT = Draw(0, spread=0.0)


@pytest.fixture(scope="module")
def every() -> list[One]:
    return study()


def trainings(jobs: Iterable[Job]) -> int:
    return sum(phase.every == CHECKPOINT for job in jobs for phase in job.phases)


def test_every_way_trains_what_the_search_space_means(every: list[One]) -> None:
    assert trainings(unshared(every, EXACT)) == 14_400
    for way in (shared, ungated, by_member):
        assert trainings(way(every, EXACT)) == 11_760
    works = {way: sum(job.seconds for job in way(every, EXACT)) for way in (shared, by_member)}
    assert works[shared] == pytest.approx(works[by_member])


def test_phases_are_as_long_as_their_numbers_say(every: list[One]) -> None:
    seconds = {one.setting: one.seconds for one in every}
    # 200 epochs of 250 steps; the network is so small that a step takes what it takes at least.
    assert seconds["hippocampus-low"].member == pytest.approx(50_000 * LEAST_ON_A_CARD)
    assert seconds["kits-low"] == seconds["kits-high"]
    # (160 - 128) / 64 + 1 by two times (320 - 128) / 64 + 1.
    assert windows_of((160, 320, 320), (128, 128, 128), 0.5) == 2 * 4 * 4
    assert windows_of((36, 50, 35), (40, 56, 40), 0.75) == 1
    # Twice the share of overlap along each axis, mirrored along three, a third of the cases.
    kits = seconds["kits-low"]
    per_window = kits.evaluate / (75 * 8), kits.query / 225
    assert per_window[0] >= per_window[1]


def small(name: str, asks: bool = True) -> One:
    return One(name, "entropy", 0, loops=3, members=2, seconds=Seconds(10, 4, 1), asks=asks)


def test_two_trajectories_worked_out_by_hand() -> None:
    alike = [small("s"), One("s", "random", 0, 3, 2, Seconds(10, 4, 1), asks=False)]
    # Alone: 3 loops of 24, two queries; without sharing each on a card of its own.
    assert Simulation(list(unshared(alike, EXACT)), Cluster(2)).run().wall == 3 * 24 + 2
    # Shared: 24 for one card, while the other idles; then 50 and 48.
    found = Simulation(list(shared(alike, EXACT)), Cluster(2)).run()
    assert (found.wall, found.useful, found.idle) == (74, 122, 26)
    # Networks side by side: 14 a loop where cards suffice, of the one that asks 15.
    assert Simulation(list(by_member(alike, EXACT)), Cluster(4)).run().wall == 14 + 2 * 15


def test_who_need_not_wait_for_other_starts_does_not() -> None:
    slow = One("slow", "entropy", 0, 3, 2, Seconds(100, 4, 1), asks=True)
    quick = small("quick")
    gated = Simulation(list(shared([slow, quick], EXACT)), Cluster(2)).run()
    free = Simulation(list(ungated([slow, quick], EXACT)), Cluster(2)).run()
    assert gated.ends[quick.name] == 204 + 50
    assert free.ends[quick.name] == 24 + 50
    assert free.wall == gated.wall == 204 + slow.total


def test_a_race_begins_a_seed_when_the_one_before_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seeds = [replace(small("s"), seed=seed, strategy=name) for seed in (0, 1) for name in "ab"]
    monkeypatch.setattr(main_study, "_undecided", lambda every, seed: every[:3])
    found = Simulation(list(main_study.raced(seeds, EXACT, 0)), Cluster(4)).run()
    # A start and what follows on it, twice; the second seed has one trajectory left.
    assert found.wall == 2 * (24 + 50)
    assert found.useful == 24 + 100 + 24 + 50
