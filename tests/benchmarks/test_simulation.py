"""The simulated cluster, held to cases that were worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.simulation import Cluster, Job, Outcome, Phase, Simulation


def run(jobs: list[Job], cluster: Cluster, seed: int = 0) -> Outcome:
    return Simulation(jobs, cluster, seed).run()


def job(name: str, *seconds: float, after: tuple[str, ...] = (), every: float | None = None) -> Job:
    return Job(name, tuple(Phase(s, every) for s in seconds), after)


def test_three_equal_jobs_on_two_cards_take_two_turns() -> None:
    found = run([job("a", 10), job("b", 4, 6), job("c", 10)], Cluster(cards=2))
    assert found.ends == {"a": 10, "b": 10, "c": 20}
    assert (found.wall, found.useful, found.idle) == (20, 30, 10)
    assert found.efficiency == 0.75


def test_the_line_is_kept_and_the_long_one_at_its_end_is_waited_for() -> None:
    short = [job(f"short{i}", 1) for i in range(4)]
    assert run([*short, job("long", 4)], Cluster(cards=2)).wall == 6
    assert run([job("long", 4), *short], Cluster(cards=2)).wall == 4


def test_what_comes_after_waits_for_all_of_it_and_then_stands_where_it_stood() -> None:
    jobs = [
        job("start", 3),
        Job("gate", after=("start", "other")),
        job("first", 5, after=("gate",)),
        job("other", 7),
        job("filler", 10),
    ]
    found = run(jobs, Cluster(cards=2))
    # start 0-3, other 0-7; filler 3-13; the gate opens at 7, and first has the card of other.
    assert found.ends == {"start": 3, "other": 7, "gate": 7, "first": 12, "filler": 13}
    assert found.idle == 1


def test_each_job_has_a_worker_that_has_to_start() -> None:
    found = run([job("a", 10), job("b", 10)], Cluster(cards=1, start=2))
    assert (found.wall, found.starting, found.idle) == (24, 4, 0)
    assert found.efficiency == pytest.approx(20 / 24)


class At(Simulation):
    """Loses node 0 at given times."""

    def __init__(self, jobs: list[Job], cluster: Cluster, times: list[float]) -> None:
        super().__init__(jobs, cluster)
        for time in times:
            self._at(time, self._lose, 0)


def test_of_a_lost_node_what_is_durable_is_not_done_again() -> None:
    # Phase one (10) is durable at 12, with 2 for the start; of the second 7 are done, 6 are safe.
    jobs = [Job("a", (Phase(10), Phase(20, every=3)))]
    found = At(jobs, Cluster(cards=1, start=2, away=5), [19]).run()
    # It is back at 24, starts until 26, and does the other 14.
    assert found.wall == 40
    assert (found.useful, found.lost, found.starting, found.away) == (30, 1, 4, 5)
    assert found.idle == 0
    assert found.losses == 1


def test_without_a_checkpoint_a_phase_begins_again_and_a_start_that_is_lost_is_no_phase() -> None:
    found = At([job("a", 10)], Cluster(cards=1, start=2, away=1), [1, 9]).run()
    # Lost in its start at 1; from 2 it starts, works from 4 on, and is lost at 9 again: 10-12-22.
    assert found.wall == 22
    assert (found.lost, found.starting, found.away) == (5, 5, 2)


def test_who_was_lost_stands_at_the_end_of_the_line() -> None:
    jobs = [job("a", 10), job("b", 10), job("c", 10)]
    found = At(jobs, Cluster(cards=2, in_node=1, away=1), [5]).run()
    # a is lost at 5; c begins at 6 on the node that is back, a at 10 on the other one.
    assert found.ends == {"b": 10, "c": 16, "a": 20}


def test_the_other_cards_of_a_lost_node_are_away_too() -> None:
    found = At([job("a", 10), job("b", 10)], Cluster(cards=3, in_node=2, away=4), [6]).run()
    # Both are lost; a goes on at once on the third card until 16, b at 10 on a node that is back.
    assert (found.ends, found.away) == ({"a": 16, "b": 20}, 8)


@given(
    st.lists(st.lists(st.floats(1, 50), min_size=1, max_size=3), min_size=1, max_size=12),
    st.integers(1, 6),
    st.floats(20, 100),
    st.integers(0, 5),
)
def test_no_second_is_lost_sight_of(
    seconds: list[list[float]], cards: int, every: float, seed: int
) -> None:
    jobs = [job(str(i), *each, every=5) for i, each in enumerate(seconds)]
    calm = run(jobs, Cluster(cards, in_node=2, start=1))
    longest, work = max(map(sum, seconds)) + 1, sum(map(sum, seconds)) + len(jobs)
    assert calm.wall >= max(longest, work / cards) - 1e-6
    assert calm.wall <= work / cards + longest + 1e-6, "as no card is idle while somebody waits"
    assert (calm.lost, calm.away) == (0, 0)
    rough = run(jobs, Cluster(cards, in_node=2, start=1, lost_every=every, away=3), seed)
    assert rough.useful == calm.useful
    assert min(rough.idle, rough.lost, rough.away) >= -1e-6
    assert rough.ends.keys() == calm.ends.keys()
