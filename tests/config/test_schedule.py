"""What a schedule may say."""

import pytest

from alsweep.config.schedule import ScheduleConfig
from alsweep.config.sweep import SweepConfig
from alsweep.config.validation import validated
from alsweep.errors import ConfigError

SPACE = {"name": "a", "dataset": "d"}


def schedule(**said: object) -> ScheduleConfig:
    return validated(SweepConfig, {**SPACE, "schedule": said}, {}).schedule


def test_nothing_is_decided_unless_asked():
    assert not validated(SweepConfig, SPACE, {}).schedule.decides
    assert schedule(kind="race").decides


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"kind": "race", "grace_loops": 2}, "grace_loops"),
        ({"kind": "asha", "control": "random"}, "it belongs to kind: race"),
        ({"alpha": 0.1}, "'alpha' does nothing with kind: none"),
        ({"kind": "race", "alpha": 1.5}, "schedule.alpha"),
        ({"kind": "race", "control": ""}, "control"),
        ({"kind": "races"}, "schedule.kind"),
        ({"kind": "race", "alhpa": 0.1}, "alpha"),
        ({"kind": "asha", "reduction_factor": 1}, "schedule.reduction_factor"),
    ],
)
def test_what_does_nothing_is_refused(said, named):
    with pytest.raises(ConfigError, match=named):
        schedule(**said)


def test_a_file_holds_what_the_kind_heeds():
    assert schedule(kind="asha").plain() == {
        "kind": "asha",
        "grace_loops": 1,
        "reduction_factor": 2,
    }
    assert schedule().plain() == {"kind": "none"}
    assert ScheduleConfig.model_validate(schedule(kind="race").plain()) == schedule(kind="race")
