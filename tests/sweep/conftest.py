from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alsweep.config.sweep import SweepConfig
from alsweep.config.validation import validated
from alsweep.data.case import Dataset
from alsweep.data.phantom import write_phantom
from alsweep.sweep.plan import Plan, make_plan

MakePlan = Callable[..., Plan]


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    out = tmp_path_factory.mktemp("sweep") / "dataset"
    return write_phantom(out, cases=4, shape=(24, 24, 24))


def sweep_of(dataset: Dataset, **changes: Any) -> SweepConfig:
    """A sweep of two strategies and two seeds; ``changes`` replace top-level keys."""
    raw = {
        "name": "tiny",
        "dataset": str(dataset.path),
        "base": {
            "query": {"patches": 6, "loops": 3, "patch_size": [8, 8, 8]},
            "training": {"members": 2},
        },
        "seeds": [0, 1],
        "grid": {"strategy": ["random", "predictive_entropy"]},
        "wandb": {"mode": "disabled"},
    }
    return validated(SweepConfig, raw | changes, {})


@pytest.fixture
def plan_of(dataset: Dataset) -> MakePlan:
    return lambda **changes: make_plan(sweep_of(dataset, **changes), dataset)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "run"
