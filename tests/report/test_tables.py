"""What the sections say in tables, captions and figures, against numbers made by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from alsweep.errors import RunFolderError
from alsweep.files import read_json, write_json
from alsweep.layout import record_path
from alsweep.report import write_report
from alsweep.report.captions import count, span
from alsweep.report.figures import faint
from alsweep.report.html import embeddable
from alsweep.report.section import Material, switched
from alsweep.report.sections.curves import _numbers, curve_table
from alsweep.report.study import read_study
from alsweep.report.tables import Table, last_rows, mean_and_std, per_setting, percent
from alsweep.results import collect, ranking, win_rates
from alsweep.results.leading import leading
from alsweep.results.records import read_run
from alsweep.testing.runs import write_run
from tests.report.pages import figures, resolve, visible


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The report of two settings with three strategies and three seeds; read only."""
    run = tmp_path_factory.mktemp("tables") / "run"
    write_run(run, patch_sizes=((8, 8, 8), (4, 8, 8)), seeds=(0, 1, 2))
    return write_report([run])


@pytest.fixture(scope="module")
def table(finished):
    return collect(finished.parents[1])


@pytest.mark.parametrize(
    ("value", "text"), [(0.12345, "12.35"), (1, "100.00"), (0, "0.00"), (math.nan, "—")]
)
def test_fractions_are_percent_with_two_decimals(value, text):
    assert percent(value) == text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([0.1, 0.3], "20.00 ± 14.14"),
        ([0.1, math.nan, 0.3], "20.00 ± 14.14 (n = 2)"),
        ([0.5], "50.00"),
        ([0.5, math.nan], "50.00 (n = 1)"),
        ([math.nan], "—"),
    ],
)
def test_a_deviation_needs_two_values(values, text):
    assert mean_and_std(pd.Series(values)) == text


def test_the_last_row_is_that_of_the_last_loop_whatever_the_order():
    rows = pd.DataFrame({"trajectory": list("abab"), "loop": [1, 0, 0, 1], "x": [1, 2, 3, 4]})
    assert sorted(last_rows(rows)["x"]) == [1, 4]


def test_tables_have_a_row_for_each_strategy_of_a_setting_in_sweep_order(finished):
    study = read_study([finished.parents[1]])
    first = next(iter(study.settings))
    rows = study.done[study.done["strategy"] != "random"]
    rows = rows[(rows["setting"] != first) | (rows["strategy"] == "predictive_entropy")]
    made = per_setting(study, rows, ("S", "n"), lambda mine: (str(len(mine)),))
    assert [name for name, _ in made] == list(study.settings.values())
    entropy = ("predictive_entropy", "12")
    assert made[0][1] == Table(("S", "n"), (entropy,))
    assert made[1][1].rows == (("random_fg66 †", "12"), entropy)


def test_what_is_made_once_is_made_once(finished):
    material = Material(read_study([finished.parents[1]]), {})
    made = []
    assert material.once(lambda study: made.append(study) or len(made)) == 1
    first = material.once(curve_table)
    assert material.once(curve_table) is first
    assert len(first) == 2 * 3 * 4


def test_words_and_numbers():
    assert (count(1, "seed"), count(2, "seed"), count(0, "seed")) == (
        "1 seed",
        "2 seeds",
        "0 seeds",
    )
    assert count(2, "trajectory", "trajectories") == "2 trajectories"
    assert [span([]), span([4]), span([9, 2, 3, 2])] == ["—", "4", "2 to 9"]
    assert [span([1], "seed"), span({3, 2}, "seed")] == ["1 seed", "2 to 3 seeds"]
    assert _numbers([0.123456, math.nan, 2]) == [0.1235, None, 2.0]
    assert faint("#0072B2", 0.13) == "rgba(0,114,178,0.13)"
    assert switched("x", {"a": 1}) == {"switch": "x", "of": {"a": 1}}
    assert str(embeddable([1, None, "<é"])) == '[1,null,"\\u003cé"]'
    with pytest.raises(ValueError, match="Out of range"):
        embeddable(math.nan)


def test_final_dice_and_area_are_means_over_seeds(finished, table):
    text = visible(finished)
    last = table.query("strategy == 'random' and loop == 3")
    for _, mine in last.groupby("setting"):
        assert f"random {mean_and_std(mine['mean_dice'])} " in text
    curve = table.query("strategy == 'random'").groupby(["setting", "seed"])["mean_dice"]
    areas = curve.apply(lambda y: np.trapezoid(y) / 3).groupby("setting")
    assert all(mean_and_std(area) in text for _, area in areas)


def test_classes_are_shown_by_name_for_the_last_loop(finished, table):
    text = visible(finished)
    last = table.query("loop == 3 and strategy == 'predictive_entropy'")
    for _, mine in last.groupby("setting"):
        cells = " ".join(mean_and_std(mine[f"dice_{name}"]) for name in ("liver", "tumour"))
        assert f"predictive_entropy {cells}" in text
    assert "liver [%] tumour [%]" in text


def test_the_share_of_foreground_is_that_of_what_each_loop_added(finished, table):
    _, figure = figures(finished, "queries")[0]
    mine = table[table["setting"] == table["setting"].iloc[0]]
    for trace in figure["data"]:
        rows = mine[mine["strategy"] == trace["name"].removesuffix(" †")]
        sums = rows.groupby("loop")[["foreground_voxels", "annotated_voxels"]].mean()
        added = sums.diff().fillna(sums)
        expected = 100 * added["foreground_voxels"] / added["annotated_voxels"]
        assert trace["x"] == [0, 1, 2, 3]
        assert trace["y"] == pytest.approx(expected.tolist(), abs=1e-3)


def test_bars_are_seconds_of_a_trajectory_by_phase(finished, table):
    for (_, figure), (_, mine) in zip(
        figures(finished, "compute"), table.groupby("setting", sort=False), strict=True
    ):
        for bar in figure["data"]:
            sums = mine.groupby(["strategy", "trajectory"])[f"{bar['name']}_seconds"].sum()
            means = sums.groupby("strategy").mean()
            names = [name.removesuffix(" †") for name in bar["y"]]
            assert bar["x"] == pytest.approx(means[names].tolist(), abs=1e-3)
    assert [bar["name"] for bar in figure["data"]] == ["train", "evaluate", "query"]


def test_ranks_in_figure_and_table_are_those_of_the_statistics(finished, table):
    ranks, text = ranking(table), visible(finished)
    ((_, figure),) = figures(finished, "ranking")
    for trace, (strategy, row) in zip(figure["data"], ranks.iterrows(), strict=True):
        assert trace["y"][0].removesuffix(" †") == strategy
        assert trace["x"] == [row["mean_rank"]]
        assert trace["error_x"]["array"] == pytest.approx([row["high"] - row["mean_rank"]])
        assert trace["error_x"]["arrayminus"] == pytest.approx([row["mean_rank"] - row["low"]])
        cells = f"{row['mean_rank']:.2f} {row['low']:.2f} to {row['high']:.2f} 2"
        assert f"{trace['y'][0]} {cells}" in text


def test_win_rates_are_those_of_the_matrix_in_percent(finished):
    matrix = pd.read_csv(finished.parent / "win_matrix.csv", index_col=0)
    matrix.columns.name = matrix.index.name = None
    text = visible(finished)
    for strategy, row in win_rates(matrix).iterrows():
        name = "random_fg66 †" if strategy == "random_fg66" else strategy
        assert f"{name} {' '.join(percent(value) for value in row)}" in text
    ((_, figure),) = figures(finished, "wins")
    shown = resolve(figure, correction="none")
    cells = [[math.nan if v is None else v for v in row] for row in shown["data"][0]["z"]]
    np.testing.assert_allclose(cells, 100 * matrix.to_numpy(), atol=1e-3)


@pytest.mark.parametrize(
    ("training", "said"),
    [
        ({"ensemble": "seeds"}, "2 members on all annotated cases"),
        ({"ensemble": "snapshots"}, "2 snapshots of one training on all annotated cases"),
        ({"ensemble": "folds", "folds": 3}, "2 members over 3 folds"),
        ({"warm_start": True, "precision": "bf16"}, "warm start, precision bf16"),
        ({"dice_over": "all", "batch_dice": True}, "Dice loss of a batch over all classes"),
        ({"batch_dice": "plan"}, "Dice loss as nnU-Net plans it over present classes"),
    ],
)
def test_the_checklist_says_how_members_were_made(finished, training, said):
    from alsweep.report.sections.checklist import _inference, _training

    (config, *_) = read_study([finished.parents[1]]).configs()
    raw = config.plain()
    made = type(config).model_validate(raw | {"training": raw["training"] | training})
    assert said in f"{_inference(made)} {_training(made)}"


def test_the_checklist_tells_threads_of_training_only_where_they_differ(tmp_path):
    write_run(tmp_path / "run", seeds=(0,), strategies={"random": 0.4}, loops=2)
    (trajectory,) = read_run(tmp_path / "run").trajectories
    assert "cpu, fp32, 1 thread a trajectory" in visible(write_report([tmp_path / "run"]))
    path = record_path(trajectory.folder, 1)
    write_json(path, read_json(path) | {"threads": 4, "training_threads": 2})
    text = visible(write_report([tmp_path / "run"]))
    assert "cpu, fp32, 4 threads a trajectory, 2 for each member in training" in text


def test_starts_that_differ_within_a_setting_and_seed_are_told(tmp_path):
    write_run(tmp_path / "run", loops=2)
    assert "of a setting and seed: agree" in visible(write_report([tmp_path / "run"]))
    (first, *_) = read_run(tmp_path / "run").trajectories
    for loop in range(2):
        path = record_path(first.folder, loop)
        write_json(path, read_json(path) | {"start_hash": "f" * 12})
    text = visible(write_report([tmp_path / "run"]))
    assert "DIFFER: the comparison is not paired" in text


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    write_run(tmp_path / "run", loops=1)
    (tmp_path / "out").write_text("mine")
    with pytest.raises(RunFolderError, match="something else than a report"):
        write_report([tmp_path / "run"], tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


def test_the_best_of_a_column_is_bold_and_its_equals_are_underlined(finished, table):
    finals = table.query("loop == 3")
    places = leading(finals, "mean_dice")
    names = {"random_fg66": "random_fg66 †"}
    tex = (finished.parent / "table_results.tex").read_text()
    markdown = (finished.parent / "table_results.md").read_text()
    page = finished.read_text()
    for (setting, strategy), mine in finals.groupby(["setting", "strategy"]):
        cell = mean_and_std(mine["mean_dice"])
        place = places.get((setting, strategy))
        best, level, none = (place == one for one in ("best", "level", None))
        latex = cell.replace("±", r"$\pm$")
        assert (rf"& \textbf{{{latex}}} &" in tex) is best
        assert (rf"& \underline{{{latex}}} &" in tex) is level
        assert (f"& {latex} &" in tex) is none
        named = names.get(strategy, strategy).replace("_", r"\_")
        assert (f"| {named} | **{cell}** |" in markdown) is best
        assert (f'<td class="best">{cell}</td>' in page) is best
    assert r"Underlined: not told apart" in tex
    assert "Bold: the leading mean of a column." in visible(finished)
