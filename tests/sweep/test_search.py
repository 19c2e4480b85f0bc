"""The search: suggestions follow from what was told, and a stop changes none of them."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from alsweep.config.caps import CapsConfig
from alsweep.config.load import load_sweep
from alsweep.config.search import PruneConfig
from alsweep.data.case import Dataset
from alsweep.data.phantom import write_phantom
from alsweep.errors import ConfigError, PoolExhaustedError, RunFolderError
from alsweep.layout import best_path, decisions_path, journal_path
from alsweep.results.decisions import read_decisions
from alsweep.results.load import load_results
from alsweep.results.metrics import aubc
from alsweep.results.searched import read_search
from alsweep.results.studies import read_trials
from alsweep.sweep import driver, reruns, schedules
from alsweep.sweep import search as searching
from alsweep.sweep.audience import Listener
from alsweep.sweep.caps import Meter
from alsweep.sweep.deciding import extended
from alsweep.sweep.job import Job
from alsweep.sweep.missing import missing_starts, unfinished
from alsweep.sweep.plan import Plan, Planned, make_plan
from alsweep.sweep.planning import plan_of, stored_plan
from alsweep.sweep.pruning import stages
from alsweep.sweep.remarks import of_run
from alsweep.sweep.retry import Retry
from alsweep.sweep.run_folder import check_same_sweep, write_space
from alsweep.sweep.search import left, searched
from alsweep.sweep.search_outlook import counted as counted_without
from alsweep.sweep.status import read_status
from alsweep.sweep.stops import stops_raise
from alsweep.sweep.study_name import study_name
from alsweep.tracking.base import NullTracker
from tests.sweep import fakes
from tests.sweep.conftest import sweep_of
from tests.sweep.fakes import ERROR, TableWork, plant_fault

OVER: dict[str, Any] = {
    "strategy": [
        {"name": "clasp_pe", "r": "auto", "beta_end": {"low": 10, "high": 1000, "log": True}},
        {"name": "power_bald", "beta": "auto"},
        "predictive_entropy",
    ],
    "inference.tta": {"choices": [False, True]},
}


class Stopped(BaseException):
    """As a kill is: nothing that follows is done."""


BASE = {
    "query": {"patches": 6, "loops": 3, "patch_size": [8, 8, 8]},
    "training": {"members": 2, "patch_size": [32, 32, 32], "batch_size": 2},
}
"""Written out, since Dice is looked up by what a trajectory is, and decides what is suggested."""


class Bench:
    """A search with table-lookup trajectories, without Ray."""

    def __init__(self, dataset: Dataset, run: Path, **search: Any) -> None:
        own = ("seeds", "settings", "resources", "report", "plugins")
        top = {key: search.pop(key) for key in own if key in search}
        top |= {"grid": search.pop("grid", {})}
        search = {"over": OVER, "configurations": 6} | search
        self.dataset, self.run = dataset, run
        others = [
            Dataset.open(one["dataset"]) for one in top.get("settings", ()) if "dataset" in one
        ]
        self.datasets = {one.path: one for one in (dataset, *others)}
        self.sweep = sweep_of(dataset, **top, base=BASE, search=search)
        self.made: list[str] = []

    @property
    def plan(self) -> Plan:
        return make_plan(self.sweep, self.datasets)

    def begun(self, meter: Meter | None = None) -> Job:
        """A driver at its beginning."""
        plan = self.plan
        self.run.mkdir(exist_ok=True)
        check_same_sweep(self.run, plan)
        write_space(self.run, plan)
        work, tracker = TableWork(self.run), NullTracker()
        extended_ = extended(plan, self.run)
        return Job(extended_, self.run, work, Listener(), tracker, meter=meter or Meter())

    def go(self, at_once: int = 4) -> Job:
        """A driver from its beginning to its end, without Ray."""
        job = self.begun()
        self.make(job)
        return searched(job, self.make, at_once)

    def make(self, job: Job) -> None:
        for planned in unfinished(job.run, job.plan):
            if planned.id not in job.errors and not job.capped():
                self.made.append(planned.id)
                self._take_to_its_end(job, planned)

    def _take_to_its_end(self, job: Job, planned: Planned) -> None:
        trajectory = job.work.trajectory(planned.config, job.folder(planned), lambda _: None)
        while not trajectory.finished and not job.capped():
            try:
                job.count(planned, [trajectory.step()])
            except PoolExhaustedError as error:
                job.fail(planned, str(error))
                return

    def drive(self, monkeypatch: pytest.MonkeyPatch, meter: Meter | None = None, **how: Any) -> Any:
        """The same as the command line has it, but for Ray itself; with the starts asked for."""
        starts: list[str] = []

        def prepare(job: Job) -> set[str]:
            starts.extend(start.key for start in missing_starts(job.run, job.plan))
            return set()

        def run_trajectories(job: Job, excluded: set[str], until: int | None = None) -> None:
            assert excluded == job.errors.keys()
            self.make(job)

        monkeypatch.setattr(driver, "ray_session", lambda *_: nullcontext())
        monkeypatch.setattr(schedules, "prepare_starts", prepare)
        monkeypatch.setattr(schedules, "run_trajectories", run_trajectories)
        monkeypatch.setattr(searching, "workers_at_once", lambda resources: 4)
        outcome = driver.make_missing(self.begun(meter), **how)
        assert len(starts) == len(set(starts))
        return outcome

    @property
    def trials(self) -> tuple[FrozenTrial, ...]:
        name = study_name(self.plan)
        assert name is not None
        return read_trials(self.run, self.sweep.search.storage, name)


@pytest.fixture
def bench(dataset: Dataset, run: Path) -> Bench:
    return Bench(dataset, run)


@pytest.fixture(scope="module")
def calm(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A search that nobody disturbed; read only."""
    bench = Bench(dataset, tmp_path_factory.mktemp("calm") / "run")
    bench.go()
    return bench


def params(bench: Bench) -> list[dict[str, Any]]:
    return [trial.params for trial in bench.trials]


def complete(bench: Bench) -> list[FrozenTrial]:
    """Without those of which a Dice is undefined, as one of a hundred of the table's is."""
    return [trial for trial in bench.trials if trial.state == TrialState.COMPLETE]


def told(bench: Bench) -> list[tuple[Any, ...]]:
    """All that a study holds but times."""
    return [
        (t.number, t.state, t.params, t.values, t.user_attrs, t.constraints) for t in bench.trials
    ]


def test_a_value_is_the_mean_over_seeds_and_names_of_parameters_are_one_strategys(
    calm: Bench,
) -> None:
    table, names = aubc(load_results(calm.run)), set()
    rows = load_results(calm.run)
    for trial in complete(calm):
        ids = trial.user_attrs["trajectories"]
        mine = rows[rows["trajectory"].isin(ids)]
        values = aubc(mine)["aubc"]
        assert len(values) == 2
        assert trial.value == pytest.approx(values.mean())
        assert trial.user_attrs["standard_error"] == pytest.approx(values.std(ddof=1) / 2**0.5)
        assert trial.user_attrs["seeds"] == [0, 1]
        own = {p for p in trial.params if p not in ("strategy", "inference.tta")}
        expected = {
            "clasp_pe": {"clasp_pe.r", "clasp_pe.beta_end"},
            "power_bald": {"power_bald.beta"},
            "predictive_entropy": set(),
        }
        assert own == expected[trial.params["strategy"]]
        names |= own
    assert len(names) == 3
    assert len(table) == len({i for t in calm.trials for i in t.user_attrs["trajectories"]})
    assert len(complete(calm)) == 6
    assert all(trial.state.is_finished() for trial in calm.trials)
    assert {d.by for d in read_decisions(calm.run)} == {"search"}
    numbers = {f"trial {trial.number}" for trial in calm.trials}
    assert {d.why for d in read_decisions(calm.run)} == numbers


def test_what_is_suggested_stands_in_the_trajectories_and_labels_tell_them_apart(
    bench: Bench,
) -> None:
    job = bench.go()
    by_id = {one.id: one.config for one in job.plan.trajectories}
    labels: dict[str, set[str]] = {}
    for trial in bench.trials:
        for id_ in trial.user_attrs["trajectories"]:
            strategy = by_id[id_].strategy
            labels.setdefault(strategy.shown, set()).add(str(strategy.parameters))
            if "power_bald.beta" in trial.params:
                meant = trial.params["power_bald.beta"]
                assert strategy.parameters["beta"] == pytest.approx(meant, rel=1e-3)
    assert all(len(parameters) == 1 for parameters in labels.values())
    assert set(read_status(bench.run).counts.values()) == {len(by_id), 0}


def test_the_same_search_suggests_the_same_in_any_process(
    bench: Bench, dataset: Dataset, tmp_path: Path
) -> None:
    # More than TPE's ten random ones, so that what was told decides.
    bench.sweep = Bench(dataset, bench.run, configurations=14, seeds=[0]).sweep
    bench.go(at_once=2)
    other = Bench(dataset, tmp_path / "other", configurations=14, seeds=[0])
    script = (
        "import sys; from pathlib import Path; from tests.sweep.test_search import *\n"
        "Bench(Dataset.open(Path(sys.argv[1])), Path(sys.argv[2]), configurations=14, seeds=[0])"
        ".go(at_once=2)"
    )
    subprocess.run(
        [sys.executable, "-c", script, str(dataset.path), str(other.run)],
        check=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONHASHSEED": "77"},
    )
    assert told(other) == told(bench)
    assert decisions_path(other.run).read_bytes() == decisions_path(bench.run).read_bytes()
    third = Bench(dataset, tmp_path / "third", configurations=14, seeds=[0], seed=1)
    third.go(at_once=2)
    assert params(third) != params(bench)


_STOPS = {
    "asked": ("_decided", 0),
    "decided": ("run", 0),
    "half a batch asked": ("ask", 1),
    "made": ("_tell", 0),
    "half a batch told": ("_tell", 1),
}


@pytest.mark.parametrize("where", _STOPS)
def test_a_stop_changes_no_suggestion_and_no_number(
    where: str,
    calm: Bench,
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = Bench(dataset, tmp_path / "other")
    with monkeypatch.context() as patch:
        stop_at(patch, *_STOPS[where])
        with pytest.raises(Stopped):
            other.go()
    assert any(not trial.state.is_finished() for trial in other.trials)
    other.go()
    assert told(other) == told(calm)
    assert len(other.made) == len(set(other.made)) == len(calm.made)
    assert best_path(other.run).read_text() == best_path(calm.run).read_text()


def stop_at(patch: pytest.MonkeyPatch, name: str, after: int) -> None:
    """Stop in the second batch, where a step is begun for the time after so many."""
    calls = {"made": 0, "here": 0}
    if name == "run":
        patch.setattr(Bench, "make", counted(Bench.make, calls, 2))
    elif name == "ask":
        patch.setattr(optuna.Study, "ask", counted(optuna.Study.ask, calls, 2 + after))
    else:
        step = getattr(searching._Search, name)
        patch.setattr(searching._Search, name, counted(step, calls, 2 + after))


def counted(step: Any, calls: dict[str, int], allowed: int) -> Any:
    def stopping(*args: Any, **named: Any) -> Any:
        calls["here"] += 1
        if calls["here"] > allowed:
            raise Stopped
        return step(*args, **named)

    return stopping


def test_a_stop_between_two_parameters_is_made_up_for(
    calm: Bench, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Bench(dataset, tmp_path / "other")
    with monkeypatch.context() as patch:
        step = optuna.trial.Trial.suggest_categorical
        patch.setattr(optuna.trial.Trial, "suggest_categorical", counted(step, {"here": 0}, 3))
        with pytest.raises(Stopped):
            other.go()
    assert "inference.tta" not in other.trials[-1].params
    other.go()
    assert told(other) == told(calm)


def test_a_signal_waits_until_the_study_is_written(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.sweep = Bench(bench.dataset, bench.run, configurations=2).sweep
    calls, lock = {"here": 0}, os.symlink

    def symlink(*args: Any) -> None:
        # Whoever is interrupted here has Optuna give back what it has not taken.
        calls["here"] += 1
        if calls["here"] == 9:
            os.kill(os.getpid(), signal.SIGTERM)
        lock(*args)

    monkeypatch.setattr(os, "symlink", symlink)
    with stops_raise(), pytest.raises(KeyboardInterrupt):
        bench.go()
    assert not list(journal_path(bench.run).parent.glob("*.lock*"))
    assert calls["here"] == 9
    assert journal_path(bench.run).read_bytes().count(b"\n") >= 9
    bench.go()
    assert len(complete(bench)) == 2


def test_what_is_there_already_costs_nothing_also_where_a_grid_has_made_it(
    dataset: Dataset, run: Path
) -> None:
    over = {"strategy": ["random", "predictive_entropy"]}
    bench = Bench(dataset, run, over=over, configurations=7, grid={"strategy": ["random"]})
    job = bench.go()
    assert len(bench.made) == len(set(bench.made)) == 4
    assert len(bench.trials) == 7
    assert {t.state for t in bench.trials} == {TrialState.COMPLETE}
    assert len({t.value for t in bench.trials}) == 2
    assert [one.cell is None for one in job.plan.trajectories] == [False] * 2 + [True] * 2
    actions = Counter(one.action for one in read_decisions(run))
    assert actions == {"added": 2, "suggested": 12}


def test_a_lost_memory_is_made_anew_from_the_records(bench: Bench) -> None:
    bench.go()
    before, made = told(bench), len(bench.made)
    journal_path(bench.run).unlink()
    bench.go()
    assert told(bench) == before
    assert len(bench.made) == made


def test_a_journal_that_a_crash_tore_and_held_goes_on(bench: Bench, dataset: Dataset) -> None:
    bench.go()
    before = told(bench)
    with journal_path(bench.run).open("ab") as journal:
        journal.write(b'{"op_code":4,"work')
    Path(f"{journal_path(bench.run)}.lock").symlink_to(journal_path(bench.run))
    bench.sweep = Bench(dataset, bench.run, configurations=7).sweep
    bench.go()
    assert told(bench)[: len(before)] == before
    assert len(complete(bench)) == 7


def test_a_resumed_search_is_the_stored_one(bench: Bench) -> None:
    bench.go(at_once=2)
    name = study_name(bench.plan)
    stored = stored_plan(bench.run)
    assert study_name(stored) == name
    assert [one.id for one in stored.examples] == [one.id for one in bench.plan.examples]
    for trial in bench.trials:
        values = trial.user_attrs["configuration"]
        blocks = searching.Blocks.of(bench.begun())
        again = [one.id for one in blocks.planned(values, stored.sweep.seeds)]
        assert again == trial.user_attrs["trajectories"]


def test_best_yaml_is_the_best_configuration(calm: Bench) -> None:
    best = max(complete(calm), key=lambda trial: trial.value or 0)
    text = best_path(calm.run).read_text()
    assert text.startswith(f"# Trial {best.number} of the search tiny: aubc {best.value:.6g} (")
    plan = plan_of(load_sweep(best_path(calm.run)), "best.yaml")
    assert list(plan.ids) == best.user_attrs["trajectories"]
    assert plan.sweep.name == "tiny-best"


def test_the_best_are_confirmed_on_fresh_seeds(
    bench: Bench, dataset: Dataset, tmp_path: Path
) -> None:
    bench.go()
    before, made = told(bench), len(bench.made)
    bench.sweep = Bench(dataset, bench.run, confirm_seeds=[7, 8, 9]).sweep
    assert left(bench.begun()) == 3
    bench.go()
    assert told(bench) == before
    assert len(bench.made) == made + 9
    found = read_search(bench.run)
    assert found is not None
    assert [one.number for one in found.finalists()] == [one.number for one in found.ranked()[:3]]
    rows = load_results(bench.run)
    for one in found.finalists():
        why, again = f"confirms trial {one.number}", found.confirmation(one.number)
        ids = [d.trajectory for d in read_decisions(bench.run) if d.why == why]
        fresh = aubc(rows[rows["trajectory"].isin(ids)])
        assert again is not None
        assert sorted(fresh["seed"]) == [7, 8, 9]
        assert again.values == pytest.approx((fresh["aubc"].mean(),))
        assert again.errors == pytest.approx((fresh["aubc"].std() / 3**0.5,))
    best = found.best()
    assert best is not None
    values = {one.number: one.values[0] for one in found.confirmed}
    assert best.number == max(values, key=lambda number: values[number])
    text = best_path(bench.run).read_text()
    assert f"# On fresh seeds, 7, 8, 9: aubc {values[best.number]:.6g} (standard" in text
    assert text.startswith(f"# Trial {best.number} of the search tiny: aubc {best.values[0]:.6g}")
    assert left(bench.begun()) == 0


@pytest.mark.parametrize("where", ["run_best_again", "make", "_note"])
def test_a_stop_while_the_best_are_confirmed_changes_nothing(
    where: str, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how: dict[str, Any] = {"confirm_seeds": [7, 8], "configurations": 4}
    calm, other = (Bench(dataset, tmp_path / name, **how) for name in ("calm", "other"))
    calm.go()
    with monkeypatch.context() as patch:
        if where == "make":
            # The third batch; the first is what the grid lacks.
            patch.setattr(Bench, "make", counted(Bench.make, {"here": 0}, 3))
        else:
            home = searching if where == "run_best_again" else reruns
            step = getattr(home, where)
            patch.setattr(home, where, counted(step, {"here": 0}, int(where == "_note")))
        with pytest.raises(Stopped):
            other.go()
    assert left(other.begun()) == (2 if where == "_note" else 3)
    other.go()
    assert told(other) == told(calm)
    assert len(other.made) == len(set(other.made)) == len(calm.made)
    assert best_path(other.run).read_text() == best_path(calm.run).read_text()


def test_a_cap_leaves_the_confirmation_to_the_next_run(
    dataset: Dataset, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(dataset, run, configurations=2, confirm_seeds=[5], seeds=[0])
    over = bench.drive(monkeypatch, Meter(CapsConfig(gpu_hours=13 / 3600)))
    assert (over.stopped, over.failed) == ("caps.gpu_hours", {})
    assert len(complete(bench)) == 2
    assert over.configurations == 2
    found = read_status(run).search
    assert found is not None
    assert (str(found), found.over) == ("search: 2 of 2 configurations told, 2 to confirm", False)
    assert bench.drive(monkeypatch).stopped is None
    found = read_status(run).search
    assert found is not None
    assert found.over


def test_the_best_third_is_run_again_at_the_high_rung(dataset: Dataset, run: Path) -> None:
    fidelity = {"training.epochs": [2, 8]}
    bench = Bench(dataset, run, fidelity=fidelity, confirm_seeds=[7, 8], configurations=7)
    lines = counted_without(bench.plan.sweep, [o.config for o in bench.plan.examples]).lines()
    assert "search: then the best third again, 3 at most, at training.epochs=8: 6 traj" in lines[1]
    job = bench.go()
    found = read_search(run)
    assert found is not None
    third = found.ranked()[: -(-len(found.ranked()) // 3)]
    assert sorted(one.number for one in found.promoted) == sorted(one.number for one in third)
    by_id, rows = {one.id: one.config for one in job.plan.trajectories}, load_results(run)
    for trial in complete(bench):
        assert {by_id[id_].training.epochs for id_ in trial.user_attrs["trajectories"]} == {2}
        assert "training.epochs" not in trial.user_attrs["configuration"]
    for again in found.promoted:
        why = f"promotes trial {again.number}"
        ids = [d.trajectory for d in read_decisions(run) if d.why == why]
        assert {by_id[id_].training.epochs for id_ in ids} == {8}
        values = aubc(rows[rows["trajectory"].isin(ids)])["aubc"]
        assert again.values == pytest.approx((values.mean(),))
    best, high = found.best(), {one.number: one.values[0] for one in found.promoted}
    assert best is not None
    assert {one.number for one in found.confirmed} <= high.keys()
    text = best_path(run).read_text()
    assert text.startswith(
        f"# Trial {best.number} of the search tiny: aubc {high[best.number]:.6g} (standard"
    )
    assert f"# At training.epochs=2 it gave aubc {best.values[0]:.6g} (" in text
    stored = load_sweep(best_path(run))
    assert stored.base["training"]["epochs"] == 8
    assert left(bench.begun()) == 0
    changed = Bench(dataset, run, fidelity={"training.epochs": [3, 8]}, configurations=7)
    with pytest.raises(RunFolderError, match=r"search\.fidelity changed"):
        changed.go()


def test_a_dry_run_counts_what_confirms(dataset: Dataset, run: Path) -> None:
    plan = Bench(dataset, run, confirm_seeds=[5, 6, 7], configurations=4).plan
    found = counted_without(plan.sweep, [one.config for one in plan.examples])
    assert found.plain()["confirmed"] == {
        "configurations": 3,
        "trajectories": 9,
        "loops": {"low": 27, "high": 27},
    }
    assert found.lines()[1] == (
        "search: then the best 3 again, on 3 fresh seeds: 9 trajectories, 27 loops"
    )


def test_what_confirms_must_be_fresh(dataset: Dataset, run: Path) -> None:
    with pytest.raises(ConfigError, match=r"search\.confirm_seeds: 1 is one of seeds"):
        Bench(dataset, run, confirm_seeds=[7, 1])
    with pytest.raises(ConfigError, match=r"confirm_seeds: a seed is written twice"):
        Bench(dataset, run, confirm_seeds=[7, 7])


PLACED: dict[str, Any] = {
    "over": {
        "strategy": [
            {"name": "power_bald", "label": label, "beta": 1 + seed}
            for seed, label in enumerate(["at80", *(f"at{n}" for n in range(50, 60))])
        ]
    },
    "seeds": [0, 1, 2, 3, 4],
    "prune": True,
    "configurations": 5,
}


def placed(dataset: Dataset, run: Path, **changes: Any) -> Bench:
    """A search of which one configuration is far better than the others."""
    return Bench(dataset, run, **(PLACED | changes))


def test_what_is_worse_on_its_seeds_is_given_up(
    dataset: Dataset, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = placed(dataset, run)
    outcome = bench.drive(monkeypatch)
    assert (outcome.left, outcome.failed) == (0, {})
    assert len(complete(bench)) == 5
    pruned = [trial for trial in bench.trials if trial.state == TrialState.PRUNED]
    assert pruned
    stopped = {d.trajectory for d in read_decisions(run) if d.action == "stopped"}
    for trial in pruned:
        assert trial.value is None
        better = bench.trials[trial.user_attrs["pruned"]["trial"]]
        assert better.params["strategy"] > trial.params["strategy"]
        assert trial.user_attrs["pruned"]["seeds"] == 4
        assert set(trial.user_attrs["trajectories"][4:]) <= stopped
    assert not stopped & set(bench.made)
    assert {d.by for d in read_decisions(run)} == {"search"}
    status = read_status(run)
    assert status.search is not None
    assert f"5 of 5 configurations told, {len(pruned)} given up" in str(status.search)
    assert status.over
    assert {one.state for one in status.trajectories} == {"done", "truncated"}
    made = len(bench.made)
    bench.drive(monkeypatch)
    assert len(bench.made) == made


def test_a_stop_while_seeds_are_looked_at_repeats_the_decisions(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm, other = (placed(dataset, tmp_path / name) for name in ("calm", "other"))
    calm.drive(monkeypatch)
    for home, name, allowed in ((Bench, "make", 4), (searching._Search, "_prune", 0)):
        with monkeypatch.context() as patch:
            patch.setattr(home, name, counted(getattr(home, name), {"here": 0}, allowed))
            with pytest.raises(Stopped):
                other.drive(monkeypatch)
    other.drive(monkeypatch)
    assert told(other) == told(calm)
    assert decisions_path(other.run).read_bytes() == decisions_path(calm.run).read_bytes()
    assert sorted(other.made) == sorted(calm.made)


def test_what_was_given_up_goes_on_where_it_is_not_worse_any_more(
    dataset: Dataset, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = placed(dataset, run)
    bench.drive(monkeypatch)
    blocks = searching.Blocks.of(bench.begun())
    stopped = [one for one in blocks.job.plan.trajectories if one.id in blocks.job.plan.stopped]
    blocks.let_go_on(stopped)
    assert not blocks.job.plan.stopped
    assert not extended(bench.plan, run).stopped
    assert {d.action for d in read_decisions(run)[-len(stopped) :]} == {"overruled"}


def test_a_search_of_which_all_is_given_up_ends(
    dataset: Dataset, run: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(searching, "_MOST_PRUNED", 4)
    monkeypatch.setattr(searching.Looks, "reject", lambda *_: True)
    bench = placed(dataset, run)
    bench.drive(monkeypatch)
    assert [trial.state for trial in bench.trials] == [TrialState.PRUNED] * 4
    assert "ends with 0 of 5 configurations, since the last 4 were given up" in caplog.text


def test_with_few_seeds_nothing_can_be_given_up(dataset: Dataset, run: Path) -> None:
    few = placed(dataset, run, seeds=[0, 1, 2, 3]).plan
    (told,) = [text for text in of_run(run, few) if "search.prune" in text]
    assert told.startswith(
        "warning: search.prune: needs 5 seeds or more at p_threshold 0.1: with 4"
    )
    enough = placed(dataset, run).plan
    assert not [text for text in of_run(run, enough) if "search.prune" in text]
    assert stages([0, 1, 2, 3], PruneConfig()) == [(0, 1, 2, 3)]
    assert stages([0, 1, 2, 3, 4, 5], PruneConfig()) == [(0, 1, 2, 3), (4,), (5,)]
    found = counted_without(enough.sweep, [one.config for one in enough.examples])
    assert found.lines()[1].startswith("search: of a configuration 4 seeds are run at once, the")


def test_a_search_ends_once_the_best_rises_no_more_and_stays_ended(
    dataset: Dataset, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(dataset, run, configurations=20, stop={"patience": 2})
    with monkeypatch.context() as patch:
        patch.setattr(searching.Searcher, "note", counted(searching.Searcher.note, {"here": 0}, 0))
        with pytest.raises(Stopped):
            bench.go()
    before = told(bench)
    assert left(bench.begun()) > 0
    bench.go()
    assert told(bench) == before
    assert 12 <= len(complete(bench)) < 20
    assert left(bench.begun()) == 0
    found = read_search(run)
    assert found is not None
    assert found.stopped == len(found.tried)
    status = read_status(run).search
    assert status is not None
    assert status.over
    assert str(status).endswith("of 20 configurations told, ended since the best rises no more")
    bench.sweep = Bench(dataset, run, configurations=20).sweep
    assert left(bench.begun()) == 20 - len(complete(bench))
    with pytest.raises(ConfigError, match=r"search\.stop: needs two seeds or more"):
        Bench(dataset, run, stop=True, seeds=[0])


def test_a_changed_choice_is_refused_with_the_mend(bench: Bench, dataset: Dataset) -> None:
    bench.go()
    other = {**OVER, "inference.tta": {"choices": [True, False]}}
    with pytest.raises(RunFolderError, match=r"search\.over\.inference\.tta changed .*--out"):
        Bench(dataset, bench.run, over=other).go()
    with pytest.raises(RunFolderError, match=r"seeds or base changed"):
        Bench(dataset, bench.run, seeds=[0, 1, 2]).go()


def test_several_objectives_and_constraints(dataset: Dataset, run: Path) -> None:
    bench = Bench(
        dataset,
        run,
        objectives={"final_dice": "max", "train_seconds": "min"},
        constraints={"train_seconds": 7},
    )
    bench.go()
    for trial in complete(bench):
        assert trial.values[1] == 3.0
        assert trial.constraints == {"train_seconds": 2 * 3.0 - 7}
        assert [type(error) for error in trial.user_attrs["standard_error"]] == [float, float]
    tight = Bench(dataset, run.with_name("tight"), constraints={"train_seconds": 5})
    tight.go()
    assert not best_path(tight.run).exists()


def test_settings_are_crossed_with_what_is_searched(dataset: Dataset, run: Path) -> None:
    settings = [{"name": "few", "query.patches": 6}, {"name": "many", "query.patches": 7}]
    bench = Bench(dataset, run, settings=settings, configurations=3)
    job = bench.go()
    by_id = {one.id: one.config for one in job.plan.trajectories}
    for trial in bench.trials:
        block = [by_id[id_] for id_ in trial.user_attrs["trajectories"]]
        assert [(c.query.patches, c.seed) for c in block] == [(6, 0), (6, 1), (7, 0), (7, 1)]


def test_over_several_datasets_a_value_is_the_mean_over_settings_of_means_over_seeds(
    dataset: Dataset, run: Path, tmp_path: Path
) -> None:
    other = write_phantom(tmp_path / "other", cases=4, shape=(24, 24, 24), seed=1)
    there = {"name": "there", "dataset": str(other.path), "query.patches": 7}
    settings = [{"name": "here"}, there]
    bench = Bench(dataset, run, settings=settings, configurations=2)
    bench.go()
    assert read_status(run).counts["done"] == len(bench.made)
    assert read_status(run).search is not None
    before = told(bench)
    bench.sweep = Bench(dataset, run, settings=settings, configurations=3).sweep
    job = bench.go()
    assert told(bench)[: len(before)] == before
    assert len(complete(bench)) == 3
    prints = [one.fingerprint for one in (dataset, other)]
    on = {one.id: one.dataset_fingerprint for one in job.plan.trajectories}
    rows = load_results(run)
    for trial in complete(bench):
        block = trial.user_attrs["trajectories"]
        assert [on[id_] for id_ in block] == [print_ for print_ in prints for _ in range(2)]
        values = aubc(rows[rows["trajectory"].isin(block)])
        means = values.groupby("setting")["aubc"].mean()
        assert len(means) == 2
        assert trial.value == pytest.approx(means.mean())
        each = values.groupby("seed")["aubc"].mean()
        assert trial.user_attrs["standard_error"] == pytest.approx(each.std() / 2**0.5)


def test_a_cap_ends_a_search_between_loops_and_a_resume_suggests_the_same(
    calm: Bench, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Bench(dataset, tmp_path / "other")
    # Six seconds are a trajectory and a bit; a batch is two configurations of two.
    capped = Meter(CapsConfig(gpu_hours=34 / 3600))
    outcome = other.drive(monkeypatch, capped)
    assert (outcome.stopped, outcome.failed) == ("caps.gpu_hours", {})
    states = Counter(trial.state for trial in other.trials)
    assert outcome.configurations == 6 - states[TrialState.COMPLETE] > 0
    assert states[TrialState.RUNNING]
    assert outcome.left
    status = read_status(other.run)
    assert status.search is not None
    assert (status.search.told, status.over) == (states[TrialState.COMPLETE], False)
    assert str(status.search).startswith(f"search: {status.search.told} of 6 configurations told, ")
    assert status.seconds_left is None
    done = other.drive(monkeypatch)
    assert (done.stopped, done.left, done.configurations) == (None, 0, 0)
    assert told(other) == told(calm)
    over = read_status(other.run)
    assert over.over
    assert over.seconds_left == 0
    asked = len(other.made)
    assert other.drive(monkeypatch).done == len(calm.made)
    assert len(other.made) == asked


def test_what_failed_is_asked_anew_once_it_is_there_unless_it_is_not_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(self: TableWork, config: Any, folder: Path, heard: Any) -> Any:
        plant_fault(folder, ERROR, 0)
        return step(self, config, folder, heard)

    step = TableWork.trajectory
    monkeypatch.setattr(TableWork, "trajectory", fault)
    outcome = bench.drive(monkeypatch)
    assert not outcome.done
    failed = bench.trials
    assert {trial.state for trial in failed} == {TrialState.FAIL}
    assert "the pool is empty" in failed[0].user_attrs["error"]
    monkeypatch.setattr(TableWork, "trajectory", step)
    bench.sweep = Bench(bench.dataset, bench.run, configurations=8).sweep
    bench.drive(monkeypatch, Meter(CapsConfig(gpu_hours=5 / 3600)), retry=Retry.none)
    assert len(bench.made) == len(set(bench.made))
    bench.drive(monkeypatch)
    trials = bench.trials
    anew = {t.user_attrs["asked_anew"]: t for t in trials if "asked_anew" in t.user_attrs}
    assert anew
    for number, trial in anew.items():
        assert trial.state.is_finished()
        assert trial.params == failed[number].params
        assert trial.user_attrs["trajectories"] == failed[number].user_attrs["trajectories"]
    assert len(complete(bench)) == 8
    assert all(trial.state.is_finished() for trial in trials)


def test_several_at_once_are_told_in_order_and_a_resume_with_other_workers_goes_on(
    dataset: Dataset, run: Path
) -> None:
    bench = Bench(dataset, run, seeds=[0], configurations=5)
    bench.go(at_once=3)
    before = told(bench)
    in_time = sorted(bench.trials, key=lambda trial: trial.datetime_complete)
    assert [trial.number for trial in in_time] == list(range(len(before)))
    bench.sweep = Bench(dataset, run, seeds=[0], configurations=7).sweep
    bench.go(at_once=1)
    assert told(bench)[: len(before)] == before
    assert len(complete(bench)) == 7


def test_loops_that_lie_in_the_folder_are_not_made_again(dataset: Dataset, run: Path) -> None:
    left = Bench(dataset, run, grid={"strategy": ["random"]}, configurations=1)
    left.sweep = left.sweep.model_copy(update={"search": None})
    write_space(run, left.plan)
    left.make(left.begun())
    over = {"strategy": ["random"], "query.loops": {"choices": [3]}}
    bench = Bench(dataset, run, over=over, configurations=1)
    job = bench.go()
    assert bench.made == []
    assert len(complete(bench)) == 1
    assert job.meter._seconds == pytest.approx(2 * 3 * 1.75)


def test_loops_of_a_longer_trajectory_are_taken_over(
    dataset: Dataset, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def named(config: Any, loop: int) -> Any:
        setting = config.setting_hash(dataset.fingerprint)[:6]
        return record(config, loop).model_copy(update={"setting": setting})

    record = fakes.table_record
    monkeypatch.setattr(fakes, "table_record", named)
    over = {"strategy": ["random"], "query.loops": {"choices": [2]}}
    bench = Bench(dataset, run, grid={"strategy": ["random"]}, over=over, configurations=1)
    assert [one.config.query.loops for one in bench.go().plan.trajectories] == [3, 3, 2, 2]
    assert len(bench.made) == 2
    assert len(complete(bench)) == 1


def test_a_status_says_that_the_storage_does_not_answer(dataset: Dataset, run: Path) -> None:
    bench = Bench(dataset, run, storage="postgresql://me:secret@127.0.0.1:9/studies")
    write_space(run, bench.plan)
    found = read_status(run).search
    assert found is not None
    assert str(found).startswith("search: 6 configurations; search.storage: nobody answers at 127")
    assert (found.told, found.over) == (None, False)


def test_fg_eff_needs_references(dataset: Dataset, run: Path) -> None:
    from alsweep.sweep.fulldata import references, refuse_search_without_references

    bench = Bench(dataset, run, objectives={"fg_eff": "max"}, configurations=2)
    with pytest.raises(ConfigError, match=r"fg_eff: needs full-data references.*fulldata"):
        refuse_search_without_references(run, bench.plan)
    wanted = references(bench.plan)
    assert [one.example.config.seed for one in wanted] == [0, 1]
    for one in wanted:
        TableWork(run).full_data(one.example.config, lambda progress: None)
    refuse_search_without_references(run, bench.plan)
    varied = Bench(
        dataset, run, over={"training.epochs": {"low": 1, "high": 3}}, objectives={"fg_eff": "max"}
    )
    with pytest.raises(ConfigError, match=r"search\.over\.training\.epochs changes"):
        refuse_search_without_references(run, varied.plan)


def test_a_search_that_always_fails_ends(
    bench: Bench,
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(self: Bench, job: Job) -> None:
        self.made += [one.id for one in unfinished(job.run, job.plan)]
        job.errors.update(dict.fromkeys(self.made, "no room"))

    monkeypatch.setattr(Bench, "make", fail)
    job = bench.go(at_once=2)
    assert {trial.state for trial in bench.trials} == {TrialState.FAIL}
    assert bench.trials[0].user_attrs["error"].endswith(": no room")
    assert len(job.plan.trajectories) == 2 * 5
    assert "the search ends with 0 of 6 configurations" in caplog.text
    one = Bench(dataset, tmp_path / "one", over={"strategy": ["random"]})
    one.go(at_once=2)
    assert len(one.trials) == 25
    assert len(one.made) == 2


def test_a_database_that_is_lost_on_the_way_is_said_and_loses_nothing(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "studies.db"
    bench = Bench(dataset, tmp_path / "run", storage=f"sqlite:///{file}", configurations=3)
    make, calls = bench.make, {"here": 0}

    def losing(job: Job) -> None:
        make(job)
        calls["here"] += 1
        if calls["here"] == 2:
            with closing(sqlite3.connect(file)) as other, other:
                other.execute("ALTER TABLE trials RENAME TO gone")

    monkeypatch.setattr(bench, "make", losing)
    with pytest.raises(ConfigError, match=r"search\.storage: sqlite:.*: no such table.*resume the"):
        bench.drive(monkeypatch)
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("ALTER TABLE gone RENAME TO trials")
    bench.drive(monkeypatch)
    assert len(complete(bench)) == 3
    assert len(bench.made) == len(set(bench.made))


def test_another_runs_study_in_a_database_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    first = Bench(dataset, tmp_path / "first", storage=url, configurations=2)
    first.go()
    assert len(first.trials) == 2
    assert not journal_path(first.run).exists()
    with pytest.raises(ConfigError, match=r"search\.storage: its study 'tiny-.*another run"):
        Bench(dataset, tmp_path / "second", storage=url, configurations=2).go()
    first.go()
    assert len(first.trials) == 2
