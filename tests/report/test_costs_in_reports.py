"""Effort, front and balance say what the statistics say; tables are files; user files stay."""

import re

import pandas as pd
import pytest
from ruamel.yaml import YAML

from alsweep.costs import with_costs
from alsweep.errors import RunFolderError
from alsweep.layout import space_path
from alsweep.report import write_report
from alsweep.report.exported import _escaped, _shown
from alsweep.results import collect, effort_aubc, front, money, savings, win_balance
from tests.report.pages import curves, figures, resolve, visible


@pytest.fixture(scope="module")
def phantom_page(phantom_run, tmp_path_factory):
    """A report with labels at hand and prices declared."""
    path = space_path(phantom_run)
    yaml = YAML(typ="safe", pure=True)
    raw = yaml.load(path.read_text())
    priced = {"report": {"prices": {"slices": 0.5}}, "resources": {"price_per_gpu_hour": 3.0}}
    with path.open("w") as file:
        yaml.dump(raw | priced, file)
    page = write_report([phantom_run], tmp_path_factory.mktemp("costs") / "out")
    with path.open("w") as file:
        yaml.dump(raw, file)
    return page


def test_effort_is_the_area_over_each_cost(phantom_run, phantom_page):
    table = collect(phantom_run)
    written = pd.read_csv(phantom_page.parent / "effort.csv")
    assert {"patches", "voxels", "slices", "boundary", "prompts"} <= set(written["cost"])
    for name in ("slices", "patches"):
        costs = with_costs(table, phantom_run, [name])
        expected = effort_aubc(costs, f"cost_{name}")
        own = written[written["cost"] == name].sort_values(["strategy", "seed"])
        assert own["aubc"].tolist() == pytest.approx(expected["aubc"].tolist(), nan_ok=True)
        last = costs[costs["loop"] == 2].sort_values(["strategy", "seed"])
        assert own["spent"].tolist() == pytest.approx(last[f"cost_{name}"].tolist())


def test_a_curve_can_be_drawn_against_any_cost(phantom_run, phantom_page):
    table = with_costs(collect(phantom_run), phantom_run, ["slices"])
    mine = table[table["strategy"] == "random"].groupby("loop")["cost_slices"].mean()
    line = curves(phantom_page, x="cost_slices")["random"]
    assert line["x"] == pytest.approx(mine.tolist())
    hours = curves(phantom_page, x="hours")["random"]["x"]
    assert hours == sorted(hours)
    assert hours[0] > 0


def test_front_savings_and_money_are_those_of_the_statistics(phantom_run, phantom_page):
    table, folder = collect(phantom_run), phantom_page.parent
    for name, expected in (("front", front(table)), ("savings", savings(table))):
        found = pd.read_csv(folder / f"{name}.csv")
        pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    costs = with_costs(table, phantom_run, ["slices"])
    paid = money(costs, 3.0, {"cost_slices": 0.5})
    found = pd.read_csv(folder / "money.csv")
    assert found["total"].tolist() == pytest.approx(paid["total"].tolist())
    assert "3 for a machine hour; 0.5 for one of slices" in visible(phantom_page)


def test_without_labels_the_costs_of_the_table_are_left(page):
    costs = set(pd.read_csv(page.parent / "effort.csv")["cost"])
    assert costs == {"patches", "voxels", "foreground", "cases"}
    assert "the labels of run are not to be had any more" in visible(page)
    assert not (page.parent / "money.csv").exists()


def test_bars_of_wins_and_losses_are_the_balance(page):
    expected = win_balance(collect(page.parents[1]), ["random_fg66", "random"])
    every = expected[expected["setting"].isna()].set_index(["control", "strategy"])
    ((_, figure),) = figures(page, "balance")
    up, down = resolve(figure, against="random_fg66")["data"]
    for name, win, loss in zip(up["x"], up["y"], down["y"], strict=True):
        row = every.loc[("random_fg66", name)]
        assert (win, -loss) == pytest.approx((100 * row["win"], 100 * row["loss"]), abs=1e-3)


def test_tables_are_written_for_papers_as_they_stand_in_the_page(page):
    tex = (page.parent / "table_results.tex").read_text()
    assert tex.count(r"\toprule") == tex.count(r"\bottomrule") == 1
    assert r"\begin{tabular}{lrrr}" in tex
    (row,) = re.findall(r"random\\_fg66 \$\\dagger\$ & \\textbf\{(.*?)\} & .*\\\\", tex)
    assert re.fullmatch(r"[\d.]+ \$\\pm\$ [\d.]+", row)
    markdown = (page.parent / "table_results.md").read_text()
    assert row.replace(r"$\pm$", "±") in markdown
    assert r"| random\_fg66 †" in markdown


def test_what_tex_and_markdown_would_read_otherwise_is_escaped():
    assert _escaped(r"a_b & 5 % {x} \ ~^") == (
        r"a\_b \& 5 \% \{x\} \textbackslash{} \textasciitilde{}\textasciicircum{}"
    )
    assert _shown("a|b <i>*") == r"a\|b \<i\>\*"


def test_a_users_own_file_is_never_written_over(run, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "aubc.csv").write_text("mine")
    with pytest.raises(RunFolderError, match=r"aubc\.csv"):
        write_report([run], out)
    assert [(p.name, p.read_text()) for p in out.iterdir()] == [("aubc.csv", "mine")]
    (out / "aubc.csv").unlink()
    write_report([run], out)
    (out / "ranking.csv").write_text("corrected by hand")
    with pytest.raises(RunFolderError, match=r"ranking\.csv"):
        write_report([run], out)
    assert (out / "ranking.csv").read_text() == "corrected by hand"
    (out / "ranking.csv").unlink()
    assert write_report([run], out).exists()
