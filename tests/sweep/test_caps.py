"""What counts against a cap, and when it is reached."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsweep.config.caps import CAPS, CapsConfig
from alsweep.config.sweep import ResourcesConfig, SweepConfig
from alsweep.config.validation import validated
from alsweep.errors import ConfigError
from alsweep.files import write_json
from alsweep.layout import meta_path, models_folder
from alsweep.results.records import read_records
from alsweep.sweep.caps import (
    Meter,
    SeldomMeasured,
    count_loop,
    loop_seconds,
    meter_of,
    replaced_records,
    stored_start_seconds,
)
from alsweep.sweep.job import Job
from alsweep.sweep.remarks import of_run
from alsweep.sweep.run_folder import write_space
from alsweep.sweep.status import read_status
from alsweep.tracking.base import NullTracker
from tests.sweep.conftest import MakePlan, sweep_of
from tests.sweep.fakes import TableWork, table_record
from tests.sweep.test_missing import do_loops
from tests.sweep.test_tuner import Ears


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_without_caps_nothing_is_ever_reached_or_measured() -> None:
    def gib() -> float:
        raise AssertionError("nobody has asked for it")

    meter = Meter(gib=gib)
    meter.worked(1e12)
    assert meter.reached() is None
    assert meter.newly_near() == []


@pytest.mark.parametrize(("gpus", "seconds"), [(2.0, 1800.0), (0.25, 14400.0)])
def test_gpu_hours_are_hours_of_workers_times_their_gpus(gpus: float, seconds: float) -> None:
    meter = Meter(CapsConfig(gpu_hours=1), devices=gpus)
    meter.worked(seconds - 1)
    assert meter.reached() is None
    meter.worked(1)
    assert meter.reached() == "caps.gpu_hours"


def test_money_is_gpu_hours_at_their_price() -> None:
    meter = Meter(CapsConfig(money=5), devices=1, price=2.5)
    meter.worked(2 * 3600 - 1)
    assert meter.reached() is None
    meter.worked(1)
    assert meter.reached() == "caps.money"


def test_hours_pass_by_themselves_and_a_cap_once_reached_stays_so() -> None:
    clock = Clock()
    meter = Meter(CapsConfig(hours=0.5), clock=clock)
    clock.now += 1799
    assert meter.reached() is None
    clock.now += 1
    assert meter.reached() == "caps.hours"
    clock.now = 0
    assert meter.reached() == "caps.hours"


def test_each_cap_comes_near_once() -> None:
    clock = Clock()
    meter = Meter(CapsConfig(hours=1, disk_gib=10), gib=lambda: 9.5, clock=clock)
    assert meter.newly_near() == ["caps.disk_gib: 9.5 of 10"]
    clock.now += 0.9 * 3600
    assert meter.newly_near() == ["caps.hours: 0.9 of 1"]
    assert meter.newly_near() == []
    assert meter.reached() is None


@given(
    bounds=st.dictionaries(st.sampled_from(CAPS), st.floats(0.1, 10), min_size=1),
    seconds=st.lists(st.floats(0, 7200), max_size=8),
)
def test_it_is_reached_exactly_when_one_of_them_is(
    bounds: dict[str, float], seconds: list[float]
) -> None:
    clock = Clock()
    meter = Meter(CapsConfig(**bounds), 0.5, 3.0, lambda: 2.0, clock)
    for each in seconds:
        clock.now += each / 4
        meter.worked(each)
        used = meter.used()
        over = [f"caps.{name}" for name in CAPS if name in bounds and used[name] >= bounds[name]]
        assert (meter.reached() is not None) == bool(over)
        if over:
            return


def test_members_trained_side_by_side_occupy_one_worker(plan_of: MakePlan) -> None:
    record = table_record(plan_of().trajectories[0].config, 1).model_copy(
        update={"members": ("a", "b", "c"), "cached_members": 1, "train_seconds": 60.0}
    )
    assert loop_seconds(record, ResourcesConfig()) == 60.75
    assert loop_seconds(record, ResourcesConfig(members_at_once=2)) == 30.75
    assert loop_seconds(record, ResourcesConfig(members_at_once=9)) == 30.75


def test_a_shared_start_counts_once_though_no_record_has_its_time(
    run: Path, plan_of: MakePlan
) -> None:
    record = table_record(plan_of().trajectories[0].config, 0)
    record = record.model_copy(update={"members": ("a", "b", "gone", "mine")})
    for key, owner in (("a", "start-x"), ("b", "start-x"), ("mine", "random-s0")):
        (models_folder(run) / key).mkdir(parents=True)
        write_json(meta_path(models_folder(run) / key), {"seconds": 20.0, "owner": owner})
    assert stored_start_seconds(run, record, ResourcesConfig()) == 40.0
    meter = Meter()
    assert [meter.first_time(start) for start in ("x", "x", "y")] == [True, False, True]


@pytest.mark.parametrize(
    "fewer", [{"seeds": [1]}, {"grid": {"strategy": ["random"]}}, {"seeds": [7]}]
)
def test_what_was_used_stays_used_when_the_plan_shrinks(
    run: Path, plan_of: MakePlan, fewer: dict[str, Any]
) -> None:
    caps = {"caps": {"gpu_hours": 1, "money": 5}}
    caps["resources"] = {"price_per_gpu_hour": 2}
    whole = plan_of(**caps)
    for index in range(len(whole.ids)):
        do_loops(run, whole, index, 2)
    for plan in (whole, plan_of(**caps, **fewer)):
        write_space(run, plan)
        used = {cap.name: cap.used * 3600 for cap in read_status(run).caps}
        assert used == pytest.approx({"gpu_hours": 4 * 3.5, "money": 8 * 3.5})
        job = Job(plan, run, TableWork(run), Ears(), NullTracker(), meter=meter_of(plan.sweep, run))
        for planned in plan.trajectories:
            job.count(planned, read_records(job.folder(planned)))
        job.count_replaced()
        assert job.meter.used()["gpu_hours"] * 3600 == pytest.approx(4 * 3.5)


def test_what_a_plan_has_no_more_is_read_only_where_a_cap_counts_it(
    run: Path, plan_of: MakePlan
) -> None:
    do_loops(run, plan_of(), 0, 2)
    for caps, counted in ((CapsConfig(disk_gib=1, hours=2), 0), (CapsConfig(gpu_hours=1), 2)):
        assert len(list(replaced_records(run, caps, ()))) == counted
    assert list(replaced_records(run, CapsConfig(gpu_hours=1), plan_of().ids)) == []


def test_settings_that_differ_in_loops_alone_have_one_start(run: Path, plan_of: MakePlan) -> None:
    record = table_record(plan_of().trajectories[0].config, 0)
    record = record.model_copy(update={"members": ("a", "b"), "train_seconds": 0.0})
    for key in record.members:
        (models_folder(run) / key).mkdir(parents=True)
        write_json(meta_path(models_folder(run) / key), {"seconds": 20.0, "owner": "start-x"})
    meter = Meter(CapsConfig(gpu_hours=1))
    meter.first_time("trained in this call")
    for start in ("trained in this call", "of five loops", "of three loops", ""):
        count_loop(meter, run, record, ResourcesConfig(), start)
    assert meter.used()["gpu_hours"] * 3600 == pytest.approx(4 * 0.75)
    other = Meter(CapsConfig(gpu_hours=1))
    for start in ("of five loops", "", "of three loops"):
        count_loop(other, run, record, ResourcesConfig(), start)
    assert other.used()["gpu_hours"] * 3600 == pytest.approx(40 + 3 * 0.75)


def test_a_pretraining_counts_once_whoever_has_it_in_their_records(
    run: Path, plan_of: MakePlan
) -> None:
    record = table_record(plan_of().trajectories[0].config, 0)
    told = {"train_seconds": 0.0, "pretraining": "p", "pretrain_seconds": 60.0}
    here, there = (
        record.model_copy(update={**told, "members": (name,), "cached_members": cached})
        for name, cached in (("a", 0), ("b", 1))
    )

    def hours(*starts: str, trained: str = "") -> float:
        meter = Meter(CapsConfig(gpu_hours=1))
        meter.first_time(trained)
        for one, start in zip((here, there), starts, strict=True):
            count_loop(meter, run, one, ResourcesConfig(), start)
        return meter.used()["gpu_hours"] * 3600

    assert hours("", "") == pytest.approx(60 + 2 * 0.75)
    assert hours("x", "y") == pytest.approx(60 + 2 * 0.75)
    # Whoever trained a start in this call did what goes before it in the same time.
    assert hours("y", "y", trained="y") == pytest.approx(2 * 0.75)


def test_a_folder_is_measured_again_only_after_a_while(tmp_path: Path) -> None:
    clock = Clock()
    measured = SeldomMeasured(tmp_path, clock)
    assert measured.gib() == 0
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "file").write_bytes(b"x" * 100_000)
    clock.now += 9
    assert measured.gib() == 0
    clock.now += 2
    assert 100_000 <= measured.gib() * 2**30 < 200_000


def test_a_plan_says_what_caps_mean_where_there_is_no_gpu(run: Path, plan_of: MakePlan) -> None:
    caps = {"caps": {"gpu_hours": 1}, "on_event": "no-such-program --now"}
    said = [remark for remark in of_run(run, plan_of(**caps)) if "starting_budget" not in remark]
    assert len(said) == 2
    assert "an hour of a worker counts" in said[0]
    assert "no program 'no-such-program'" in said[1]
    assert meter_of(plan_of(**caps).sweep, run).devices == 1


def test_caps_and_events_are_checked_when_a_space_is_read(dataset: Any) -> None:
    with pytest.raises(ConfigError, match=r"caps\.money: needs resources\.price_per_gpu_hour"):
        sweep_of(dataset, caps={"money": 3})
    with pytest.raises(ConfigError, match=r"caps\.hours.*greater than 0"):
        sweep_of(dataset, caps={"hours": 0})
    with pytest.raises(ConfigError, match=r"on_event.*cannot be split"):
        sweep_of(dataset, on_event="say 'hello")
    sweep = sweep_of(dataset, on_event="say 'hello you' $HOME; ls")
    assert sweep.on_event == ("say", "hello you", "$HOME;", "ls")
    assert validated(SweepConfig, sweep.plain(), {}, stored=True) == sweep
