"""What the report opens with is true: every clause is held against tests made here anew."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student
from scipy.stats import ttest_rel
from statsmodels.stats.multitest import multipletests

from alsweep.report import write_report
from alsweep.report.headline import Compared, headline, over_settings, what_would_change
from alsweep.results import aubc, compare, compare_over_settings
from alsweep.testing.runs import write_run
from tests.report.pages import visible
from tests.results.studies import study_table

PATTERN = r"<(a\d)> by ([\d.]+) \[([\d.e-]+), ([\d.e-]+)\] Dice points(?: on \((s\d+))?"
CONTROL = "a0"
ROPE = 0.005


def compared(table: pd.DataFrame) -> Compared:
    rows = compare(table, [CONTROL], rope=ROPE)
    names = {name: f"<{name}>" for name in table["strategy"]}
    places = {name: f"({name})" for name in table["setting"]}
    over = compare_over_settings(table, [CONTROL])
    return Compared(CONTROL, names, places, rows, over, ROPE, 0.05)


def judged(table: pd.DataFrame) -> dict[tuple[str, str], tuple[str, float, float, float]]:
    """(setting, strategy) to verdict, difference and its interval, by scipy and statsmodels."""
    found = {}
    for setting, scores in aubc(table).groupby("setting"):
        wide = scores.pivot(index="seed", columns="strategy", values="aubc")
        others = [name for name in wide if name != CONTROL]
        tests = {name: ttest_rel(wide[name], wide[CONTROL]) for name in others}
        constant = {name: (wide[name] - wide[CONTROL]).std() < 1e-15 for name in others}
        p = [
            float(wide[n].mean() == wide[CONTROL].mean()) if constant[n] else tests[n].pvalue
            for n in others
        ]
        rejected = multipletests(p, 0.05, "holm")[0]
        for name, sure in zip(others, rejected, strict=True):
            difference = wide[name] - wide[CONTROL]
            error = difference.std(ddof=1) / len(difference) ** 0.5
            mean, free = difference.mean(), len(difference) - 1
            verdict = ("better" if mean > 0 else "worse") if sure else "undecided"
            if not sure and abs(mean) + error * student.ppf(0.95, free) <= ROPE:
                verdict = "equivalent"
            reach = error * student.ppf(0.975, free)
            found[str(setting), str(name)] = verdict, mean, mean - reach, mean + reach
    return found


@st.composite
def studies(draw: st.DrawFn) -> pd.DataFrame:
    """Studies in which much, little or nothing differs."""
    places, strategies = draw(st.integers(1, 4)), draw(st.integers(2, 5))
    seeds = draw(st.integers(2, 6))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    skill = rng.normal(0, draw(st.sampled_from([0.0, 0.01, 0.1])), (places, strategies, 1))
    noise = rng.normal(0, draw(st.sampled_from([0.0002, 0.004, 0.03])), (places, strategies, seeds))
    return study_table(0.5 + skill + noise)


@settings(max_examples=25, deadline=None)
@given(studies())
def test_every_clause_of_the_headline_is_true(table):
    of, truth = compared(table), judged(table)
    several = table["setting"].nunique() > 1
    text = headline(of)
    sides = {
        "better": re.search(r"shown to be better.*?(?:;|\.$)(?: elsewhere[^;]*)?", text, re.I)[0],
        "worse": (re.search(r"shown to be worse[^;]*", text) or [""])[0],
        "equivalent": (re.search(r"within 0.5 Dice points of it[^;]*", text) or [""])[0],
    }
    for side, said in sides.items():
        true = {key: one for key, one in truth.items() if one[0] == side}
        named = re.findall(r"<(a\d)>(?: by [\d.]+ \[[^]]*\] Dice points)?(?: on \((s\d+)\))?", said)
        named = [(place or "s00", name) for name, place in named if name != CONTROL]
        more = re.search(r"and (\d+) more", said)
        assert set(named) <= set(true), (side, said)
        assert len(named) + int(more[1] if more else 0) == len(true), (side, said)
    told = re.findall(PATTERN, text)
    for name, mean, low, high, place in told:
        verdict, *numbers = truth[place or "s00", name]
        sign = 1 if verdict == "better" else -1
        expected = sorted(100 * sign * number for number in numbers)
        assert [float(low), float(mean), float(high)] == pytest.approx(expected, abs=0.051)
    winning = {setting for (setting, _), one in truth.items() if one[0] == "better"}
    if several and (found := re.search(r"On (\d+) of (\d+) settings no strategy", text)):
        assert int(found[1]) == int(found[2]) - len(winning)
    elif several and text.startswith("On none of"):
        assert not winning
    elif several:
        assert text.startswith("On each of")
        assert len(winning) == table["setting"].nunique()
    left = sum(one[0] == "undecided" for one in truth.values())
    if found := re.search(r"undecided are (\d+) of (\d+)|all of the (\d+) comparisons", text):
        assert int(found[1] or found[3]) == left
    elif "undecided" in text:
        assert left == 1


@settings(max_examples=12, deadline=None)
@given(studies())
def test_what_would_change_it_counts_the_undecided_and_their_seeds(table):
    of, truth = compared(table), judged(table)
    text = what_would_change(of)
    left = sum(one[0] == "undecided" for one in truth.values())
    named = [name for name in re.findall(r"<(a\d)>", text) if name != CONTROL]
    more = sum(map(int, re.findall(r"and (\d+) more[;.]", text)))
    more += sum(map(int, re.findall(r"and (\d+) more (?:differ|have)", text)))
    assert len(named) + more == left
    assert (left == 0) == text.startswith("Nothing is undecided")
    rows = of.rows.set_index(["setting", "strategy"])["seeds_to_decide"]
    for seeds, name, place in re.findall(r"(\d+) for <(a\d)>(?: on \((s\d+)\))?", text):
        assert rows[place or "s00", name] == int(seeds)


@settings(max_examples=12, deadline=None)
@given(studies())
def test_over_settings_nobody_is_named_whom_demsars_test_does_not_name(table):
    text = over_settings(compared(table))
    rows = compare_over_settings(table, [CONTROL])
    assert bool(text) == (table["setting"].nunique() > 1)
    sure = set(rows.loc[rows["verdict"] != "undecided", "strategy"]) if text else set()
    assert set(re.findall(r"<(a\d)>", text)) - {CONTROL} == sure


def test_equal_strategies_are_within_the_margin_and_nothing_is_left_to_decide():
    of = compared(study_table(np.full((1, 2, 3), 0.5)))
    assert headline(of) == (
        "No strategy is shown to be better than <a0>; within 0.5 Dice points of it is <a1>."
    )
    assert what_would_change(of).startswith("Nothing is undecided")


def test_a_study_of_one_seed_shows_nothing_and_says_so(tmp_path):
    write_run(tmp_path / "run", seeds=(0,))
    page = write_report([tmp_path / "run"])
    told = (page.parent / "headline.txt").read_text()
    assert told.startswith("Nothing can be shown yet: no strategy has two seeds in common with")
    assert told.strip() in visible(page)


@pytest.mark.parametrize(
    ("strategies", "said"),
    [
        ({"predictive_entropy": 0.5, "bald": 0.4}, "No strategy is declared a control"),
        ({"random": 0.5}, "random is the only strategy that has finished trajectories"),
        ({}, "No trajectory is finished yet"),
    ],
)
def test_without_anything_to_compare_the_reason_is_given(tmp_path, strategies, said):
    write_run(tmp_path / "run", strategies=strategies)
    page = write_report([tmp_path / "run"])
    assert (page.parent / "headline.txt").read_text().startswith(said)
