"""What a report is asked for: which strategies are controls, and what difference is none."""

import pytest

from alsweep.config.base import STORED
from alsweep.config.report import ReportConfig, default_controls, joined
from alsweep.config.sweep import SweepConfig
from alsweep.config.validation import validated
from alsweep.errors import ConfigError

NAMES = {"mine": "random", "pe": "predictive_entropy", "b": "random_fg66", "a": "random_fg66"}


def test_default_controls_are_found_by_name_and_called_by_label():
    assert default_controls(NAMES) == ("b", "a", "mine")
    assert default_controls({"random": "predictive_entropy"}) == ()
    assert ReportConfig().on(NAMES) == ReportConfig(controls=("b", "a", "mine"))


def test_declared_controls_stay_as_they_are():
    declared = ReportConfig(controls=("pe", "mine"), rope=0.01)
    assert declared.on(NAMES) == declared
    assert ReportConfig(controls=()).on(NAMES).controls == ()


@pytest.mark.parametrize(
    ("control", "mend"), [("mines", "did you mean 'mine'"), ("zz", "there are: a, b, mine, pe")]
)
def test_a_control_that_is_not_there_is_refused_with_a_mend(control, mend):
    with pytest.raises(ConfigError, match=rf"^report\.controls: .*'{control}'; {mend}"):
        ReportConfig(controls=("pe", control)).on(NAMES)


def test_runs_ask_for_all_their_controls_and_the_smallest_difference():
    first, second = ReportConfig(controls=("pe",)), ReportConfig(controls=("x", "pe"), rope=0.001)
    assert joined([first, second], NAMES) == ReportConfig(controls=("pe", "x"), rope=0.001)
    assert joined([first, ReportConfig()], NAMES).controls == ("pe", "b", "a", "mine")
    assert joined([], NAMES) == ReportConfig(controls=("b", "a", "mine"))


@pytest.mark.parametrize(
    ("report", "said"),
    [
        ({"controls": ["random", "random"]}, "report.controls: a control is named twice"),
        ({"rope": -0.1}, "report.rope: "),
        ({"rope": 1}, "report.rope: "),
        ({"control": ["random"]}, "report.control: .*controls"),
    ],
)
def test_a_wrong_value_is_told_with_its_key(report, said):
    with pytest.raises(ConfigError, match=said):
        validated(SweepConfig, {"name": "s", "dataset": "d", "report": report}, {})


def test_a_sweep_that_was_stored_before_means_the_default():
    stored = SweepConfig.model_validate({"name": "s", "dataset": "d"}, context=STORED)
    assert stored.report == ReportConfig(controls=None, rope=0.005)
