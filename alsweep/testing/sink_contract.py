"""What every sink must keep, as checks to run in a test; for ours and for those of others.

In a test module::

    import pytest
    from alsweep.testing.sink_contract import CHECKS, Bench

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_my_sink_keeps_the_contract(check, tmp_path):
        check(Bench(make=lambda: MySink(tmp_path, "project"), read=lambda: what_is_in_it(tmp_path)))

``make`` is called for each process that feeds the sink, ``read`` once nothing feeds it any more.
Each check raises an AssertionError that says what is wrong.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from alsweep.config.trajectory import TrajectoryConfig
from alsweep.results.loops import LoopRecord
from alsweep.tracking.base import Tracked, Tracker

Logged = Mapping[str, Sequence[tuple[int, Mapping[str, float]]]]
"""What a sink holds: trajectory id to its steps in order, each with the metrics of that loop."""

DICE: tuple[float | None, ...] = (0.25, None, 0.5)
"""Of the loops of a trajectory; at the second, nothing was defined."""


@dataclass(frozen=True)
class Bench:
    """What a sink is tried with.

    Attributes:
        make: A new one over the same place, as another process makes it.
        read: What lies in that place.
        next_process: Called between two that are made, for what outlives a sink in a process.
    """

    make: Callable[[], Tracker]
    read: Callable[[], Logged]
    next_process: Callable[[], None] = lambda: None


def example(
    seed: int = 0, sweep: str = "example", dice: Sequence[float | None] = DICE
) -> tuple[Tracked, list[LoopRecord]]:
    """A trajectory and the records of its loops; the same arguments give the same ones."""
    config = TrajectoryConfig.model_validate(
        {
            "dataset": Path("/data/phantom"),
            "strategy": {"name": "random", "label": "random"},
            "query": {"patches": 6, "patch_size": [8, 8, 8], "loops": len(dice)},
            "seed": seed,
        }
    )
    tracked = Tracked(config.trajectory_id("f00d"), config, sweep, "f00d")
    return tracked, [_record(loop, value) for loop, value in enumerate(dice)]


def _record(loop: int, dice: float | None) -> LoopRecord:
    return LoopRecord(
        loop=loop,
        dataset="phantom",
        setting="phantom-p8x8x8-q6-abcdef",
        start_hash="0123456789ab",
        annotated_patches=6 * (loop + 1),
        annotated_voxels=512 * 6 * (loop + 1),
        foreground_voxels=100 * (loop + 1),
        foreground_fraction=0.125 * (loop + 1),
        annotated_cases=3,
        mean_dice=dice,
        dice={"organ": dice, "lesion": None},
        case_dice={},
        train_seconds=2.0,
        evaluate_seconds=1.0,
        query_seconds=0.5,
        cached_members=0,
        threads=1,
        device="cpu",
        precision="fp32",
        members=("a", "b"),
        version="0.0.9",
        numerics=5,
    )


def check_everything_is_there_once(bench: Bench) -> None:
    """All loops of two trajectories, fed loop by loop and in turn, with their numbers."""
    sink, ones = bench.make(), [example(seed) for seed in (0, 1)]
    for count in (1, 2, 3):
        for tracked, records in ones:
            sink.update(tracked, records[:count])
    sink.close()
    logged = bench.read()
    for tracked, _ in ones:
        _require_steps(logged, tracked, [0, 1, 2])
        first, last = logged[tracked.id][0][1], logged[tracked.id][2][1]
        assert first["al/mean_dice"] == 0.25, f"mean Dice of loop 0: expected 0.25, got {first}"
        assert last["al/annotated_patches"] == 18, f"patches of loop 2: expected 18, got {last}"
        assert last["al/dice/organ"] == 0.5, f"Dice of organ: expected 0.5, got {last}"


def check_what_is_undefined_is_left_out(bench: Bench) -> None:
    """An undefined Dice is no 0 and no NaN, which some tools draw as 0."""
    _feed(bench, 3)
    tracked, _ = example()
    middle = bench.read()[tracked.id][1][1]
    assert "al/mean_dice" not in middle, f"loop 1 has no Dice, but the sink has {middle}"
    assert middle["al/annotated_patches"] == 12, f"loop 1: expected 12 patches, got {middle}"


def check_the_same_again_changes_nothing(bench: Bench) -> None:
    """A run that is resumed when it is finished shows its records once more."""
    for _ in range(2):
        _feed(bench, 3)
        bench.next_process()
    _require_steps(bench.read(), example()[0], [0, 1, 2])


def check_a_later_process_goes_on(bench: Bench) -> None:
    """Stopped after a loop and after two, and closed each time."""
    for count in (1, 2, 3):
        _feed(bench, count)
        bench.next_process()
    _require_steps(bench.read(), example()[0], [0, 1, 2])


def check_a_killed_process_leaves_no_second_step(bench: Bench) -> None:
    """Killed before anything was closed: the next process shows all records again."""
    tracked, records = example()
    bench.make().update(tracked, records[:2])  # and then it is gone, without a word
    bench.next_process()
    _feed(bench, 3)
    _require_steps(bench.read(), tracked, [0, 1, 2])


def check_two_sweeps_are_kept_apart(bench: Bench) -> None:
    """A trajectory that two sweeps of other names have does not get every step twice."""
    _feed(bench, 3)
    bench.next_process()
    sink = bench.make()
    tracked, records = example(sweep="second")
    sink.update(tracked, records[:1])
    sink.close()
    steps = [step for step, _ in bench.read()[tracked.id]]
    assert steps.count(1) == 1, f"loop 1 was shown once, but the sink has the steps {steps}"


def check_alerts_and_closing_never_raise(bench: Bench) -> None:
    """Nobody has to be told, and nothing has to be open."""
    sink = bench.make()
    for level in ("INFO", "WARN", "ERROR"):
        sink.alert("example", "title", "text", level)
    sink.close()
    bench.make().close()


def _feed(bench: Bench, count: int) -> None:
    """One process that shows the first loops of the example and ends well."""
    sink = bench.make()
    tracked, records = example()
    sink.update(tracked, records[:count])
    sink.close()


def _require_steps(logged: Logged, tracked: Tracked, steps: list[int]) -> None:
    found = [step for step, _ in logged.get(tracked.id, ())]
    assert found == steps, f"{tracked.id}: expected the steps {steps}, each once, got {found}"


CHECKS = (
    check_everything_is_there_once,
    check_what_is_undefined_is_left_out,
    check_the_same_again_changes_nothing,
    check_a_later_process_goes_on,
    check_a_killed_process_leaves_no_second_step,
    check_two_sweeps_are_kept_apart,
    check_alerts_and_closing_never_raise,
)
