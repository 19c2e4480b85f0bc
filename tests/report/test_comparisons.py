"""The section on controls: what it says and draws, against the statistics themselves."""

from dataclasses import replace

import pandas as pd
import pytest

from alsweep.config.report import ReportConfig
from alsweep.errors import RecordError
from alsweep.report.declared import declared
from alsweep.report.section import Caption, Controls, Figures, Material, Statements, Tables
from alsweep.report.sections import comparisons
from alsweep.report.study import read_study
from alsweep.results import compare, detectable
from alsweep.testing.runs import write_run
from tests.report.pages import resolve


def with_gains(study, gains, seeds=(0, 1, 2)):
    """The study with a strategy's Dice moved by (seed) after loop 0."""
    table = study.table[study.table["seed"].isin(seeds)].copy()
    keys = table[["strategy", "seed", "loop"]].itertuples(index=False, name=None)
    dice = [
        0.5 + 0.02 * seed + (gains[strategy][seed] if loop else 0) for strategy, seed, loop in keys
    ]
    return replace(study, table=table.assign(mean_dice=dice))


GAINS = {
    "random": (0.0, 0.0, 0.0),
    "random_fg66": (0.1, 0.102, 0.101),
    "predictive_entropy": (0.1005, 0.103, 0.1005),
}


def blocks(study):
    return list(comparisons.SECTION.blocks(Material(study, {})))


def csv(study):
    return comparisons.SECTION.files["comparisons.csv"](Material(study, {})).decode()


def test_each_control_has_a_line_a_button_and_its_figures(study):
    judged = with_gains(study, GAINS)
    head, controls, figures, tables, caption = blocks(judged)
    kinds = (Statements, Controls, Figures, Tables, Caption)
    assert [type(one) for one in (head, controls, figures, tables, caption)] == list(kinds)
    assert head.pairs == (
        ("Against random_fg66 †", "worse: random; equivalent: predictive_entropy."),
        ("Against random", "better: predictive_entropy."),
    )
    (switch,) = controls.switches
    assert switch.options == (
        ("random_fg66", "against random_fg66 †"),
        ("random", "against random"),
    )
    ((title, figure),) = figures.panels
    assert title == ""
    shown = resolve(figure, against="random_fg66")
    rows = compare(judged.table, ["random_fg66"]).set_index("strategy")
    assert [trace["y"] for trace in shown["data"]] == [["random"], ["predictive_entropy"]]
    for trace in shown["data"]:
        row = rows.loc[trace["y"][0]]
        assert trace["x"] == [pytest.approx(100 * row["mean_difference"])]
        assert trace["x"][0] + trace["error_x"]["array"][0] == pytest.approx(100 * row["high"])
    assert [trace["text"] for trace in shown["data"]] == [["worse"], ["equivalent"]]
    (band,) = shown["layout"]["shapes"]
    assert (band["x0"], band["x1"]) == (-0.5, 0.5)
    assert len(resolve(figure, against="random")["data"]) == 1


def test_the_table_is_that_of_the_statistics_in_sweep_order(study):
    judged = with_gains(study, GAINS)
    ((_, table),) = next(one for one in blocks(judged) if isinstance(one, Tables)).named
    rows = compare(judged.table, ["random_fg66", "random"])
    assert [line[:3] for line in table.rows] == [
        ("random", "random_fg66 †", "3"),
        ("predictive_entropy", "random_fg66 †", "3"),
        ("predictive_entropy", "random", "3"),
    ]
    by_pair = rows.assign(detectable=detectable(rows)).set_index(["strategy", "control"])
    for line in table.rows:
        row = by_pair.loc[(line[0], line[1].removesuffix(" †"))]
        assert line[3] == f"{100 * row['mean_difference']:+.2f}"
        assert line[4] == f"{100 * row['low']:+.2f} to {100 * row['high']:+.2f}"
        found = f"{100 * row['detectable']:.2f}"
        assert line[6:] == (row["verdict"], found, str(row["seeds_to_decide"]))
    assert csv(judged) == rows.to_csv(index=False)


def test_small_probabilities_and_many_seeds_are_told_as_limits():
    assert [comparisons._probability(p) for p in (0.00009, 0.0001, 0.5, float("nan"))] == [
        "< 0.0001",
        "0.0001",
        "0.5000",
        "—",
    ]
    rows = pd.DataFrame({"n": [4, 4, 1], "seeds_to_decide": pd.array([1000, None, None], "Int64")})
    told = [comparisons._further(row) for _, row in rows.iterrows()]
    assert told == ["1,000", "> 1,000", "—"]


def test_the_caption_says_what_the_design_needs(study):
    text = blocks(with_gains(study, GAINS))[-1].text
    # Three tests: the quantile of t with two degrees of freedom at 1 - 0.05 / 6, over root 3.
    assert (
        "With 3 common seeds and 3 tests in a setting, the first difference must exceed 4.42"
        in text
    )
    assert "within ±0.5 Dice points" in text
    assert text.endswith("Two controls meet once, where the first is the control.")
    single = replace(study, asked=ReportConfig(controls=("random",), rope=0.02))
    text = blocks(with_gains(single, GAINS))[-1].text
    assert "2 tests in a setting" in text
    assert "within ±2 Dice points" in text
    assert "meet once" not in text
    untested = blocks(with_gains(study, GAINS, seeds=(0,)))
    assert "No test is possible: it needs at least 2 common seeds." in untested[-1].text
    assert untested[0].pairs[0][1] == "undecided: random, predictive_entropy."


def test_one_control_needs_no_buttons_and_several_settings_are_counted(study):
    single = replace(study, asked=ReportConfig(controls=("random",)))
    judged = with_gains(single, GAINS)
    head, figures, *_ = blocks(judged)
    assert isinstance(figures, Figures)
    assert [trace["y"] for trace in figures.panels[0][1]["data"]] == [
        ["random_fg66 †"],
        ["predictive_entropy"],
    ]
    more = judged.table.assign(setting="t", mean_dice=0.5)
    both = replace(
        judged,
        table=pd.concat([judged.table, more]),
        settings={**judged.settings, "t": "second"},
    )
    head, figures, *_ = blocks(both)
    assert head.pairs == (
        (
            "Against random",
            "2 better, 0 worse, 2 equivalent, 0 undecided, of 4 comparisons in 2 settings.",
        ),
    )
    assert [title for title, _ in figures.panels] == list(both.settings.values())


def test_a_setting_without_the_control_has_an_empty_figure(study):
    judged = with_gains(replace(study, asked=ReportConfig(controls=("random",))), GAINS)
    more = judged.table[judged.table["strategy"] != "random"].assign(setting="t")
    both = replace(
        judged,
        table=pd.concat([judged.table, more]),
        settings={**judged.settings, "t": "second"},
    )
    _, figures, *_ = blocks(both)
    assert [len(figure["data"]) for _, figure in figures.panels] == [2, 0]


def test_why_there_is_nothing_to_compare_is_said(study):
    def said(changed):
        (caption,) = blocks(changed)
        assert csv(changed).strip() == ",".join(compare(study.table, []).columns)
        return caption.text

    table = study.table
    assert said(replace(study, table=table[:0])).startswith("No trajectory is finished")
    assert said(replace(study, table=table[table["strategy"] == "random"])) == (
        "random is the only strategy that has finished trajectories: comparisons, win matrix and "
        "ranking are left out."
    )
    assert "(none is declared): name strategies" in said(
        replace(study, asked=ReportConfig(controls=()))
    )
    assert "(mine)" in said(replace(study, asked=ReportConfig(controls=("mine",))))
    apart = table[table["strategy"].isin(["random", "predictive_entropy"])].copy()
    apart["setting"] = apart["strategy"]
    lone = replace(study, table=apart, asked=ReportConfig(controls=("random",)))
    assert said(lone).startswith("No control shares a setting")


def test_what_several_runs_ask_for_is_joined(tmp_path):
    for name, text in (("a", "{controls: [random], rope: 0.01}"), ("b", "{controls: [b, random]}")):
        write_run(tmp_path / name, seeds=(0,), loops=2, strategies={"random": 0.4})
        with (tmp_path / name / "sweep.yaml").open("a") as file:
            file.write(f"report: {text}\n")
    assert declared(tmp_path / "a") == ReportConfig(controls=("random",), rope=0.01)
    asked = read_study([tmp_path / "a", tmp_path / "b"]).asked
    assert asked == ReportConfig(controls=("random", "b"), rope=0.005)


def test_a_run_of_before_has_the_default_controls(study):
    assert study.asked == ReportConfig(controls=("random_fg66", "random"))


def test_a_broken_section_names_file_and_key(tmp_path):
    write_run(tmp_path / "run", seeds=(0,), loops=2, strategies={"random": 0.4})
    with (tmp_path / "run" / "sweep.yaml").open("a") as file:
        file.write("report: {rope: 3}\n")
    with pytest.raises(
        RecordError, match=r"sweep\.yaml: report\.rope: Input should be less than 1"
    ):
        declared(tmp_path / "run")
