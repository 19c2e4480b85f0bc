import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from alsweep.config.trajectory import TrajectoryConfig
from alsweep.errors import RunFolderError
from alsweep.files import read_json, write_json
from alsweep.layout import record_path
from alsweep.report import write_report
from alsweep.report.captions import notices
from alsweep.report.html import embeddable
from alsweep.report.study import read_study
from alsweep.results import aubc, collect, fg_efficiency, full_dice, win_matrix
from alsweep.results.decisions import Decision, append_decisions
from alsweep.results.records import RunFolder, read_run
from alsweep.testing.runs import (
    FINGERPRINT,
    trajectory_config,
    write_reference,
    write_run,
    write_sweep,
)
from tests.report.pages import curves, figures, resolve, visible


def test_the_report_has_all_its_files_and_the_results_table(page):
    assert page.parent.name == "report"
    names = {path.name for path in page.parent.iterdir()}
    tables = {name for name in names if name.startswith("table_")}
    pictures = {name for name in names if name.endswith((".png", ".pdf", ".svg"))}
    assert {"learning_curves.pdf", "win_matrix.png", "ranking.svg"} <= pictures
    data = [name.removesuffix(".csv") for name in names if name.endswith(".csv")]
    assert all(any(picture.startswith(one) for one in data) for picture in pictures)
    assert names - tables - pictures == {
        "index.html",
        "files.json",
        "aggregates.csv",
        "aubc.csv",
        "comparisons.csv",
        "compute.csv",
        "curve_model.csv",
        "effort.csv",
        "front.csv",
        "headline.txt",
        "hours.csv",
        "hypervolume.csv",
        "improvement.csv",
        "learning_curves.csv",
        "performance_profile.csv",
        "queries.csv",
        "rank_shares.csv",
        "ranking.csv",
        "savings.csv",
        "win_balance.csv",
        "win_matrix.csv",
        "win_matrix_holm.csv",
    }
    assert {"table_results.tex", "table_results.md", "table_comparisons.tex"} <= tables
    assert (page.parents[1] / "results.parquet").exists()


def test_the_page_asks_for_nothing_from_outside(page):
    text = page.read_text()
    assert "default-src 'none'" in text
    assert not re.findall(r"<(?:script|img|iframe)[^>]+src=\"(?!data:)", text)
    assert not re.findall(
        r"<link\b|@import|url\(", re.sub(r"<script.*?</script>", "", text, flags=re.S)
    )
    assert text.count("plotly.js v") == 1


def test_csv_files_hold_what_the_statistics_say(page):
    folder = page.parent
    table = collect(page.parents[1])
    written = pd.read_csv(folder / "win_matrix.csv", index_col=0)
    assert written.index.tolist() == ["random", "random_fg66", "predictive_entropy"]
    expected = win_matrix(table).loc[written.index, written.columns]
    pd.testing.assert_frame_equal(written, expected, check_names=False)
    areas = pd.read_csv(folder / "aubc.csv")
    assert areas["aubc"].tolist() == pytest.approx(aubc(table)["aubc"].tolist())
    curves = pd.read_csv(folder / "learning_curves.csv")
    first = table.query("strategy == 'random' and loop == 2")["mean_dice"]
    row = curves.query("strategy == 'random' and loop == 2").iloc[0]
    assert row["mean"] == pytest.approx(first.mean())
    assert row["std"] == pytest.approx(first.std(ddof=1))
    assert row["seeds"] == 2


def test_single_seeds_in_the_page_are_the_records_in_percent(page):
    table = collect(page.parents[1])
    rows = table.query("strategy == 'predictive_entropy'").sort_values(["seed", "loop"])
    name = "predictive_entropy, single seeds"
    assert name not in curves(page)
    for metric in ("mean_dice", "dice_tumour"):
        line = curves(page, seeds="on", metric=metric)[name]
        assert [line["y"][4], line["y"][9]] == [None, None]
        assert line["customdata"] == [0] * 4 + [None] + [1] * 4 + [None]
        drawn = [y for y in line["y"] if y is not None]
        assert drawn == pytest.approx((100 * rows[metric]).tolist(), abs=1e-3)
    shares = curves(page, seeds="on", x="foreground_fraction")[name]["x"]
    expected = (100 * rows["foreground_fraction"]).tolist()
    assert [x for x in shares if x is not None] == pytest.approx(expected, abs=1e-3)


def test_lines_and_bands_are_means_and_deviations_over_seeds(page):
    table = collect(page.parents[1]).query("strategy == 'random'").groupby("loop")
    for metric in ("mean_dice", "dice_liver"):
        mean, std = 100 * table[metric].mean(), 100 * table[metric].std(ddof=1)
        line = curves(page, metric=metric)["random"]
        assert line["x"] == [6, 12, 18, 24]
        assert line["y"] == pytest.approx(mean.tolist(), abs=1e-3)
        assert line["customdata"] == [[k, f" ± {std[k]:.2f}", 2] for k in range(4)]
        state = {"x": "annotated_patches", "metric": metric, "seeds": "off"}
        band = resolve(figures(page, "curves")[0][1], **state)["data"][0]
        edges = [*(mean + std), *(mean - std)[::-1]]
        assert band["y"] == pytest.approx(edges, abs=1e-3)
        assert band["x"] == [6, 12, 18, 24, 24, 18, 12, 6]


def test_a_point_lies_where_the_seeds_are_that_have_a_value_there(run):
    for seed, trajectory in enumerate(read_run(run).trajectories[:2]):
        path = record_path(trajectory.folder, 1)
        lost = {"dice": {"liver": 0.5, "tumour": None}} if seed else {}
        write_json(path, read_json(path) | {"annotated_voxels": 1000 * (seed + 1)} | lost)
    page = write_report([run])
    for metric, voxels, seeds in (("mean_dice", 1500, 2), ("dice_tumour", 1000, 1)):
        line = curves(page, metric=metric, x="annotated_voxels")["random"]
        assert line["x"][1] == voxels
        assert line["customdata"][1][2] == seeds


def test_baselines_and_users_of_the_oracle_are_marked(page):
    lines = curves(page)
    assert list(lines) == ["random", "random_fg66 †", "predictive_entropy"]
    dashes = {name: line["line"]["dash"] for name, line in lines.items()}
    assert dashes == {"random": "dash", "random_fg66 †": "dash", "predictive_entropy": "solid"}
    assert {line["marker"]["color"] for line in list(lines.values())[:2]} == {"#ffffff"}
    assert len({line["line"]["color"] for line in lines.values()}) == 3


def test_with_two_seeds_the_page_says_how_little_can_be_significant(page):
    text = visible(page)
    assert "with 2 seeds, a mean difference must exceed 8.98 times" in text
    assert "With 2 seeds hardly any win can be significant" in text
    assert "Loop 0 is the same for all strategies and is left out" in text
    assert "Nothing: every trajectory is finished." in text


def test_no_sentence_says_that_a_strategy_wins(page):
    text = visible(page)
    assert not re.search(r"\b(best|winner|outperforms?|superior|recommended)\b", text)


def test_unfinished_and_failed_trajectories_are_told_and_left_out(run):
    late, failed = read_run(run).trajectories[0], read_run(run).trajectories[1]
    for trajectory in (late, failed):
        record_path(trajectory.folder, 3).unlink()
    write_json(failed.folder / "error.json", {"error": "out of <patches>", "loop": 3})
    page = write_report([run])
    text = visible(page)
    assert "1 of 6 trajectories of run is not finished" in text
    assert f"{failed.id} failed and is left out: out of <patches>" in text
    assert "4 of 6" in text
    assert list(curves(page)) == ["random_fg66 †", "predictive_entropy"]


def test_a_run_and_its_copy_are_reported_as_one(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "copy")
    record_path(read_run(run).trajectories[0].folder, 3).unlink()
    text = visible(write_report([run, copy], tmp_path / "out"))
    assert "6 of 6" in text
    assert "Nothing: every trajectory is finished." in text


def test_the_compute_total_says_which_trainings_it_leaves_out(run):
    assert "Not in it" not in visible(write_report([run]))
    for trajectory in read_run(run).trajectories:
        if trajectory.config.seed == 1:
            trajectory.records[0].model_copy(update={"train_seconds": 0.0}).write(trajectory.folder)
    assert "Not in it: loop 0 of 1 setting and seed, trained" in visible(write_report([run]))


def test_a_run_with_nothing_finished_has_a_report_that_says_so(run):
    for trajectory in read_run(run).trajectories:
        record_path(trajectory.folder, 0).unlink()
    text = visible(write_report([run]))
    assert "No trajectory is finished yet" in text
    assert "No test is possible" in text
    assert "No ranking" in text


def test_one_seed_gives_curves_but_no_test(tmp_path):
    write_run(tmp_path / "run", seeds=(0,))
    text = visible(write_report([tmp_path / "run"]))
    assert "Lines are single trajectories (1 seed)" in text
    assert "No test is possible" in text


def test_one_loop_is_enough_for_a_report(tmp_path):
    write_run(tmp_path / "run", loops=1)
    assert "No ranking" in visible(write_report([tmp_path / "run"]))


def test_undefined_dice_is_a_gap(run):
    path = record_path(read_run(run).trajectories[0].folder, 1)
    raw = read_json(path) | {"mean_dice": None, "dice": {"liver": None, "tumour": None}}
    write_json(path, raw)
    page = write_report([run])
    assert "Mean Dice is undefined in 1 loop" in visible(page)
    assert curves(page, seeds="on")["random, single seeds"]["y"][1] is None
    assert [note[2] for note in curves(page)["random"]["customdata"]] == [2, 1, 2, 2]


def test_settings_are_small_multiples_named_by_what_differs(tmp_path):
    write_run(tmp_path / "run", patch_sizes=((8, 8, 8), (4, 8, 8)))
    page = write_report([tmp_path / "run"])
    titles = [title for title, _ in figures(page, "curves")]
    assert titles == [title for title, _ in figures(page, "compute")]
    assert titles == [
        "phantom · 8\u00d78\u00d78 voxels · 6 patches a query",
        "phantom · 4\u00d78\u00d78 voxels · 6 patches a query",
    ]


def test_settings_may_differ_in_a_part_that_one_leaves_out(tmp_path):
    for name, surface in (("with", {"tolerance_mm": 2.0}), ("without", None)):
        (id_,) = write_run(tmp_path / name, strategies={"random": 0.5}, seeds=(0,))
        folder = tmp_path / name / "trajectories" / id_
        raw = read_json(folder / "config.json")
        raw["evaluation"]["surface"] = surface
        config = TrajectoryConfig.model_validate(raw)
        write_json(folder / "config.json", config.plain())
        for loop in range(4):
            path = record_path(folder, loop)
            write_json(path, read_json(path) | {"setting": config.setting_hash(FINGERPRINT)})
        new = config.trajectory_id(FINGERPRINT)
        folder.rename(folder.parent / new)
        write_sweep(tmp_path / name, Path("dataset"), [new])
    page = write_report([tmp_path / "with", tmp_path / "without"], tmp_path / "out")
    titles = [title for title, _ in figures(page, "curves")]
    assert len(set(titles)) == 2
    assert "evaluation.surface.tolerance_mm 2.0" in titles[0]


def test_several_runs_need_a_place_and_share_one_page(run, tmp_path):
    write_run(tmp_path / "more", seeds=(2, 3))
    with pytest.raises(RunFolderError, match="--out"):
        write_report([run, tmp_path / "more"])
    page = write_report([run, tmp_path / "more"], tmp_path / "both")
    assert "12 of 12" in visible(page)
    seeds = curves(page, seeds="on")["random, single seeds"]["customdata"]
    assert [seeds[at] for at in range(0, 20, 5)] == [0, 1, 2, 3]


def test_a_report_is_written_again_but_never_over_something_else(run, tmp_path):
    assert write_report([run]).read_bytes() == write_report([run]).read_bytes()
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "chapter.tex").write_text("precious")
    with pytest.raises(RunFolderError, match="something else than a report"):
        write_report([run], other)
    (run / "report" / "index.html").write_text("a page of somebody else")
    with pytest.raises(RunFolderError, match="something else than a report"):
        write_report([run])


def test_a_lost_dataset_leaves_a_report_without_pictures(page):
    text = visible(page)
    assert "No pictures: the dataset is not available any more" in text


def test_queried_patches_are_shown_with_the_start_once(phantom_run):
    page = write_report([phantom_run])
    text = page.read_text()
    assert text.count("<img alt=") == 1 + 2 * 2
    assert "Starting budget, shared by all strategies" in text
    assert "3 pool, 1 validation cases; classes organ, lesion" in visible(page)


def test_a_changed_dataset_is_not_shown_as_the_one_that_was_used(phantom_run, tmp_path):
    write_run(tmp_path / "run", dataset=phantom_run / "dataset", fingerprint="1" * 64)
    text = visible(write_report([tmp_path / "run"]))
    assert "its content is not what the run was made on" in text


def test_seeds_that_differ_between_strategies_are_told(run):
    record_path(read_run(run).trajectories[0].folder, 3).unlink()
    assert "0, 1; NOT the same for every strategy" in visible(write_report([run]))


def test_a_run_that_cannot_be_written_to_can_be_reported_elsewhere(run, tmp_path, monkeypatch):
    def refuse(run: RunFolder) -> Path:
        raise PermissionError(f"{run.path} is read-only")

    monkeypatch.setattr("alsweep.report.study.write_table", refuse)
    page = write_report([run], tmp_path / "out")
    assert "6 of 6" in visible(page)
    assert not (run / "results.parquet").exists()


def test_embedded_data_cannot_end_its_element():
    text = embeddable({"name": "</script><b>"})
    assert "<" not in text
    assert json.loads(text) == {"name": "</script><b>"}


def level(page, metric, index=0):
    """The lines of full data in the learning curves of a setting."""
    return resolve(figures(page, "curves")[index][1]["layout"]["shapes"], metric=metric)


def test_full_data_is_a_line_in_the_curves_and_the_c_of_fg_eff(run):
    assert level(write_report([run]), "mean_dice") == []
    for seed, dice in ((0, 0.93), (1, 0.97)):
        config = trajectory_config(Path("dataset"), "random", (8, 8, 8), seed, 4)
        write_reference(run, config, dice)
    page = write_report([run])
    (line,) = level(page, "mean_dice")
    assert line["y0"] == line["y1"] == pytest.approx(95)
    text = visible(page)
    assert "mean Dice 95.00 %, seeds 0, 1 (curves: 2 seeds)" in text
    assert "trained on the fully annotated pool, mean over 2 seeds" in text
    rates = pd.read_csv(page.parent / "fg_efficiency.csv")
    expected = fg_efficiency(collect(run), full_dice(run))
    assert rates["fg_eff"].tolist() == pytest.approx(expected["fg_eff"].tolist())
    first = expected[expected["strategy"] == "predictive_entropy"].iloc[0]
    assert f"predictive_entropy {first['fg_eff']:.2f} {first['standard_error']:.2f}" in text
    references = pd.read_csv(page.parent / "full_data.csv")
    assert references["mean_dice"].tolist() == [0.93, 0.97]


def test_a_setting_without_its_reference_is_named(tmp_path):
    write_run(tmp_path / "run", patch_sizes=((8, 8, 8),))
    write_run(tmp_path / "more", patch_sizes=((4, 8, 8),))
    config = trajectory_config(Path("dataset"), "random", (8, 8, 8), 0, 4)
    write_reference(tmp_path / "run", config, 0.95)
    page = write_report([tmp_path / "run", tmp_path / "more"], tmp_path / "out")
    text = visible(page)
    assert "Without a full-data reference, and so not shown: phantom · 4" in text
    assert [len(level(page, "mean_dice", index)) for index in (0, 1)] == [1, 0]


def test_test_dice_and_surfaces_are_shown_where_they_were_measured(run):
    assert "Test Dice" not in visible(write_report([run]))
    surface = {"surface_dice": 0.75, "hd95": 3.25}
    surface |= {f"{of}_{m}": {} for of in ("class", "case") for m in ("surface_dice", "hd95")}
    test = {"mean_dice": 0.5, "dice": {}, "case_dice": {}}
    for trajectory in read_run(run).trajectories:
        path = record_path(trajectory.folder, 3)
        write_json(path, read_json(path) | {"surface": surface, "test": test})
    text = visible(write_report([run]))
    assert "Strategy Test Dice [%] Surface Dice [%] HD95 [mm]" in text
    assert "predictive_entropy 50.00 ± 0.00 75.00 ± 0.00 3.25 ± 0.00" in text
    assert "The test part is reported beside it and decided nothing." in text


def test_a_stopped_trajectory_is_told_apart_from_an_unfinished_one(run: Path) -> None:
    stopped, unfinished = read_run(run).trajectories[:2]
    for trajectory in (stopped, unfinished):
        record_path(trajectory.folder, 3).unlink()
    append_decisions(
        run, [Decision(action="stopped", trajectory=stopped.id, by="race", why="it loses")]
    )
    assert notices(read_study([run])) == [
        "1 of 6 trajectories of run is not finished and left out of every figure and test.",
        "1 trajectory of run was stopped before the last loop and is left out of every figure and "
        "test.",
    ]
