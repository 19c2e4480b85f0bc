"""A cluster and its queue, event by event: how long a set of jobs takes on how many cards.

A job holds a card from the start of its worker to the end of its last phase. Whatever is free takes
the first job in line whose predecessors are done; nobody is pushed out. Where a node is lost, its
jobs go to the end of the line, as Tune does it, and begin again from what is durable of them:
finished phases, and the last checkpoint of the phase at hand. Retries have no limit here.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

import numpy as np


@dataclass(frozen=True)
class Phase:
    """A part of a job.

    Attributes:
        seconds: That it takes.
        every: Seconds between its checkpoints; None where it has none.
    """

    seconds: float
    every: float | None = None

    def left_after(self, seconds: float) -> Phase:
        """What is to be done again where it was broken off."""
        safe = 0.0 if self.every is None else seconds // self.every * self.every
        return Phase(self.seconds - safe, self.every)


@dataclass(frozen=True)
class Job:
    """Work for one card.

    Attributes:
        name: Another one for each.
        phases: In their order; without any it needs no card, and stands for all it comes after.
        after: Names of the jobs that have to be done before.
    """

    name: str
    phases: tuple[Phase, ...] = ()
    after: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Without a worker's start."""
        return sum(phase.seconds for phase in self.phases)


@dataclass(frozen=True)
class Cluster:
    """Equal cards in nodes.

    Attributes:
        cards: All of them.
        in_node: Cards of a node.
        start: Seconds from a free card to a worker that works.
        lost_every: Mean seconds until a node is lost, by chance alone; None for never.
        away: Seconds until there is another in its place.
    """

    cards: int
    in_node: int = 8
    start: float = 0.0
    lost_every: float | None = None
    away: float = 300.0

    @property
    def nodes(self) -> list[tuple[int, int]]:
        """Each node with its cards; the last may have fewer."""
        firsts = range(0, self.cards, self.in_node)
        return [(node, min(self.in_node, self.cards - first)) for node, first in enumerate(firsts)]


@dataclass
class Outcome:
    """What became of the seconds of all cards.

    Attributes:
        wall: Seconds from the first job to the end of the last.
        useful: Seconds of cards in phases as if nothing was ever lost.
        starting: In starts of workers.
        lost: In what had to be done again.
        away: In which a card was not there.
        losses: Nodes that were lost.
        cards: How many there are.
        ends: Job to its end.
    """

    cards: int
    wall: float = 0.0
    useful: float = 0.0
    starting: float = 0.0
    lost: float = 0.0
    away: float = 0.0
    losses: int = 0
    ends: dict[str, float] = field(default_factory=dict, repr=False)

    @property
    def held(self) -> float:
        """Seconds of cards that are paid for: all that were there until the end."""
        return self.cards * self.wall - self.away

    @property
    def efficiency(self) -> float:
        """Useful seconds a second that is paid for."""
        return self.useful / self.held

    @property
    def idle(self) -> float:
        """Seconds of cards that were there and had nothing to do."""
        return self.held - self.useful - self.starting - self.lost


@dataclass(frozen=True)
class _Running:
    job: Job
    node: int
    began: float


class Simulation:
    """Jobs on a cluster; :meth:`run` is called once.

    Args:
        jobs: In the order in which they stand in line.
        cluster: What they run on.
        seed: Of the losses.
    """

    def __init__(self, jobs: Sequence[Job], cluster: Cluster, seed: int = 0) -> None:
        self._jobs, self._cluster = {job.name: job for job in jobs}, cluster
        self._draws = np.random.default_rng(seed)
        self._outcome = Outcome(cluster.cards, useful=sum(job.seconds for job in jobs))
        self._turns = {job.name: turn for turn, job in enumerate(jobs)}
        self._waits = {job.name: len(job.after) for job in jobs}
        self._followers: dict[str, list[str]] = {job.name: [] for job in jobs}
        for job in jobs:
            for before in job.after:
                self._followers[before].append(job.name)
        self._line: list[tuple[int, Job]] = []
        self._events: list[tuple[float, int, Callable[[int], None], int]] = []
        self._running: dict[int, _Running] = {}
        self._absent: list[tuple[float, float]] = []
        self._free = dict(cluster.nodes)
        self._number, self._last_turn = count(), count(len(jobs))
        self._now = 0.0

    def run(self) -> Outcome:
        """Go from event to event until every job is done."""
        for name, waits in self._waits.items():
            if not waits:
                self._stand_in_line(self._jobs[name], self._turns[name])
        for node in self._free:
            self._foresee_loss(node)
        while len(self._outcome.ends) < len(self._jobs):
            self._fill()
            self._now, _, happen, what = heapq.heappop(self._events)
            happen(what)
        wall = self._outcome.wall = self._now
        self._outcome.away = sum(min(end, wall) - since for since, end in self._absent)
        return self._outcome

    def _at(self, seconds: float, happen: Callable[[int], None], what: int) -> None:
        heapq.heappush(self._events, (self._now + seconds, next(self._number), happen, what))

    def _stand_in_line(self, job: Job, turn: int) -> None:
        if job.phases:
            heapq.heappush(self._line, (turn, job))
        else:
            self._done(job)

    def _fill(self) -> None:
        """Give what is free to those who stand first."""
        for node in self._free:
            while self._line and self._free[node]:
                self._begin(heapq.heappop(self._line)[1], node)

    def _begin(self, job: Job, node: int) -> None:
        number = next(self._number)
        self._running[number] = _Running(job, node, self._now)
        self._free[node] -= 1
        self._at(self._cluster.start + job.seconds, self._end, number)

    def _end(self, number: int) -> None:
        one = self._running.pop(number, None)
        if one is None:
            return  # it was lost with its node
        self._free[one.node] += 1
        self._outcome.starting += self._cluster.start
        self._done(one.job)

    def _done(self, job: Job) -> None:
        self._outcome.ends[job.name] = self._now
        for name in self._followers[job.name]:
            self._waits[name] -= 1
            if not self._waits[name]:
                self._stand_in_line(self._jobs[name], self._turns[name])

    def _foresee_loss(self, node: int) -> None:
        if self._cluster.lost_every is not None:
            self._at(self._draws.exponential(self._cluster.lost_every), self._lose, node)

    def _lose(self, node: int) -> None:
        here = [number for number, one in self._running.items() if one.node == node]
        for number in here:
            self._break_off(self._running.pop(number))
        self._outcome.losses += 1
        self._free[node] = 0
        # A card of a node counts as away; a node has as many of them as it has.
        cards = dict(self._cluster.nodes)[node]
        self._absent += [(self._now, self._now + self._cluster.away)] * cards
        self._at(self._cluster.away, self._come_back, node)

    def _come_back(self, node: int) -> None:
        self._free[node] = dict(self._cluster.nodes)[node]
        self._foresee_loss(node)

    def _break_off(self, one: _Running) -> None:
        took = self._now - one.began
        started = min(took, self._cluster.start)
        left = tuple(_left(one.job.phases, took - started))
        rest = replace(one.job, phases=left)
        self._outcome.starting += started
        self._outcome.lost += took - started - (one.job.seconds - rest.seconds)
        self._stand_in_line(rest, next(self._last_turn))


def _left(phases: Sequence[Phase], seconds: float) -> Iterator[Phase]:
    """What is to be done of phases that were at work for so long."""
    for phase in phases:
        if seconds < phase.seconds:
            yield phase.left_after(max(0.0, seconds))
        seconds -= phase.seconds
