"""Published results beside a run: drawn in grey, marked, and compared by no test."""

from pathlib import Path

import pandas as pd
import pytest

from alsweep.report import write_report
from alsweep.report.published import shown_as
from alsweep.results.published import import_results, write_published
from alsweep.testing.runs import write_run
from tests.report.pages import figures, resolve, visible
from tests.results.published_files import write_analysis, write_experiments

SAME = "patch-8_8_8__sb-random__sbs-6__qs-6"
"""The design of the synthetic run."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    write_experiments(folder / "theirs", SAME, "Dataset001_Phantom")
    write_analysis(folder / "theirs", SAME)
    (folder / "theirs").rename(folder / "phantom")
    write_analysis(folder / "KiTS2021")
    table = pd.concat([import_results(folder / name) for name in ("phantom", "KiTS2021")])
    write_published(table, folder / "t.parquet")
    write_run(folder / "run")
    return write_report([folder / "run"], published=folder / "t.parquet")


def drawn(page: Path, **state: str) -> dict[str, dict]:
    start = {"x": "annotated_patches", "metric": "mean_dice", "seeds": "off"}
    figure = resolve(figures(page, "curves")[0][1], **(start | state))
    names = [t for t in figure["data"] if t.get("name", "").startswith("published")]
    return {t["name"]: t for t in names if t["visible"]}


def test_published_curves_are_a_grey_layer_below_the_study(page):
    traces = drawn(page)
    power = traces["published: power_bald"]
    assert power["x"] == [6.0, 12.0, 18.0]
    assert power["y"] == pytest.approx([45.355, 50.355, 55.355])
    assert power["customdata"] == [[0, 2], [1, 2], [2, 2]]
    assert power["line"]["color"] == "#8a93a0"
    whole = figures(page, "curves")[0][1]["data"]
    assert whole[0]["name"].startswith("published")
    assert "published: predictive_entropy (pred_entropy)" in traces


def test_they_are_shown_where_they_are_known_alone(page):
    assert drawn(page, x="annotated_voxels") == {}
    assert drawn(page, metric="dice_liver") == {}


def test_the_page_says_whose_they_are_and_that_no_test_knows_them(page):
    said = visible(page)
    assert "Grey lines are published results of phantom" in said
    assert "no test, rank or interval here knows of them" in said
    assert "Same dataset, patch size, start and query size, as far as names tell it." in said
    assert "Published strategy" in said
    assert "51.67 ± 1.25" in said
    assert "power_pe 53.67 ± 1.25 58.67 ± 1.25 9.69 ± 0.50 4 dashed" in said
    # The farther setting is left out, since one of this design is there.
    assert "KiTS2021" not in said


def test_their_win_matrix_stands_beside_with_winners_in_rows(page):
    shown = figures(page, "wins")
    title, figure = shown[1]
    assert title == f"Published: phantom, {SAME}"
    (heat,) = figure["data"]
    row = heat["y"].index("predictive_entropy")
    column = heat["x"].index("random")
    assert heat["z"][row][column] == 60
    assert heat["z"][column][row] == 0


def test_all_that_was_given_lies_beside_the_page(page):
    table = pd.read_csv(page.parent / "published.csv")
    assert set(table["source"]) == {"phantom", "Dataset001_Phantom", "KiTS2021"}


def test_another_design_is_marked(tmp_path):
    write_analysis(tmp_path / "KiTS2021")
    write_published(import_results(tmp_path / "KiTS2021"), tmp_path / "t.parquet")
    write_run(tmp_path / "run")
    page = write_report([tmp_path / "run"], published=tmp_path / "t.parquet")
    said = visible(page)
    differences = (
        "NOT comparable: dataset KiTS2021 (here phantom); patch size 64x64x64 (here 8x8x8); "
        "start 200 (here 6); query size 200 (here 6)."
    )
    assert differences in said
    assert "Published are means over seeds without curves" in said
    assert drawn(page) == {}


@pytest.mark.parametrize(
    ("theirs", "here"),
    [
        ("random-label", "random_fg66 (random-label)"),
        ("power_bald_b5", "power_bald[beta=5] (power_bald_b5)"),
        ("random", "random"),
        ("Their <own>", "Their <own>"),
    ],
)
def test_names_are_translated_where_they_are_known(theirs, here):
    assert shown_as(theirs) == here
