import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nct, ttest_rel
from scipy.stats import t as student
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from alsweep.errors import RecordError
from alsweep.results import aubc, compare, detectable, final
from alsweep.rng import stream

COLUMNS = [
    "setting",
    "control",
    "strategy",
    "n",
    "mean_difference",
    "low",
    "high",
    "p",
    "p_adjusted",
    "verdict",
    "seeds_to_decide",
]


def table_of(make_table, areas, setting="s", status="done"):
    """Constant curves, so that the area is the value: (strategy, seed) to it."""
    curves = {key: [value, value] for key, value in areas.items()}
    return make_table(curves, setting=setting, status=status)


def noisy(make_table, names="abcdef", seeds=5, setting="s", spread=0.01):
    rng = stream(0, "test_comparing", setting)
    skill = {name: 0.5 + 0.012 * place for place, name in enumerate(names)}
    areas = {(n, s): skill[n] + rng.normal(0, spread) for n in names for s in range(seeds)}
    return table_of(make_table, areas, setting)


def by_hand(table, controls, metric="aubc", alpha=0.05, rope=0.005):
    """The contract, row by row, with what scipy and statsmodels have for each step."""
    measure = {"aubc": aubc, "final": final}[metric]
    rows = []
    for setting, group in measure(table).dropna().groupby("setting"):
        by_seed = {n: g.set_index("seed")[metric] for n, g in group.groupby("strategy")}
        here = [c for c in controls if c in by_seed]
        for place, control in enumerate(here):
            for strategy in sorted(set(by_seed) - set(here[: place + 1])):
                seeds = sorted(set(by_seed[control].index) & set(by_seed[strategy].index))
                rows.append(
                    (setting, control, strategy, by_seed[strategy][seeds], by_seed[control][seeds])
                )
    found = []
    for setting in sorted({row[0] for row in rows}):
        tests = []
        for _, control, strategy, one, other in (row for row in rows if row[0] == setting):
            tests.append((control, strategy, (one - other).to_numpy(), ttest_rel(one, other)))
        adjusted = multipletests([test.pvalue for *_, test in tests], method="holm")[1]
        for (control, strategy, d, test), p in zip(tests, adjusted, strict=True):
            wide, narrow = (test.confidence_interval(level) for level in (1 - alpha, 1 - 2 * alpha))
            verdict = "undecided"
            if p < alpha:
                verdict = "better" if d.mean() > 0 else "worse"
            elif narrow.low >= -rope and narrow.high <= rope:
                verdict = "equivalent"
            needed = 0
            while verdict == "undecided":
                needed += 1
                n, level = len(d) + needed, alpha / len(tests)
                shift = abs(d.mean()) / d.std(ddof=1) * n**0.5
                limit = student.isf(level / 2, n - 1)
                if nct.sf(limit, n - 1, shift) >= 0.8:
                    break
                if needed > 1000:
                    needed = pd.NA
                    break
            found.append(
                (
                    setting,
                    control,
                    strategy,
                    len(d),
                    d.mean(),
                    *wide,
                    test.pvalue,
                    p,
                    verdict,
                    needed,
                )
            )
    return pd.DataFrame(found, columns=COLUMNS).astype({"seeds_to_decide": "Int64"})


@pytest.mark.parametrize("metric", ["aubc", "final"])
@pytest.mark.parametrize("controls", [["c"], ["e", "a"], ["a", "b", "f"]])
def test_every_row_agrees_with_scipy_and_statsmodels(make_table, controls, metric):
    parts = [noisy(make_table), noisy(make_table, seeds=3, setting="t", spread=0.003)]
    table = pd.concat(parts).sample(frac=1, random_state=1)
    table.loc[table["loop"] == 1, "mean_dice"] *= 1.1
    found = compare(table, controls, metric)
    assert found.columns.tolist() == COLUMNS
    expected = by_hand(table, controls, metric)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=1e-9)
    assert set(found["verdict"]) >= {"better", "undecided"}


def test_the_verdicts_are_four(make_table):
    base = [0.5, 0.52, 0.51, 0.49, 0.5, 0.53]
    jitter = np.array([0.001, -0.001, 0.0005, -0.0005, 0.001, -0.001])
    moved = {"same": jitter, "up": 0.05 + jitter, "down": jitter - 0.05, "wild": 20 * jitter}
    areas = {("c", s): v for s, v in enumerate(base)}
    areas |= {(n, s): base[s] + d for n, ds in moved.items() for s, d in enumerate(ds)}
    found = compare(table_of(make_table, areas), ["c"]).set_index("strategy")
    assert found["verdict"].to_dict() == {
        "down": "worse",
        "same": "equivalent",
        "up": "better",
        "wild": "undecided",
    }
    assert found["seeds_to_decide"].drop("wild").tolist() == [0, 0, 0]
    # A mean of 0 is found with no number of seeds.
    assert found.loc["wild", "seeds_to_decide"] is pd.NA
    narrower = compare(table_of(make_table, areas), ["c"], rope=0.0005).set_index("strategy")
    assert narrower.loc["same", "verdict"] == "undecided"


def test_significant_comes_before_equivalent(make_table):
    areas = {("c", s): 0.5 for s in range(5)}
    areas |= {("x", s): 0.501 + 0.0001 * s for s in range(5)}
    found = compare(table_of(make_table, areas), ["c"])
    assert found["verdict"].item() == "better"
    stricter = compare(table_of(make_table, areas), ["c"], alpha=1e-6)
    assert (stricter["verdict"].item(), stricter["seeds_to_decide"].item()) == ("equivalent", 0)


def test_two_controls_meet_once_in_the_order_declared(make_table):
    table = noisy(make_table, names="abcd")
    found = compare(table, ["c", "a", "c"])
    pairs = list(zip(found["control"], found["strategy"], strict=True))
    assert pairs == [("c", "a"), ("c", "b"), ("c", "d"), ("a", "b"), ("a", "d")]
    turned = compare(table, ["a", "c"])
    one = found[found["strategy"] == "a"]["mean_difference"].item()
    assert turned[turned["strategy"] == "c"]["mean_difference"].item() == -one


def test_a_control_that_a_setting_lacks_meets_nobody_there(make_table):
    whole, lacking = noisy(make_table, "abc"), noisy(make_table, "bc", setting="t")
    found = compare(pd.concat([whole, lacking]), ["a", "b"])
    rows = [tuple(row) for row in found[["setting", "control", "strategy"]].itertuples(index=False)]
    assert rows == [("s", "a", "b"), ("s", "a", "c"), ("s", "b", "c"), ("t", "b", "c")]
    # The family is that of the setting.
    alone = compare(lacking, ["b"])
    pd.testing.assert_frame_equal(found[found["setting"] == "t"].reset_index(drop=True), alone)


def test_pairs_are_compared_over_their_own_common_seeds(make_table):
    table = noisy(make_table, "abc")
    table = table[~((table["strategy"] == "b") & table["seed"].isin([0, 1]))]
    table.loc[(table["strategy"] == "c") & (table["seed"] == 4), "mean_dice"] = np.nan
    found = compare(table, ["a", "b"]).set_index(["control", "strategy"])
    assert found["n"].to_dict() == {("a", "b"): 3, ("a", "c"): 4, ("b", "c"): 2}
    pd.testing.assert_frame_equal(
        found.reset_index()[COLUMNS], by_hand(table, ["a", "b"]), check_dtype=False
    )


def test_what_is_not_done_enters_only_if_asked(make_table):
    table = noisy(make_table, "abc")
    table.loc[(table["strategy"] == "b") & (table["seed"] > 2), "status"] = "truncated"
    assert compare(table, ["a"])["n"].tolist() == [3, 5]
    assert compare(table, ["a"], statuses=["done", "truncated"])["n"].tolist() == [5, 5]
    nothing = compare(table.assign(status="running"), ["a"])
    assert nothing.empty
    assert nothing.columns.tolist() == COLUMNS
    assert nothing.dtypes.to_dict() == compare(table, ["a"]).dtypes.to_dict()


def test_fewer_than_two_common_seeds_allow_no_test(make_table):
    areas = {("c", 0): 0.5, ("c", 1): 0.6, ("one", 0): 0.7, ("none", 2): 0.7}
    areas |= {("two", 0): 0.7, ("two", 1): 0.9}
    found = compare(table_of(make_table, areas), ["c"]).set_index("strategy")
    assert found["n"].to_dict() == {"none": 0, "one": 1, "two": 2}
    assert found.loc["one", "mean_difference"] == pytest.approx(0.2)
    untested = found.loc[["none", "one"]]
    assert untested[["low", "high", "p", "p_adjusted", "seeds_to_decide"]].isna().all(axis=None)
    assert set(untested["verdict"]) == {"undecided"}
    # What has no p is no part of the family.
    assert found.loc["two", "p_adjusted"] == found.loc["two", "p"]
    assert pd.isna(found.loc["none", "mean_difference"])


def test_differences_without_variance(make_table):
    areas = {("c", s): 0.5 for s in range(3)}
    areas |= {("even", s): 0.75 for s in range(3)} | {("twin", s): 0.5 for s in range(3)}
    found = compare(table_of(make_table, areas), ["c"], rope=0.0).set_index("strategy")
    assert found["verdict"].to_dict() == {"even": "better", "twin": "equivalent"}
    assert found["p"].to_dict() == {"even": 0, "twin": 1}
    assert found.loc["even", ["low", "high"]].tolist() == [0.25, 0.25]
    assert found["seeds_to_decide"].tolist() == [0, 0]


def test_seeds_to_decide_use_the_level_of_the_family(make_table):
    areas = {("c", s): 0.5 for s in range(4)}
    steps = np.array([0.01, 0.03, 0.02, 0.06])
    areas |= {(n, s): 0.5 + step for n in "xyz" for s, step in enumerate(steps)}
    found = compare(table_of(make_table, areas), ["c"])
    effect = steps.mean() / steps.std(ddof=1)
    total = TTestPower().solve_power(effect_size=effect, alpha=0.05 / 3, power=0.8)
    assert found["seeds_to_decide"].tolist() == [int(np.ceil(total)) - 4] * 3


def test_what_is_detectable_is_found_with_power_at_the_level_of_the_family(make_table):
    both = [noisy(make_table, "abcd", setting="X"), noisy(make_table, "abc", setting="Y")]
    rows = compare(pd.concat(both), ["a", "b"])
    error = (rows["high"] - rows["low"]) / 2 / student.ppf(0.975, rows["n"] - 1)
    effects = detectable(rows) / (error * np.sqrt(rows["n"]))
    for setting, n, effect in zip(rows["setting"], rows["n"], effects, strict=True):
        level = 0.05 / {"X": 5, "Y": 3}[setting]
        power = TTestPower().power(effect_size=effect, nobs=n, alpha=level)
        assert power == pytest.approx(0.8, abs=1e-6)


def test_without_a_test_nothing_is_detectable(make_table):
    untested = compare(noisy(make_table, "ab").query("loop == 0"), ["a"])
    assert detectable(untested).isna().all()
    assert detectable(untested.head(0)).empty


def test_an_area_needs_two_loops_and_a_final_value_one(make_table):
    table = noisy(make_table, "ab").query("loop == 0")
    assert compare(table, ["a"])["n"].tolist() == [0]
    assert compare(table, ["a"], "final")["n"].tolist() == [5]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"controls": ["random_fg6"]}, "controls: no strategy bears the label 'random_fg6'; did"),
        ({"controls": ["zz"]}, "there are: random_fg66, x$"),
        ({"metric": "mean_dice"}, "metric: expected 'aubc' or 'final', got 'mean_dice'"),
        ({"alpha": 0.5}, "alpha: expected a number between 0 and 0.5, got 0.5"),
        ({"rope": -0.1}, "rope: expected a number >= 0, got -0.1"),
        ({"rope": float("nan")}, "rope: expected a number >= 0, got nan"),
    ],
)
def test_a_mistake_is_told_in_one_line(make_table, changes, said):
    table = table_of(make_table, {("random_fg66", 0): 0.5, ("x", 0): 0.5})
    with pytest.raises(RecordError, match=said):
        compare(table, **({"controls": ["x"]} | changes))


def test_one_label_may_be_given_as_it_is_and_none_compares_nothing(make_table):
    table = noisy(make_table, "abc")
    pd.testing.assert_frame_equal(compare(table, "b"), compare(table, ["b"]))
    assert compare(table, []).empty
    assert compare(table.query("strategy == 'a'"), ["a"]).empty


def test_a_table_without_a_column_is_refused(make_table):
    with pytest.raises(RecordError, match="annotated_patches"):
        compare(noisy(make_table).drop(columns="annotated_patches"), ["a"])
    with pytest.raises(RecordError, match="no column 'strategy'"):
        compare(noisy(make_table).drop(columns="strategy"), ["a"])


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_the_order_of_rows_never_matters(make_table, data):
    table = noisy(make_table, "abcd", seeds=3)
    shuffled = table.iloc[data.draw(st.permutations(range(len(table))))]
    pair = [compare(one, ["b", "a"]) for one in (table, shuffled)]
    pd.testing.assert_frame_equal(*pair, check_exact=True)


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(st.integers(-8, 8), min_size=2, max_size=6))
def test_turning_a_pair_round_turns_its_verdict(make_table, steps):
    # Multiples of 1/256 add and subtract without rounding.
    areas = {("a", s): 0.5 for s in range(len(steps))}
    areas |= {("b", s): 0.5 + step / 256 for s, step in enumerate(steps)}
    table = table_of(make_table, areas)
    one, other = (compare(table, [control]).iloc[0] for control in "ab")
    turned = {"better": "worse", "worse": "better"}
    assert other["verdict"] == turned.get(one["verdict"], one["verdict"])
    assert (other["low"], other["high"]) == pytest.approx((-one["high"], -one["low"]))
    assert other["seeds_to_decide"] is one["seeds_to_decide"] or (
        other["seeds_to_decide"] == one["seeds_to_decide"]
    )
