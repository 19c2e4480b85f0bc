"""The section on learning curves beyond the budgets."""

import pandas as pd
import pytest

from alsweep.report import write_report
from alsweep.results import load_results, patches_to_reach
from alsweep.testing.runs import trajectory_config, write_reference, write_run
from tests.report.pages import figures, visible


def test_curves_are_drawn_beyond_the_budgets_and_patches_told(tmp_path):
    run = tmp_path / "run"
    write_run(run, seeds=(0, 1, 2), loops=6, strategies={"random": 0.7, "random_fg66": 0.8})
    page = write_report([run])
    found = pd.read_csv(page.parent / "curve_model.csv").set_index("strategy")
    target = found["target"].iloc[0]
    expected = patches_to_reach(load_results(run), target).set_index("strategy")
    assert found["patches"].to_dict() == pytest.approx(expected["patches"].to_dict(), nan_ok=True)
    assert found["why"].isna().any()
    ((_, figure),) = figures(page, "forecast")
    dotted = [t for t in figure["data"] if t.get("line", {}).get("dash") == "dot"]
    assert len(dotted) == found["why"].isna().sum()
    assert max(dotted[0]["x"]) == 1.5 * 36
    text = visible(page)
    assert "what random_fg66 † ends with" in text
    assert "Curves of four parameters" in text


def test_with_full_data_the_question_is_what_nears_it(tmp_path):
    run = tmp_path / "run"
    write_run(run, loops=4)
    write_reference(run, trajectory_config("dataset", "random", (8, 8, 8), 0, 4), 0.9)
    page = write_report([run])
    assert "95% of full data" in visible(page)
    assert "the full-data Dice where there is one" in visible(page)


def test_too_few_budgets_have_no_section(tmp_path):
    write_run(tmp_path / "run", loops=3)
    assert "Beyond the budgets" not in visible(write_report([tmp_path / "run"]))
