"""Which classes the networks of the last loops know."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from alsweep.results import learned


def table_of(lasts, status="done"):
    """Two loops of each seed; Dice of a lesion as given, of an organ 0.9."""
    return pd.DataFrame(
        [
            {
                "setting": "s",
                "strategy": "random",
                "seed": seed,
                "loop": loop,
                "status": status,
                "dice_organ": 0.9,
                "dice_lesion": value if loop else 0.99,
            }
            for seed, value in enumerate(lasts)
            for loop in (0, 1)
        ]
    )


def test_the_last_loop_counts_and_no_other():
    rows = learned(table_of([0.6, 0.2, 0.5])).set_index("class")
    assert rows.loc["organ", ["trajectories", "learned"]].tolist() == [3, 3]
    assert rows.loc["lesion", ["trajectories", "learned", "lowest"]].tolist() == [3, 1, 0.2]


def test_a_class_that_a_dataset_lacks_is_left_out():
    other = table_of([np.nan]).assign(setting="t")
    rows = learned(pd.concat([table_of([0.6]), other], ignore_index=True))
    assert rows[["setting", "class"]].to_numpy().tolist() == [
        ["s", "organ"],
        ["t", "organ"],
        ["s", "lesion"],
    ]


def test_each_strategy_has_its_own_count():
    both = pd.concat([table_of([0.6]), table_of([0.1]).assign(strategy="clasp_pe")])
    lesion = learned(both).query("`class` == 'lesion'").set_index("strategy")
    assert lesion["learned"].to_dict() == {"random": 1, "clasp_pe": 0}


def test_what_is_not_finished_says_nothing():
    assert learned(table_of([0.6], status="running")).empty
    assert learned(table_of([0.6]).drop(columns=["dice_organ", "dice_lesion"])).empty


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0, 1))
def test_a_threshold_parts_the_trajectories(lasts, threshold):
    row = learned(table_of(lasts), threshold).set_index("class").loc["lesion"]
    assert row["learned"] == sum(value > threshold for value in lasts)
    assert row["trajectories"] == len(lasts)
    assert row["lowest"] == min(lasts)
