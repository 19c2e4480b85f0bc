"""The section on a search: what is best, how far to trust it, and what matters."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest

from alsweep.data.case import Dataset
from alsweep.data.phantom import write_phantom
from alsweep.report.section import Caption, Figures, Material, Tables
from alsweep.report.sections import search as section
from alsweep.report.study import read_study
from alsweep.results.searched import (
    Rerun,
    Searched,
    Tried,
    importances,
    interval,
    read_search,
)
from tests.sweep.test_search import Bench, Stopped, complete, counted


def tried(number: int, *values: float, kept: bool = True, **parameters: Any) -> Tried:
    configuration = parameters or {"strategy": f"s{number}"}
    errors = (0.01,) * len(values)
    return Tried(number, configuration, configuration, values, errors, 3, kept)


def searched(*ones: Tried, **objectives: str) -> Searched:
    return Searched("s", objectives or {"aubc": "max"}, {"gpu_hours": 2.0}, ones, 0, ())


def test_the_best_keeps_the_constraints_and_repeats_count_once() -> None:
    again = tried(4, 0.7, strategy="s0")
    found = searched(tried(0, 0.7), tried(1, 0.9, kept=False), tried(2, 0.6), again)
    assert [one.number for one in found.ranked()] == [0, 2]
    assert [one.number for one in found.distinct] == [0, 1, 2]


def test_costs_are_better_when_small() -> None:
    found = searched(tried(0, 3.0), tried(1, 2.0), tried(2, 4.0), train_seconds="min")
    assert [one.number for one in found.ranked()] == [1, 0, 2]


def test_nobody_on_the_front_is_beaten() -> None:
    ones = (tried(0, 0.7, 5.0), tried(1, 0.8, 9.0), tried(2, 0.7, 6.0), tried(3, 0.5, 5.0))
    found = searched(*ones, aubc="max", train_seconds="min")
    assert [one.number for one in found.front()] == [1, 0]


def test_optimism_is_the_expected_best_of_equals() -> None:
    # The mean of the largest of ten standard normals is 1.539, of one 0.
    ten = searched(*(tried(n, 0.5 + n / 100) for n in range(10)))
    assert ten.optimism() == pytest.approx(0.01539, rel=0.01)
    assert searched(tried(0, 0.5)).optimism() == 0


def test_a_single_configuration_was_not_chosen() -> None:
    assert section._optimism(searched(tried(0, 0.5))) == "There was nothing to choose between."
    assert "too good" in section._optimism(searched(tried(0, 0.5), tried(1, 0.4)))


def test_an_interval_of_dice_ends_where_dice_does() -> None:
    found = searched(tried(0, 0.97), tried(1, 0.4))
    assert "aubc 97.00 %, 95 % interval 92.70 % to 100.00 %" in section._best(found)
    costly = searched(tried(0, 0.01), train_seconds="min")
    assert "95 % interval -0.03303 to 0.05303" in section._best(costly)


def test_the_interval_is_students() -> None:
    low, high = interval(tried(0, 0.5))
    assert (low, high) == pytest.approx((0.5 - 4.303 * 0.01, 0.5 + 4.303 * 0.01), rel=1e-3)


@pytest.mark.parametrize("direction", ["max", "min"])
def test_the_parameter_that_matters_has_the_larger_share(direction: str) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    sign = -1 if direction == "max" else 1

    def cost(trial: optuna.Trial) -> float:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        return sign * ((x - 0.9) ** 2 + 1e-4 * y)

    study.optimize(cost, n_trials=60)
    ones = tuple(tried(t.number, *t.values, **t.params) for t in study.trials)
    name = "aubc" if direction == "max" else "train_seconds"
    found = Searched("s", {name: direction}, {}, ones, 0, tuple(study.trials))
    shares = importances(found)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["x"] > 0.8
    few = Searched("s", {name: direction}, {}, ones[:9], 0, tuple(study.trials[:9]))
    assert importances(few) == {}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("searched")
    return write_phantom(folder / "dataset", cases=4, shape=(24, 24, 24))


@pytest.fixture(scope="module")
def run(dataset: Dataset) -> Path:
    objectives = {"aubc": "max", "train_seconds": "min"}
    place = dataset.path.parent / "run"
    bench = Bench(dataset, place, objectives=objectives, configurations=10)
    bench.go()
    return bench.run


def test_the_section_says_what_is_best_and_that_it_is_too_good(run: Path) -> None:
    material = Material(read_study([run]), {})
    assert section.SECTION.applies(material)
    blocks = list(section.SECTION.blocks(material))
    texts = [block.text for block in blocks if isinstance(block, Caption)]
    (found,) = material.once(section._searches)
    assert isinstance(found, Searched)
    best = found.ranked()[0]
    assert f"is trial {best.number}, strategy={best.parameters['strategy']}" in texts[0]
    assert f"aubc {100 * best.values[0]:.2f} %, 95 % interval" in texts[0]
    assert f"look better by {100 * found.optimism():.2f} %" in texts[1]
    assert "PED-ANOVA" in texts[-1]
    (table,) = [block for block in blocks if isinstance(block, Tables)]
    assert [row[1] for row in table.named[0][1].rows] == [str(o.number) for o in found.front()]
    titles = [title for b in blocks if isinstance(b, Figures) for title, _ in b.panels]
    assert titles[:2] == ["Pareto front", "strategy"]
    slices = [figure for b in blocks[3:] if isinstance(b, Figures) for _, figure in b.panels][1:]
    (ends,) = {tuple(figure["layout"]["yaxis"]["range"]) for figure in slices}
    values = [one.values[0] for one in found.distinct]
    assert ends[0] < min(values) < max(values) < ends[1]
    csv = section.SECTION.files["search.csv"](material)
    assert csv is not None
    assert csv.count(b"\n") == 11


def test_a_report_in_between_says_what_is_unfinished(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(dataset, tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(Bench, "make", counted(Bench.make, {"here": 0}, 2))
        with pytest.raises(Stopped):
            bench.go()
    told = len(complete(bench))
    assert 0 < told < 6
    assert captions(bench)[0].startswith(
        f"The search tiny is not over: {told} of 6 configurations told, 2 under way. What stands"
    )
    assert captions(bench)[1].startswith(f"Best of {told} configurations is trial ")
    bench.go()
    assert captions(bench)[0].startswith("Best of ")


def test_what_is_shown_is_what_was_run_and_no_two_look_alike(
    dataset: Dataset, tmp_path: Path
) -> None:
    narrow = [{"name": "power_bald", "beta": {"low": 999.0, "high": 999.5}}]
    bench = Bench(dataset, tmp_path / "run", over={"strategy": narrow})
    bench.go()
    found = read_search(bench.run)
    assert found is not None
    for one in found.tried:
        assert one.parameters["power_bald.beta"] == one.configuration["strategy"]["beta"]
    rows = section._table(found).rows
    assert len({row[0] for row in rows}) == len(rows) == len(found.distinct) == 6


def captions(bench: Bench) -> list[str]:
    blocks = section.SECTION.blocks(Material(read_study([bench.run]), {}))
    return [block.text for block in blocks if isinstance(block, Caption)]


def test_a_report_before_anything_is_told_says_so(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(dataset, tmp_path / "run")
    monkeypatch.setattr(Bench, "make", counted(Bench.make, {"here": 0}, 1))
    with pytest.raises(Stopped):
        bench.go()
    assert captions(bench) == [
        "The search tiny is not over: 0 of 6 configurations told, 2 under way. What stands here "
        "is of those alone; unless it is at work, alsweep resume goes on with it.",
        "The search tiny has not told of any configuration yet.",
    ]


@pytest.mark.parametrize(("last", "settled"), [(0.509, True), (0.511, False)])
def test_a_search_is_settled_where_the_best_rises_by_no_more_than_its_error(
    last: float, settled: bool
) -> None:
    ones = [tried(n, 0.5 - n / 1000) for n in range(11)]
    found = searched(*ones, tried(11, last))
    assert found.noise() == pytest.approx(0.01)
    assert found.is_settled(2) == settled
    assert not found.is_settled(3)
    repeated = tried(12, 0.4, strategy="s0")
    assert not searched(*ones, repeated).is_settled(2)


def test_what_confirms_stands_beside_what_was_searched() -> None:
    ones = [tried(n, 0.5 + n / 100) for n in range(4)]
    again = tuple(Rerun(n, (0.45 + n % 2 / 10,), (0.02,), (7, 8)) for n in (3, 2, 1))
    found = Searched("s", {"aubc": "max"}, {}, tuple(ones), 0, (), (7, 8), again)
    assert found.best() == ones[1]
    blocks = list(section._of_search(found, several=False))
    texts = [block.text for block in blocks if isinstance(block, Caption)]
    assert "best.yaml" not in texts[1]
    assert texts[2].startswith("On fresh seeds (7, 8) the best is trial 1, strategy=s1: aubc 55.00")
    assert "95 % interval 29.59 % to 80.41 %" in texts[2]
    tables = [block.named[0][1] for block in blocks if isinstance(block, Tables)]
    assert [(row[1], row[3], row[-1]) for row in tables[0].rows] == [
        ("1", "55.00 %", "-4.00 %"),
        ("3", "55.00 %", "-2.00 %"),
        ("2", "45.00 %", "7.00 %"),
    ]
    lacking = replace(found, confirmed=again[:1])
    assert section._confirmed(lacking) == "Seeds 7, 8 are to confirm the best: 2 of 3 lack."


def test_a_memory_that_cannot_be_read_is_said(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(run: Path) -> None:
        raise section.ConfigError("search.storage: nobody answers")

    monkeypatch.setattr(section, "read_search", refused)
    material = Material(SimpleNamespace(runs=[SimpleNamespace(path=run)]), {})  # type: ignore[arg-type]
    (block,) = section.SECTION.blocks(material)
    assert block == Caption("warning: search.storage: nobody answers", strong=True)
    assert section.SECTION.files["search.csv"](material) is None


def test_a_run_without_a_search_has_no_such_section(study: Any) -> None:
    assert not section.SECTION.applies(Material(study, {}))
