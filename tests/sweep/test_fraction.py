"""What fraction of a card ``gpus: auto`` comes to, with a card that is only said to be there."""

import json
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsweep.cli.main import _exit_code
from alsweep.config.sweep import ResourcesConfig
from alsweep.errors import ConfigError
from alsweep.sweep import fraction
from alsweep.sweep.calibrating import Calibration
from alsweep.sweep.fraction import Probe, Worker, propose, with_gpus
from alsweep.sweep.planning import stored_plan, with_fraction
from alsweep.trajectory.timed import Held
from tests.sweep.conftest import sweep_of

AUTO = ResourcesConfig.model_validate({"gpus": "auto", "cpus": 2})


@dataclass(frozen=True)
class Said(Probe):
    """A card as it is told."""

    there: int = 1
    shares: tuple[float, ...] = (0.0, 0.2, 0.25, 0.3)

    def cards(self):
        return self.there

    @contextmanager
    def watching(self):
        yield self.shares


def a_worker(gib, busy):
    return Worker(Held(gib, "a card of 80 GiB", 80.0), busy)


@given(
    st.floats(0.1, 80), st.none() | st.floats(0, 1), st.integers(1, 64), st.sampled_from([1, 2, 8])
)
def test_no_more_workers_than_memory_cpus_and_time_allow(gib, busy, by_cpus, cards):
    found = propose(a_worker(gib, busy), {"CPUs": by_cpus}, cards)
    # Those that there are spread over the cards.
    assert 1 <= found.at_once <= max(1, by_cpus / cards + 1)
    assert found.at_once * gib <= 80
    assert busy is None or found.at_once * busy <= 1.5 or found.at_once == 1
    # Ray takes just so many.
    assert int(1 / found.gpus + 1e-9) == found.at_once


@pytest.mark.parametrize(
    ("worker", "there", "cards", "at_once", "why"),
    [
        (a_worker(7.0, 0.01), {"CPUs for 64": 64}, 1, 10, "7.00 of 80 GiB each"),
        (a_worker(7.0, 0.01), {"CPUs for 4": 4}, 1, 4, "CPUs for 4"),
        (a_worker(1.0, 0.24), {"CPUs for 64": 64}, 1, 4, "24 % of the card's time each"),
        (a_worker(1.0, None), {"CPUs for 64": 64}, 1, 64, "CPUs for 64"),
        (a_worker(79.0, None), {"CPUs for 64": 64}, 1, 1, "79.00 of 80 GiB each"),
        # Ray fills a card before it takes the next: more than these would leave the other idle.
        (a_worker(1.0, None), {"CPUs for 64": 64}, 8, 8, "CPUs for 64 on 8 cards"),
        (a_worker(1.0, 0.1), {"CPUs": 64, "5 trajectories": 5}, 2, 3, "5 trajectories on 2 cards"),
    ],
)
def test_what_is_scarcest_sets_the_limit(worker, there, cards, at_once, why):
    found = propose(worker, there, cards)
    assert (found.at_once, found.why) == (at_once, why)


def test_a_worker_that_no_card_holds_is_told_in_one_line():
    with pytest.raises(ConfigError, match=r"took 81.0 GiB.* has 80.0; lower training.patch_size"):
        propose(a_worker(81.0, None), {"CPUs for 4": 4}, 1)


def test_auto_is_a_card_alone_until_its_fraction_is_known():
    assert (AUTO.gpus, AUTO.gpus_to_find) == (1.0, True)
    assert ResourcesConfig.model_validate(AUTO.plain()) == AUTO
    assert not ResourcesConfig(gpus=0.5).gpus_to_find


@pytest.mark.parametrize("text", ["automatic", "0,5", ""])
def test_a_word_that_is_no_number_is_refused_with_what_may_be_written(text):
    with pytest.raises(ValueError, match=f"'{text}' is no number; write one, or auto"):
        ResourcesConfig.model_validate({"gpus": text})


def test_a_number_in_quotes_is_one():
    assert ResourcesConfig.model_validate({"gpus": "0.5"}).gpus == 0.5


HELD = Held(2.0, "a card of 80 GiB", 80.0)


def found(plan_of, monkeypatch, probe, held=HELD, **resources):
    monkeypatch.setattr(Calibration, "held", lambda self, recipe: held)
    monkeypatch.setattr(fraction, "workers", lambda resources: 8)
    told = []
    plan = plan_of(seeds=range(9), resources={"gpus": "auto", "cpus": 2, **resources})
    made = with_gpus(plan, private=True, tell=told.append, probe=probe)
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
    gpus, line = found(plan_of, monkeypatch, Said(there=0))
    assert gpus == 0
    assert line == "resources.gpus: auto: this machine has no card; all is computed on CPUs"


def test_a_device_that_is_no_card_is_heeded(plan_of, monkeypatch):
    gpus, line = found(plan_of, monkeypatch, Said(), device="cpu")
    assert gpus == 0
    assert line == "resources.gpus: auto: 0, since resources.device is cpu"


def test_a_worker_that_is_too_slow_to_be_tried_has_a_card_of_its_own(plan_of, monkeypatch):
    gpus, line = found(plan_of, monkeypatch, Said(), held=None)
    assert gpus == 1
    assert "did not get through 40 s of calibration" in line


def test_a_number_stays_as_it_is_and_a_cluster_wants_one(plan_of):
    plan = plan_of(resources={"gpus": 0.3})
    assert with_fraction(plan, private=True, tell=print) is plan
    with pytest.raises(ConfigError, match="write a number for a cluster"):
        with_fraction(plan_of(resources={"gpus": "auto"}), private=False, tell=print)


def test_nobody_answers_where_no_driver_is(monkeypatch):
    monkeypatch.setattr(fraction.shutil, "which", lambda name: None)
    with Probe(seconds=0.01).watching() as shares:
        pass
    assert not shares


@pytest.mark.parametrize(("visible", "share"), [("3,1", 0.37), (None, 0.12)])
def test_the_driver_is_asked_how_busy_the_first_visible_card_is(
    monkeypatch, tmp_path, visible, share
):
    program = tmp_path / "nvidia-smi"
    program.write_text(
        '#!/bin/sh\ncase "$*" in *--query-gpu=utilization.gpu*--id=3) echo 37;; *) echo 12;; esac'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with Probe(seconds=0.01).watching() as shares:
        while not shares:
            pass
    assert set(shares) == {share}


def test_a_dry_run_says_it_and_the_run_goes_by_the_number_from_then_on(
    dataset, tmp_path, monkeypatch, capfd
):
    monkeypatch.setattr(Calibration, "held", lambda self, recipe: HELD)
    monkeypatch.setattr(fraction, "workers", lambda resources: 8)
    monkeypatch.setattr(fraction, "Probe", Said)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    space, run = tmp_path / "space.yaml", tmp_path / "run"
    written = sweep_of(dataset).plain() | {"resources": {"gpus": "auto", "cpus": 1}}
    space.write_text(json.dumps(written))
    line = "resources.gpus: auto: 0.25, so that 4 at once share a card of 80 GiB"
    command = ["run", str(space), "--out", str(run)]
    assert _exit_code([*command, "--dry-run"], debug=False) == 0
    assert line in capfd.readouterr().err
    assert not run.exists()
    assert _exit_code([*command, "--plan-only"], debug=False) == 0
    assert line in capfd.readouterr().err
    # From now on nothing is tried: 'resume' and 'worker' read what the run wrote.
    monkeypatch.delattr(Calibration, "held")
    resources = stored_plan(run).sweep.resources
    assert (resources.gpus, resources.gpus_to_find) == (0.25, False)
