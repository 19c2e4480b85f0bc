"""What the page says is missing, and of how many."""

from dataclasses import replace

import pytest

from alsweep.report.captions import (
    Start,
    alone,
    controls_of,
    count,
    listed,
    notices,
    over_seeds,
    same_seeds,
    seed_counts,
    some,
    start_of,
    unequal_seeds,
)


def with_states(study, *states, name="run"):
    """The study's run with the first trajectories in these states; the others are done."""
    (run,) = study.runs
    changed = [
        replace(t, status=status, error="no memory" if status == "failed" else None)
        for t, status in zip(run.trajectories, states, strict=False)
    ]
    trajectories = (*changed, *run.trajectories[len(changed) :])
    return replace(run, begun=replace(run.begun, name=name), trajectories=trajectories)


def of_runs(study, *runs):
    trajectories = tuple(t for run in runs for t in run.trajectories)
    return replace(study, runs=runs, trajectories=trajectories)


def test_a_whole_study_has_nothing_to_tell(study):
    assert notices(study) == []


def test_what_is_not_finished_is_counted_against_all(study):
    left = "not finished and left out of every figure and test."
    (one,) = notices(of_runs(study, with_states(study, "running")))
    assert one == f"1 of 9 trajectories of run is {left}"
    (two,) = notices(of_runs(study, with_states(study, "running", "running")))
    assert two == f"2 of 9 trajectories of run are {left}"


def test_what_was_stopped_is_told_apart_from_what_runs(study):
    told = set(notices(of_runs(study, with_states(study, "truncated", "running"))))
    assert told == {
        "1 of 9 trajectories of run is not finished and left out of every figure and test.",
        "1 trajectory of run was stopped before the last loop and is left out of every figure and "
        "test.",
    }


def test_a_run_of_one_is_told_in_the_singular(study):
    run = with_states(study, "running")
    single = replace(run, trajectories=run.trajectories[:1])
    (one,) = notices(of_runs(study, single))
    assert one.startswith("1 of 1 trajectory of run is not finished")


def test_each_failure_is_told_with_its_reason_after_what_waits(study):
    run = with_states(study, "failed", "running", "failed")
    told = notices(of_runs(study, run))
    assert told[0].startswith("1 of 9")
    assert told[1:] == [
        f"{run.trajectories[i].id} failed and is left out: no memory" for i in (0, 2)
    ]


def test_what_one_run_lacks_and_another_has_is_not_missing(study):
    late, whole = with_states(study, "running", "failed", name="late"), with_states(study)
    assert notices(of_runs(study, late, whole)) == notices(of_runs(study, whole, late)) == []


def test_what_two_runs_lack_is_told_once(study):
    first, second = (with_states(study, "running", name=name) for name in ("first", "second"))
    (told,) = notices(of_runs(study, first, second))
    assert "of first is" in told


@pytest.mark.parametrize(("loops", "words"), [(1, "1 loop"), (2, "2 loops")])
def test_undefined_loops_are_counted_among_finished_trajectories(study, loops, words):
    table = study.table.copy()
    table.loc[table.index[:loops], "mean_dice"] = float("nan")
    (told,) = notices(replace(study, table=table))
    assert told.startswith(f"Mean Dice is undefined in {words}; ")
    assert notices(replace(study, table=table.assign(status="running"))) == []


def test_seeds_are_counted_by_setting_and_strategy_and_finished_ones_alone(study):
    table = study.table.copy()
    table.loc[(table["strategy"] == "random") & (table["seed"] == 2), "status"] = "running"
    (setting,) = study.settings
    assert seed_counts(replace(study, table=table)).to_dict() == {
        (setting, "predictive_entropy"): 3,
        (setting, "random"): 2,
        (setting, "random_fg66"): 3,
    }


def test_nouns_follow_their_number():
    assert [count(n, "member") for n in (0, 1, 2)] == ["0 members", "1 member", "2 members"]
    assert [count(n, "query", "queries") for n in (1, 3)] == ["1 query", "3 queries"]


def without(study, *pairs):
    """The study with some (strategy, seed) not finished."""
    table = study.table.copy()
    for strategy, seed in pairs:
        table.loc[(table["strategy"] == strategy) & (table["seed"] == seed), "status"] = "failed"
    return replace(study, table=table)


def test_seeds_that_all_have_are_not_told(study):
    assert same_seeds(study)
    assert unequal_seeds(study) == ""
    assert over_seeds(study).startswith("Mean ± standard deviation over 3 seeds; n where")


def test_who_lacks_seeds_is_told_with_those_there_are(study):
    lacking = without(study, ("random", 2), ("random_fg66", 0), ("random_fg66", 1))
    assert not same_seeds(lacking)
    assert unequal_seeds(lacking) == (
        "Seeds differ between strategies: random 0, 1 of 0, 1, 2; random_fg66 † 2 of 0, 1, 2."
    )
    assert "over 1 to 3 seeds, each of its own seeds (last column);" in over_seeds(lacking)
    several = replace(lacking, settings={**lacking.settings, "t": "other"})
    assert "random 0, 1 of 0, 1, 2 (phantom" in unequal_seeds(several)


def test_equal_numbers_of_other_seeds_are_not_the_same_seeds(study):
    moved = without(study, ("random", 2), ("random_fg66", 0), ("predictive_entropy", 1))
    assert set(seed_counts(moved)) == {2}
    assert not same_seeds(moved)
    assert "random 0, 1 of 0, 1, 2" in unequal_seeds(moved)


def test_single_trajectories_have_no_deviation(study):
    one = replace(study, table=study.table[study.table["seed"] == 1])
    assert over_seeds(one) == "Values of single trajectories (1 seed)."
    assert over_seeds(replace(study, table=study.table[:0])) == "No trajectory is finished."


def changed_start(study, **changes):
    """The study with the first record of its first trajectory changed."""
    first, *others = study.trajectories
    records = (first.records[0].model_copy(update=changes), *first.records[1:])
    return replace(study, trajectories=(replace(first, records=records), *others))


def test_what_strategies_share_at_loop_0_is_read_from_the_records(study):
    assert start_of(study) == Start(groups=3, apart=0, retrained=0)
    assert start_of(study).same
    assert start_of(changed_start(study, start_hash="f" * 12)) == Start(3, 1, 0)
    assert start_of(changed_start(study, members=("other",))) == Start(3, 0, 1)
    assert not start_of(changed_start(study, members=("other",))).same


def test_what_is_not_finished_shares_nothing(study):
    lacking = without(study, ("random", 0), ("random_fg66", 0))
    assert start_of(lacking) == Start(groups=2, apart=0, retrained=0)
    single = replace(study, table=study.table[study.table["strategy"] == "random"])
    assert start_of(single) == Start(0, 0, 0)
    assert not start_of(single).same


def test_one_strategy_has_nobody_to_meet(study):
    assert alone(study) == ""
    single = replace(study, table=study.table[study.table["strategy"] == "random_fg66"])
    assert alone(single) == "random_fg66 † is the only strategy that has finished trajectories"
    assert alone(replace(study, table=study.table[:0])) == ""


def test_controls_are_those_of_which_something_is_finished(study):
    assert controls_of(study) == ["random_fg66", "random"]
    lacking = without(study, *(("random_fg66", seed) for seed in range(3)))
    assert controls_of(lacking) == ["random"]


def test_long_lists_are_cut():
    assert some(["a", "b"]) == "a; b"
    assert some(list("abcdefghij"), ", ") == "a, b, c, d, e, f, g, h, 2 more"
    assert [listed(range(8)), listed(range(9))] == ["0, 1, 2, 3, 4, 5, 6, 7", "9 seeds"]
