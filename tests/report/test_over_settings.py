"""The sections on rankings over settings."""

import io
from pathlib import Path

import pandas as pd
import pytest

from alsweep.report import write_report
from alsweep.results import compare_over_settings, load_results, rank_groups, rank_shares
from alsweep.testing.runs import write_run
from tests.report.pages import figures, visible

SIZES = ((8, 8, 8), (4, 8, 8), (8, 4, 8))


@pytest.fixture
def several(tmp_path: Path) -> Path:
    write_run(tmp_path / "run", patch_sizes=SIZES)
    return tmp_path / "run"


def test_mean_ranks_have_a_diagram_with_bars_over_who_is_not_told_apart(several):
    page = write_report([several])
    table = load_results(several)
    groups = rank_groups(table)
    ((_, figure),) = figures(page, "over-settings")
    points = {
        trace["y"][0]: trace["x"][0] for trace in figure["data"] if trace["mode"] == "markers"
    }
    assert [points[row] for row in range(3)] == groups["mean_rank"].tolist()
    (note,) = figure["layout"]["annotations"]
    assert note["text"] == f"CD {groups.attrs['critical_difference']:.2f}"
    thick = [t["x"] for t in figure["data"] if t["mode"] == "lines" and t["line"]["width"] == 6]
    letters = set("".join(groups["letters"]))
    assert len(thick) == len(letters)
    text = visible(page)
    assert "Friedman's test" in text
    assert "take it as a rough one" in text


def test_controls_are_met_over_settings_and_files_lie_beside_the_page(several):
    page = write_report([several])
    written = pd.read_csv(page.parent / "over_settings.csv")
    expected = compare_over_settings(load_results(several), ["random_fg66", "random"])
    pd.testing.assert_frame_equal(written, expected, check_dtype=False)
    ranks = pd.read_csv(page.parent / "mean_ranks.csv")
    assert ranks["strategy"].tolist() == rank_groups(load_results(several)).index.tolist()


def test_blobs_are_the_shares_of_draws(several):
    page = write_report([several])
    shares = rank_shares(load_results(several))
    content = (page.parent / "rank_shares.csv").read_text()
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(content)), shares, check_dtype=False)
    ((_, figure),) = figures(page, "stability")
    drawn = [
        (rank, size)
        for trace in figure["data"]
        for rank, size in zip(trace["x"], trace["marker"]["size"], strict=True)
    ]
    expected = [(r, round(34 * s**0.5, 2)) for _, r, s in shares.itertuples(index=False)]
    assert drawn == expected
    assert (page.parent / "setting_agreement.csv").exists()


def test_one_setting_has_no_test_over_settings_but_may_have_stability(run):
    page = write_report([run])
    assert "Over settings" not in visible(page)
    assert not (page.parent / "over_settings.csv").exists()
    assert figures(page, "stability")
    assert not (page.parent / "setting_agreement.csv").exists()
