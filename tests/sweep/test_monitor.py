import pytest

from alsweep.sweep.monitor import Pace, dice_text, in_words, left_in_words


def test_pace_counts_from_the_first_trajectory_and_not_from_the_start_of_ray() -> None:
    now = 0.0
    pace = Pace(10, clock=lambda: now)
    now = 100.0
    pace.start()
    assert pace.seconds_left is None
    now = 110.0
    pace.finished_loop()
    pace.finished_loop()
    assert pace.seconds_left == pytest.approx(8 * 5)
    assert pace.elapsed == 110.0
    pace.drop(4)
    assert pace.seconds_left == pytest.approx(4 * 5)


@pytest.mark.parametrize(("seconds", "words"), [(42.4, "42 s"), (420, "7 min"), (9000, "2.5 h")])
def test_durations_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_what_cannot_be_estimated_is_called_unknown() -> None:
    assert left_in_words(None) == "time left unknown"
    assert left_in_words(420) == "about 7 min left"
    assert left_in_words(0.2) == "about 0 s left"
    assert left_in_words(0) == "nothing left to do"


def test_an_undefined_dice_is_a_dash() -> None:
    assert dice_text(None) == "-"
    assert dice_text(0.12345) == "0.123"
