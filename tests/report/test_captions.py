"""What the page says is missing, and of how many."""

from dataclasses import replace

import pytest

from alsweep.report.captions import count, notices, seed_counts


def with_states(study, *states, name="run"):
    """The study's run with the first trajectories in these states; the others are done."""
    (run,) = study.runs
    changed = [
        replace(t, status=status, error="no memory" if status == "failed" else None)
        for t, status in zip(run.trajectories, states, strict=False)
    ]
    trajectories = (*changed, *run.trajectories[len(changed) :])
    return replace(run, name=name, trajectories=trajectories)


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
