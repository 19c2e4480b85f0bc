"""What fraction of a card ``gpus: auto`` comes to, with a card that is only said to be there."""

from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsweep.config.sweep import ResourcesConfig
from alsweep.errors import ConfigError
from alsweep.sweep import fraction
from alsweep.sweep.calibrating import Calibration
from alsweep.sweep.fraction import Card, Probe, Worker, propose, with_gpus
from alsweep.sweep.planning import with_fraction

CARD = Card("a card of 80 GiB", 80.0)
AUTO = ResourcesConfig.model_validate({"gpus": "auto", "cpus": 2})


@dataclass(frozen=True)
class Said(Probe):
    """A card as it is told."""

    one: Card | None = CARD
    shares: tuple[float, ...] = (0.0, 0.2, 0.25, 0.3)

    def card(self):
        return self.one

    @contextmanager
    def watching(self):
        yield self.shares


@given(st.floats(0.1, 80), st.none() | st.floats(0, 1), st.integers(1, 64))
def test_no_more_workers_than_memory_cpus_and_time_allow(gib, busy, by_cpus):
    found = propose(CARD, Worker(gib, busy), by_cpus)
    assert 1 <= found.at_once <= by_cpus
    assert found.at_once * gib <= CARD.gib
    assert busy is None or found.at_once * busy <= 1.5 or found.at_once == 1
    # Ray takes just so many.
    assert int(1 / found.gpus + 1e-9) == found.at_once


@pytest.mark.parametrize(
    ("worker", "by_cpus", "at_once", "why"),
    [
        (Worker(7.0, 0.01), 64, 10, "7.00 of 80 GiB each"),
        (Worker(7.0, 0.01), 4, 4, "CPUs for 4"),
        (Worker(1.0, 0.24), 64, 4, "24 % of the card's time each"),
        (Worker(1.0, None), 64, 64, "CPUs for 64"),
        (Worker(79.0, None), 64, 1, "79.00 of 80 GiB each"),
    ],
)
def test_what_is_scarcest_sets_the_limit(worker, by_cpus, at_once, why):
    found = propose(CARD, worker, by_cpus)
    assert (found.at_once, found.why) == (at_once, why)


def test_a_worker_that_no_card_holds_is_told_in_one_line():
    with pytest.raises(ConfigError, match=r"took 81.0 GiB.* has 80.0; lower training.patch_size"):
        propose(CARD, Worker(81.0, None), 4)


def test_auto_is_a_card_alone_until_its_fraction_is_known():
    assert (AUTO.gpus, AUTO.gpus_to_find) == (1.0, True)
    assert ResourcesConfig.model_validate(AUTO.plain()) == AUTO
    assert not ResourcesConfig(gpus=0.5).gpus_to_find


def found(plan_of, monkeypatch, probe, gib=2.0, **more):
    monkeypatch.setattr(Calibration, "held_gib", lambda self, recipe: gib)
    monkeypatch.setattr(fraction, "workers", lambda resources: 8)
    told = []
    plan = plan_of(resources={"gpus": "auto", "cpus": 2})
    made = with_gpus(plan, private=True, tell=told.append, probe=probe, **more)
    assert made.trajectories == plan.trajectories
    assert not made.sweep.resources.gpus_to_find
    (line,) = told
    return made.sweep.resources.gpus, line


def test_the_fraction_is_found_and_told(plan_of, monkeypatch):
    gpus, line = found(plan_of, monkeypatch, Said())
    assert gpus == 0.25
    assert line == (
        "resources.gpus: auto: 0.25, so that 4 at once share a card of 80 GiB "
        "(25 % of the card's time each)"
    )


def test_a_machine_without_a_card_says_so_in_one_line(plan_of, monkeypatch):
    gpus, line = found(plan_of, monkeypatch, Said(one=None))
    assert gpus == 0
    assert line == "resources.gpus: auto: this machine has no card; all is computed on CPUs"


def test_a_worker_that_is_too_slow_to_be_tried_has_a_card_of_its_own(plan_of, monkeypatch):
    gpus, line = found(plan_of, monkeypatch, Said(), gib=None)
    assert gpus == 1
    assert "did not get through 40 s of calibration" in line


def test_a_number_stays_as_it_is_and_a_cluster_wants_one(plan_of):
    plan = plan_of(resources={"gpus": 0.3})
    assert with_fraction(plan, private=True, tell=print) is plan
    with pytest.raises(ConfigError, match="write a number for a cluster"):
        with_fraction(plan_of(resources={"gpus": "auto"}), private=False, tell=print)


def test_nobody_answers_where_no_driver_is(monkeypatch):
    monkeypatch.setattr(fraction.shutil, "which", lambda name: None)
    probe = Probe(seconds=0.01)
    assert probe.card() is None
    with probe.watching() as shares:
        pass
    assert not shares


def test_the_driver_is_asked_for_name_memory_and_use(monkeypatch, tmp_path):
    program = tmp_path / "nvidia-smi"
    program.write_text(
        '#!/bin/sh\ncase "$1" in *name*) echo "NVIDIA H100, 81920";; *) echo 37;; esac'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    probe = Probe(seconds=0.01)
    assert probe.card() == Card("NVIDIA H100", 80.0)
    with probe.watching() as shares:
        while not shares:
            pass
    assert set(shares) == {0.37}
