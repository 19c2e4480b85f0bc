"""What the sections on comparisons say: wins, ranks, efficiency, against hand-made tables."""

from dataclasses import replace

import pandas as pd
import pytest

from alsweep.report.pictured import first_picture
from alsweep.report.section import Beside, Caption, Controls, Figures, Material
from alsweep.report.sections import curves, efficiency, ranking, results, wins
from alsweep.results import win_matrix
from alsweep.testing.runs import trajectory_config, write_reference
from tests.report.pages import resolve


def with_dice(study, dice, seeds=(0, 1, 2)):
    """The study with a Dice made of (strategy, seed, loop), of some seeds alone."""
    table = study.table[study.table["seed"].isin(seeds)].copy()
    keys = table[["strategy", "seed", "loop"]].itertuples(index=False, name=None)
    return replace(study, table=table.assign(mean_dice=[dice(*key) for key in keys]))


def rising(strategy, seed, loop):
    """The one that looks at the network is better by 0.1 to 0.12 after loop 0."""
    gain = 0.1 + 0.01 * seed if strategy == "predictive_entropy" and loop else 0.0
    return 0.5 + 0.05 * loop + 0.02 * seed + gain


def blocks(section, study):
    return list(section.SECTION.blocks(Material(study, {})))


def texts(section, study):
    return [block.text for block in blocks(section, study) if isinstance(block, Caption)]


def test_the_win_matrix_is_in_sweep_order_with_its_rates_beside_it(study):
    power, controls, beside, caption, folded = blocks(wins, with_dice(study, rising))
    assert (power.strong, caption.strong) == (True, False)
    assert isinstance(controls, Controls)
    assert isinstance(beside, Beside)
    (panels,), (tables, note) = beside.left, beside.right
    ((_, figure),) = panels.panels
    shown = resolve(figure, correction="none")
    names = ["random", "random_fg66 †", "predictive_entropy"]
    assert shown["data"][0]["x"] == shown["data"][0]["y"] == names
    assert shown["data"][0]["z"] == [[None, 0, 0], [0, None, 0], [100, 100, None]]
    assert shown["data"][0]["text"][2] == ["100.0", "100.0", ""]
    assert (shown["data"][0]["zmin"], shown["data"][0]["zmax"]) == (0, 100)
    assert shown["layout"]["height"] == 230 + 58 * 3
    ((_, table),) = tables.named
    assert table.columns == ("Strategy", "Mean win [%]", "Mean loss [%]", "Win - loss [%]")
    assert table.rows == (
        ("random", "0.00", "50.00", "-50.00"),
        ("random_fg66 †", "0.00", "50.00", "-50.00"),
        ("predictive_entropy", "100.00", "0.00", "100.00"),
    )
    assert note.text.endswith("Uncorrected.")
    assert folded.folded
    assert [name for name, _ in folded.named] == ["Uncorrected", "Holm"]
    assert folded.named[0][1].rows[2] == ("predictive_entropy", "100.00", "100.00", "—")


def test_the_caption_counts_tests_and_what_chance_would_give(study):
    caption = texts(wins, with_dice(study, rising))[-1]
    assert "two-sided paired t-test, pairs matched by seed, level 5%" in caption
    # Three pairs at three budgets; two strategies are equal, and have nothing to test but 0.
    assert "9 tests; were there no differences, about 0.5 would be significant" in caption
    assert "exactly equal" not in caption
    constant = with_dice(study, lambda s, seed, loop: 0.5 + 0.25 * (s == "random") * (loop == 1))
    assert " 2 wins rest on differences that are exactly equal" in texts(wins, constant)[-1]


@pytest.mark.parametrize(
    ("seeds", "factor", "remark"), [((0, 1), "8.98", True), ((0, 1, 2), "2.48", False)]
)
def test_the_caption_says_what_could_be_found_at_all(study, seeds, factor, remark):
    text = texts(wins, with_dice(study, rising, seeds))[0]
    # The quantile of Student's t at 97.5 % over the root of the seeds.
    assert f"with {len(seeds)} seeds, a mean difference must exceed {factor} times" in text
    assert ("With 2 seeds hardly any win can be significant" in text) is remark
    assert "would be found with a probability of 80%" in text


def test_the_holm_matrix_is_told_to_be_empty_where_the_design_makes_it_so(study):
    noise = {"random": (0, 1, 2), "random_fg66": (1, 0, 2), "predictive_entropy": (2, 1, 0)}
    alike = with_dice(study, lambda strategy, seed, loop: 0.5 + 0.01 * noise[strategy][seed])
    text = texts(wins, alike)[-1]
    # Nine tests of three seeds.
    assert "With 3 seeds and 9 tests (all pairs at all budgets) the largest mean" in text
    assert "must exceed 7.71 times the standard deviation of the paired differences" in text
    assert "that matrix is empty by construction" in text
    found = texts(wins, with_dice(study, rising))[-1]
    assert "by construction" not in found
    assert found.endswith("2 cells of that matrix are above 0.")


def test_loop_0_is_the_same_only_where_it_is(study):
    assert "Loop 0 is the same for all strategies and is left out" in texts(wins, study)[-1]
    first, *others = study.trajectories
    record = first.records[0].model_copy(update={"start_hash": "f" * 12})
    other = replace(first, records=(record, *first.records[1:]))
    text = texts(wins, replace(study, trajectories=(other, *others)))[-1]
    assert "Loop 0 is left out of the tests" in text


def test_with_one_strategy_there_is_neither_matrix_nor_ranking(study):
    single = replace(study, table=study.table[study.table["strategy"] == "random"])
    assert blocks(wins, single) == blocks(ranking, single) == []
    assert first_picture(wins.SECTION, wins.SECTION.blocks(Material(single, {})), "png") is None


def test_without_a_test_there_is_a_sentence_and_no_matrix(study):
    (only,) = blocks(wins, with_dice(study, rising, seeds=(0,)))
    assert only.text.startswith("No test is possible")
    (only,) = blocks(ranking, replace(study, table=study.table[study.table["loop"] == 0]))
    assert only.text.startswith("No ranking")


def test_who_is_not_ranked_is_told(study):
    table = with_dice(study, rising).table
    few = table[(table["strategy"] != "random") | (table["seed"] == 0)]
    *_, caption = blocks(ranking, replace(study, table=few))
    assert (
        "Left out, with fewer than half of a setting's seeds: random with 1 of 3." in caption.text
    )
    assert "all ranked ones share (0, 1, 2)" in caption.text
    apart = table.assign(setting="t")
    apart = apart[(apart["strategy"] == "random") == (apart["seed"] == 0)]
    both = replace(
        study, table=pd.concat([table, apart]), settings={**study.settings, "t": "second"}
    )
    *_, caption = blocks(ranking, both)
    assert "random with 1 of 3 (second)" in caption.text
    assert "Settings do not rank the same strategies (last column" in caption.text
    assert "(2 to 3 seeds a setting)" in caption.text


def test_settings_with_other_rivals_are_told_though_all_are_ranked_once(study):
    table = with_dice(study, rising).table
    pairs = {"t": ("random", "random_fg66"), "u": ("predictive_entropy",)}
    parts = [table[table["strategy"].isin(who)].assign(setting=s) for s, who in pairs.items()]
    names = {**study.settings, "t": "second", "u": "third"}
    apart = replace(study, table=pd.concat(parts), settings=names)
    *_, caption = blocks(ranking, apart)
    assert "Not ranked for want of a rival: predictive_entropy (third)." in caption.text
    assert "mean over 1 setting." in caption.text
    named = parts[0].replace({"strategy": {"random": "predictive_entropy"}}).assign(setting="u")
    two = replace(study, table=pd.concat([parts[0], named]), settings=names)
    assert "Settings do not rank the same strategies" in blocks(ranking, two)[-1].text


def test_a_ranking_of_enough_seeds_has_intervals(study):
    judged = with_dice(study, rising)
    more = judged.table.assign(setting="t")
    both = replace(
        judged, table=pd.concat([judged.table, more]), settings={**judged.settings, "t": "second"}
    )
    beside, caption = blocks(ranking, both)
    ((_, table),) = beside.right[0].named
    assert table.rows[0] == ("predictive_entropy", "1.00", "1.00 to 1.00", "2")
    assert "mean over 2 settings. Intervals: 95 % of 1,000 bootstrap draws" in caption.text
    assert "in each setting for itself, the same seeds for all its strategies" in caption.text
    assert "With 3 seeds such an interval is too narrow" in caption.text


def test_an_area_of_one_seed_does_not_pass_for_two(study):
    judged = with_dice(study, rising, seeds=(0, 1))
    table = judged.table.copy()
    hit = (table["strategy"] == "random") & (table["seed"] == 1) & (table["loop"] == 1)
    table.loc[hit, "mean_dice"] = float("nan")
    tables, _ = blocks(results, replace(judged, table=table))
    strategy, last, area, seeds = tables.named[0][1].rows[0]
    assert (strategy, seeds) == ("random", "2")
    assert "±" in last
    assert "n = " not in last
    assert area.endswith("(n = 1)")


def test_tables_tell_the_seeds_of_each_where_they_differ(study):
    table = with_dice(study, rising).table
    lacking = table[(table["strategy"] != "random") | (table["seed"] != 1)]
    tables, caption = blocks(results, replace(study, table=lacking))
    assert [row[-1] for row in tables.named[0][1].rows] == ["2 (0, 2)", *["3 (0, 1, 2)"] * 2]
    assert caption.text.startswith("Mean ± standard deviation over 2 to 3 seeds, each of its own")


def test_seeds_that_differ_are_told_as_a_span(study):
    table = with_dice(study, rising).table
    one = (table["strategy"] == "random") & (table["seed"] == 2)
    text = texts(wins, replace(study, table=table[~one]))[0]
    assert "with 2 to 3 seeds, a mean difference must exceed 8.98 times" in text


def test_a_strategy_that_could_not_be_tested_keeps_an_empty_row(study):
    table = with_dice(study, rising).table
    table = table[(table["strategy"] != "random") | (table["seed"] == 0)]
    matrix = wins._plain(replace(study, table=table))
    assert matrix.index.tolist() == ["random", "random_fg66", "predictive_entropy"]
    assert matrix.loc["random"].isna().all()
    assert matrix.loc["predictive_entropy", "random_fg66"] == 1
    assert matrix.attrs == win_matrix(table).attrs


def test_holm_asks_for_more(study):
    judged = with_dice(study, rising)
    holm = wins._holm(judged)
    expected = win_matrix(judged.table, correction="holm").loc[holm.index, holm.columns]
    pd.testing.assert_frame_equal(holm, expected)
    assert holm.to_numpy().tolist() != wins._plain(judged).to_numpy().tolist()


def test_without_a_test_there_is_no_picture_of_the_matrix(study):
    unfinished = replace(study, table=study.table.assign(status="running"))
    shown = wins.SECTION.blocks(Material(unfinished, {}))
    assert first_picture(wins.SECTION, shown, "png") is None
    csv = wins.SECTION.files["win_matrix.csv"](Material(unfinished, {}))
    assert csv.decode().split() == ["strategy"]


def test_ranks_are_told_with_what_they_mean(study):
    beside, caption = blocks(ranking, with_dice(study, rising))
    ((_, table),) = beside.right[0].named
    assert table.columns == ("Strategy", "Mean rank", "95 % interval", "Settings")
    # Equal curves share the smaller rank.
    assert table.rows == (
        ("predictive_entropy", "1.00", "—", "1"),
        ("random", "2.00", "—", "1"),
        ("random_fg66 †", "2.00", "—", "1"),
    )
    assert "over the seeds that all ranked ones share (0, 1, 2); mean over 1" in caption.text
    assert "There is no interval: 3 seeds in 1 setting are too few to draw from." in caption.text
    assert "Kendall's τ with this ranking is 1.00 each time." in caption.text
    ((_, figure),) = beside.left[0].panels
    assert figure["layout"]["xaxis"]["range"] == [0.5, 3.5]
    assert figure["layout"]["height"] == 130 + 42 * 3
    assert [trace["marker"]["size"] for trace in figure["data"]] == [12] * 3


def test_a_rank_of_one_seed_has_no_interval(study):
    beside, caption = blocks(ranking, with_dice(study, rising, seeds=(1,)))
    ((_, figure),) = beside.left[0].panels
    assert [trace["error_x"] for trace in figure["data"]] == [{"visible": False}] * 3
    ((_, table),) = beside.right[0].named
    assert {row[2] for row in table.rows} == {"—"}
    assert caption.text.endswith("There is no interval, since a setting has one common seed only.")


@pytest.fixture
def judged(study, tmp_path):
    """With full-data references of Dice 0.9, and strategies that near it."""
    config = trajectory_config("dataset", "random", (8, 8, 8), 0, 4)
    setting = next(iter(study.settings))
    return replace(study, references={setting: (write_reference(tmp_path, config, 0.9),)})


def test_efficiency_is_told_with_error_and_interval(judged):
    tables, caption = blocks(efficiency, judged)
    ((name, table),) = tables.named
    assert name == next(iter(judged.settings.values()))
    assert table.columns == ("Strategy", "FG-Eff", "Error", "95 % interval")
    rates = efficiency._rates(judged).set_index("strategy")
    assert (rates["fg_eff"] > 0).all()
    for strategy, rate, error, interval in table.rows:
        row = rates.loc[strategy.removesuffix(" †")]
        assert (rate, error) == (f"{row['fg_eff']:.2f}", f"{row['standard_error']:.2f}")
        assert interval == f"{row['low']:.2f} to {row['high']:.2f}"
    assert "Without a full-data reference" not in caption.text


def test_an_efficiency_that_is_undefined_is_a_dash(judged):
    high = with_dice(judged, lambda *_: 0.95)
    tables, _ = blocks(efficiency, high)
    assert {cell for row in tables.named[0][1].rows for cell in row[1:]} == {"—"}
    single, _ = blocks(efficiency, with_dice(judged, rising, seeds=(0,)))
    assert {row[3] for row in single.named[0][1].rows} == {"—"}
    assert "—" not in {row[1] for row in single.named[0][1].rows}


def test_settings_without_a_reference_are_named_and_left_out(judged):
    more = replace(judged, settings={**judged.settings, "t": "second", "u": "third"})
    _, caption = blocks(efficiency, more)
    assert caption.text.endswith("and so not shown: second; third.")
    assert not efficiency.SECTION.applies(Material(replace(judged, references={}), {}))
    none = replace(judged, table=judged.table.assign(setting="t"))
    assert efficiency._rates(none).empty


def test_final_dice_and_area_are_told_for_each_strategy(study):
    tables, caption = blocks(results, with_dice(study, lambda s, seed, loop: 0.2 * (seed + 1)))
    ((_, table),) = tables.named
    assert table.columns == ("Strategy", "Final Dice [%]", "AUBC [%]", "Seeds")
    assert table.rows[0] == ("random", "40.00 ± 20.00", "40.00 ± 20.00", "3")
    assert len(table.rows) == 3
    assert "a constant Dice has itself as area" in caption.text


def test_what_was_measured_besides_has_a_column_each(study):
    last = study.table["loop"] == 3
    table = study.table.assign(hd95=study.table["seed"].where(last), surface_dice=None)
    *_, tables, caption = blocks(results, replace(study, table=table))
    ((_, shown),) = tables.named
    # In mm, where everything else is percent.
    assert shown.columns == ("Strategy", "HD95 [mm]")
    assert shown.rows[2] == ("predictive_entropy", "1.00 ± 1.00")
    assert "the mean over the cases where it is defined" in caption.text
    assert len(blocks(results, replace(study, table=table.assign(hd95=float("nan"))))) == 2


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        ((0,), "Lines are single trajectories (1 seed), so there is no band."),
        ((0, 1), "Lines are means over 2 seeds, bands ±1 standard deviation (ddof 1)."),
        ((), "No trajectory is finished yet, so there is no curve to show."),
    ],
)
def test_the_caption_says_what_lines_and_bands_are(study, seeds, said):
    (text,) = texts(curves, with_dice(study, rising, seeds))
    assert text.startswith(said)
    assert ("the band itself is uncertain" in text) is (len(seeds) == 2)
    assert ("share the same starting budget and the same networks, seed by" in text) is bool(seeds)


def test_a_line_that_lacks_seeds_has_their_number_at_its_end(study):
    table = with_dice(study, rising).table
    lacking = replace(study, table=table[(table["strategy"] != "random") | (table["seed"] == 1)])
    _, _, figures, caption, _ = blocks(curves, lacking)
    state = {"x": "annotated_patches", "metric": "mean_dice", "seeds": "off"}
    texts_ = [t for t in resolve(figures.panels[0][1], **state)["data"] if t["mode"] == "text"]
    assert [(t["text"], t["x"]) for t in texts_] == [(["\u00a0\u00a0n = 1"], [24])]
    assert "Seeds differ between strategies: random 1 of 0, 1, 2." in caption.text
    _, _, figures, caption, _ = blocks(curves, study)
    whole = resolve(figures.panels[0][1], **state)["data"]
    assert not [t for t in whole if t["mode"] == "text"]
    assert "Seeds differ" not in caption.text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"start_hash": "f" * 12},
            "Strategies do NOT begin alike: their starting budgets differ in 1",
        ),
        ({"members": ("x",)}, "but in 1 of 3 settings and seeds not the same networks"),
    ],
)
def test_strategies_that_begin_apart_are_told(study, changes, said):
    first, *others = study.trajectories
    record = first.records[0].model_copy(update=changes)
    other = replace(first, records=(record, *first.records[1:]))
    (text,) = texts(curves, replace(study, trajectories=(other, *others)))
    assert said in text
    assert "budget and the same networks" not in text


def test_the_menus_offer_every_budget_and_class(study):
    controls, chips, figures, *_ = blocks(curves, study)
    across, menu, box = controls.switches
    assert [value for value, _ in across.options] == [
        "annotated_patches",
        "annotated_voxels",
        "foreground_fraction",
        "hours",
        "cost_cases",
        "cost_foreground",
    ]
    assert menu.options == (
        ("mean_dice", "all classes (mean)"),
        ("dice_liver", "liver"),
        ("dice_tumour", "tumour"),
    )
    assert (menu.menu, box.name) == (True, "seeds")
    assert chips.looks == study.looks
    assert isinstance(figures, Figures)


def test_full_data_is_a_line_with_its_number(judged):
    _, _, figures, *_ = blocks(curves, judged)
    figure = resolve(figures.panels[0][1], x="annotated_patches", metric="dice_liver", seeds="off")
    (line,), (text,) = figure["layout"]["shapes"], figure["layout"]["annotations"]
    assert (line["y0"], line["y1"], line["line"]["dash"]) == (90.0, 90.0, "dot")
    assert (text["text"], text["y"]) == ("full data: 90.00", 90.0)
    # Axes follow traces alone.
    assert figure["data"][-1]["y"] == [90.0]
    assert figure["data"][-1]["opacity"] == 0
    assert figure["data"][-1]["x"] == [6]
