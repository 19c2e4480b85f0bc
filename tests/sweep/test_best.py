"""What a search leaves as best.yaml is a search space that runs, whatever stood beside it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alsweep.config.load import load_sweep
from alsweep.data.case import Dataset
from alsweep.layout import best_path
from alsweep.query import plugin_files
from alsweep.results.searched import read_search
from alsweep.sweep.plan import Plan
from alsweep.sweep.planning import plan_of
from tests.sweep.test_plugins import TEXT, forget
from tests.sweep.test_search import OVER, Bench

_BESIDE: dict[str, dict[str, Any]] = {
    "a grid with controls": {
        "grid": {"strategy": ["random", "random_fg66"]},
        "report": {"controls": ["random_fg66"], "rope": 0.01},
    },
    "settings with recipes": {
        "settings": [
            {"name": "small", "training.preset": "small"},
            {"name": "large", "training.preset": "nnunet", "query.patches": 7},
        ],
        "seeds": [0],
    },
    "what others follow from": {
        "over": OVER
        | {
            "query.patches": {"low": 6, "high": 9},
            "training.members": {"low": 2, "high": 4},
            "training.ensemble": {"choices": ["folds", "seeds"]},
        }
    },
    "a schedule of its own": {
        "over": {"strategy": [{"name": "clasp_pe", "schedule": {"choices": ["exponential"]}}]}
    },
    "a label": {
        "over": {
            "strategy": [
                {"name": "power_bald", "beta": {"low": 1, "high": 9.5}, "label": "mild"},
                {"name": "power_bald", "beta": {"low": 10, "high": 95.5}, "label": "harsh"},
            ]
        }
    },
}


def best_of(bench: Bench, path: Path | None = None) -> Plan:
    return plan_of(load_sweep(path or best_path(bench.run)), "best.yaml")


def told_of_best(bench: Bench) -> list[str]:
    found = read_search(bench.run)
    assert found is not None
    best = found.best()
    assert best is not None
    return list(bench.trials[best.number].user_attrs["trajectories"])


@pytest.mark.parametrize("beside", _BESIDE)
def test_it_means_the_trajectories_of_the_best_trial(
    beside: str, dataset: Dataset, run: Path
) -> None:
    bench = Bench(dataset, run, **_BESIDE[beside])
    bench.go()
    assert list(best_of(bench).ids) == told_of_best(bench)


def test_it_runs_on_other_seeds(dataset: Dataset, run: Path, tmp_path: Path) -> None:
    bench = Bench(dataset, run, **_BESIDE["a grid with controls"])
    bench.go()
    again = Bench(dataset, tmp_path / "again")
    again.sweep = load_sweep(best_path(run), ["seeds=[10, 11]"])
    again.make(again.begun())
    assert again.made == list(again.plan.ids)
    assert len(again.made) == 2
    assert again.sweep.report.rope == 0.01


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "own.py"
    path.write_text(TEXT)
    yield path
    plugin_files._forget("alsweep_plugin_file.")


def test_it_brings_strategies_of_ones_own_wherever_it_is_copied(
    dataset: Dataset, run: Path, tmp_path: Path, own: Path
) -> None:
    over = {"strategy": ["own"], "inference.tta": {"choices": [False, True]}}
    bench = Bench(dataset, run, over=over, plugins=[str(own)], configurations=2)
    bench.go()
    expected = told_of_best(bench)
    own.unlink()
    forget()
    copied = tmp_path / "elsewhere" / "copy.yaml"
    copied.parent.mkdir()
    shutil.copy(best_path(run), copied)
    for path in (None, copied):
        assert list(best_of(bench, path).ids) == expected
