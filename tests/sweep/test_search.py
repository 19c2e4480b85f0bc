"""The search: suggestions follow from what was told, and a stop changes none of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from alsweep.config.load import load_sweep
from alsweep.data.case import Dataset
from alsweep.errors import ConfigError, RunFolderError
from alsweep.layout import best_path, decisions_path, journal_path, trajectory_folder
from alsweep.results.decisions import read_decisions
from alsweep.results.load import load_results
from alsweep.results.metrics import aubc
from alsweep.results.studies import read_trials
from alsweep.sweep import search as searching
from alsweep.sweep.deciding import extended
from alsweep.sweep.job import Job
from alsweep.sweep.missing import unfinished
from alsweep.sweep.plan import Plan, make_plan
from alsweep.sweep.planning import plan_of, stored_plan
from alsweep.sweep.run_folder import check_same_sweep, write_space
from alsweep.sweep.search import searched
from alsweep.sweep.status import read_status
from alsweep.sweep.study_name import study_name
from tests.sweep.conftest import sweep_of
from tests.sweep.fakes import TableWork

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


class Bench:
    """A search with table-lookup trajectories, without Ray."""

    def __init__(self, dataset: Dataset, run: Path, **search: Any) -> None:
        top = {key: search.pop(key) for key in ("seeds", "settings", "resources") if key in search}
        top |= {"grid": search.pop("grid", {})}
        search = {"over": OVER, "configurations": 6} | search
        self.dataset, self.run = dataset, run
        self.sweep = sweep_of(dataset, **top, search=search)
        self.made: list[str] = []

    @property
    def plan(self) -> Plan:
        return make_plan(self.sweep, self.dataset)

    def go(self, at_once: int = 4) -> Job:
        """A driver from its beginning to its end."""
        plan = self.plan
        self.run.mkdir(exist_ok=True)
        check_same_sweep(self.run, plan)
        write_space(self.run, plan)
        monitor = SimpleNamespace(added=lambda more: None)
        job = Job(extended(plan, self.run), self.run, TableWork(self.run), monitor, None)
        self.make(job)
        return searched(job, self.make, at_once)

    def make(self, job: Job) -> None:
        for planned in unfinished(job.run, job.plan):
            self.made.append(planned.id)
            folder = trajectory_folder(job.run, planned.id)
            trajectory = job.work.trajectory(planned.config, folder, lambda progress: None)
            while not trajectory.finished:
                trajectory.step()

    @property
    def trials(self) -> tuple[FrozenTrial, ...]:
        name = study_name(self.plan)
        assert name is not None
        return read_trials(self.run, self.sweep.search.storage, name)


@pytest.fixture
def bench(dataset: Dataset, run: Path) -> Bench:
    return Bench(dataset, run)


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
    bench: Bench,
) -> None:
    bench.go()
    table, names = aubc(load_results(bench.run)), set()
    rows = load_results(bench.run)
    for trial in complete(bench):
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
    assert len(table) == len({i for t in bench.trials for i in t.user_attrs["trajectories"]})
    assert len(complete(bench)) == 6
    assert all(trial.state.is_finished() for trial in bench.trials)
    assert {d.by for d in read_decisions(bench.run)} == {"search"}
    numbers = {f"trial {trial.number}" for trial in bench.trials}
    assert {d.why for d in read_decisions(bench.run)} == numbers


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
    bench: Bench,
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench.go()
    other = Bench(dataset, tmp_path / "other")
    with monkeypatch.context() as patch:
        stop_at(patch, *_STOPS[where])
        with pytest.raises(Stopped):
            other.go()
    assert any(not trial.state.is_finished() for trial in other.trials)
    other.go()
    assert told(other) == told(bench)
    assert len(other.made) == len(set(other.made)) == len(bench.made)
    assert best_path(other.run).read_text() == best_path(bench.run).read_text()


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
    bench: Bench, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.go()
    other = Bench(dataset, tmp_path / "other")
    with monkeypatch.context() as patch:
        step = optuna.trial.Trial.suggest_categorical
        patch.setattr(optuna.trial.Trial, "suggest_categorical", counted(step, {"here": 0}, 3))
        with pytest.raises(Stopped):
            other.go()
    assert "inference.tta" not in other.trials[-1].params
    other.go()
    assert told(other) == told(bench)


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
        again = [
            one.id
            for cell in searching.cells(stored.sweep, values)
            for config in stored.sweep.of_cell(cell)
            for one in [searching.plan_one(config, cell, bench.dataset)]
        ]
        assert again == trial.user_attrs["trajectories"]


def test_best_yaml_is_the_best_configuration(bench: Bench) -> None:
    bench.go()
    best = max(complete(bench), key=lambda trial: trial.value or 0)
    text = best_path(bench.run).read_text()
    assert text.startswith(f"# Trial {best.number} of the search tiny: aubc {best.value:.6g} (")
    plan = plan_of(load_sweep(best_path(bench.run)), "best.yaml")
    assert list(plan.ids) == best.user_attrs["trajectories"]
    assert plan.sweep.name == "tiny-best"


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
