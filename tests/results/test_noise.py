import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alsweep.results.noise import NoiseRecord, noise_floor, noise_trainings


def record(start: str, repeat: int, dice: float | None, iterations: int = 100) -> NoiseRecord:
    return NoiseRecord(
        start=start,
        repeat=repeat,
        setting="s",
        dataset="phantom",
        seed=0,
        iterations=iterations,
        members=2,
        mean_dice=dice,
        dice={"liver": dice},
        train_seconds=1.0,
        threads=1,
        device="cpu",
        precision="fp32",
        version="0",
        numerics=1,
    )


def test_the_floor_is_the_deviation_within_starts_and_not_between_them(tmp_path):
    for start, values in (("a", (0.50, 0.52, 0.54)), ("b", (0.80, 0.82)), ("c", (0.3,))):
        for repeat, dice in enumerate(values):
            record(start, repeat, dice).write(tmp_path)
    record("a", 3, None).write(tmp_path)
    (row,) = noise_floor(noise_trainings([tmp_path])).to_dict("records")
    assert (row["starts"], row["trainings"]) == (2, 5)
    # Sums of squares 0.0008 and 0.0002 over 2 + 1 degrees of freedom.
    assert row["deviation"] == pytest.approx((0.001 / 3) ** 0.5)
    assert row["mean_dice"] == pytest.approx((0.5 + 0.52 + 0.54 + 0.8 + 0.82) / 5)


def test_training_lengths_are_told_apart_and_a_copy_counts_once(tmp_path):
    for iterations, start in ((100, "a"), (200, "b")):
        for repeat in range(2):
            record(start, repeat, 0.5 + repeat / iterations, iterations).write(tmp_path / "one")
            record(start, repeat, 0.5 + repeat / iterations, iterations).write(tmp_path / "copy")
    floor = noise_floor(noise_trainings([tmp_path / "one", tmp_path / "copy"]))
    assert floor["iterations"].tolist() == [100, 200]
    assert floor["trainings"].tolist() == [2, 2]
    assert floor["deviation"].tolist() == pytest.approx([0.01 / 2**0.5, 0.005 / 2**0.5])


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=6), st.floats(-1, 1), st.randoms())
def test_order_and_level_do_not_change_the_floor(values, level, random):
    def floor(dice):
        rows = [(("s", "a", 0, r, 100, 2, d, 1.0)) for r, d in enumerate(dice)]
        columns = noise_trainings([]).columns
        return noise_floor(pd.DataFrame(rows, columns=columns))["deviation"].item()

    moved = [value + level for value in values]
    random.shuffle(moved)
    assert floor(values) == pytest.approx(np.std(values, ddof=1), abs=1e-12)
    assert floor(moved) == pytest.approx(floor(values), abs=1e-9)


def test_without_a_repeat_there_is_no_floor(tmp_path):
    record("a", 0, 0.5).write(tmp_path)
    assert noise_floor(noise_trainings([tmp_path])).empty
