"""The tests against the controls, which several sections tell of."""

import pandas as pd

from alsweep.report.captions import ALPHA, controls_of
from alsweep.report.study import Study
from alsweep.results import compare, compare_over_settings


def compared(study: Study) -> pd.DataFrame:
    """Every strategy against each control, setting by setting."""
    return compare(study.table, controls_of(study), alpha=ALPHA, rope=study.asked.rope)


def compared_over_settings(study: Study) -> pd.DataFrame:
    """Every strategy against each control, by mean ranks over settings."""
    return compare_over_settings(study.table, controls_of(study), alpha=ALPHA)
