"""A learner is a name, or a mapping of its name and options, in files and identities alike."""

import pytest
from pydantic import ValidationError

from alsweep.config.base import STORED
from alsweep.config.learner import LearnerSpec
from alsweep.config.option import OptionSpec

FLAT = {"name": "mean_teacher", "consistency_weight": 0.1, "rampup": 4}


@pytest.mark.parametrize("written", ["monai", {"name": "monai"}])
def test_without_options_it_is_its_name(written):
    spec = LearnerSpec.model_validate(written)
    assert (spec.name, spec.options) == ("monai", {})
    assert spec.model_dump() == spec.identity() == "monai"


def test_options_stand_beside_the_name():
    spec = LearnerSpec.model_validate(FLAT)
    assert spec.name == "mean_teacher"
    assert spec.options == {"consistency_weight": 0.1, "rampup": 4}
    assert spec.model_dump(mode="json") == spec.identity() == FLAT
    assert LearnerSpec.model_validate(spec.model_dump()) == spec


def test_what_alsweep_wrote_is_known_as_such_and_says_no_more():
    user, stored = (LearnerSpec.model_validate(FLAT, context=c) for c in (None, STORED))
    assert (user.stored, stored.stored) == (False, True)
    assert user.model_dump() == stored.model_dump()


@pytest.mark.parametrize("written", [3, ["monai"], None, True, {}, {"rampup": 4}])
def test_neither_name_nor_mapping_is_told(written):
    with pytest.raises(ValidationError, match=r"write a name, or \{name: NAME, OPTION: VALUE\}"):
        LearnerSpec.model_validate(written)


@pytest.mark.parametrize("written", [3, None, {}, {"weight": 1.0}])
def test_neither_kind_nor_mapping_of_a_training_option_is_told(written):
    with pytest.raises(ValidationError, match=r"write a kind, or \{kind: KIND, PARAMETER: VALUE\}"):
        OptionSpec.model_validate(written)
