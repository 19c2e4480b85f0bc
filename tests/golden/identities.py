"""Identities of a dozen configs, to hold those of today against those that were written down.

``python -m tests.golden.identities DATASET > tests/golden/schema_1.json`` wrote them down once, by
the code of schema 1, and never again: they are what finished runs and stored members are found by.
"""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from alsweep.config.sweep import ResourcesConfig
from alsweep.config.trajectory import TrainingConfig, TrajectoryConfig
from alsweep.data.case import Dataset
from alsweep.geometry import Patch
from alsweep.model.folds import Fold
from alsweep.results.fulldata import reference_key
from alsweep.trajectory.members import Member, Members
from alsweep.trajectory.resolving import resolve
from alsweep.trajectory.start import start_key
from alsweep.trajectory.steps import Steps

FINGERPRINT = "5c" * 32
"""Of no dataset; trajectory ids take it as it is."""

PATCHES = (Patch("case_001", (0, 0, 0), (8, 8, 8)), Patch("case_000", (8, 0, 16), (8, 8, 8)))

_DICE_OF_THEN = {"dice_over": "present", "batch_dice": False}
"""What these presets say otherwise today."""

CONFIGS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "a parameter": {"strategy": {"name": "power_bald", "beta": 5}, "seed": 3},
    "a label and an alias": {"strategy": {"name": "class_power_pe33_exp", "label": "mine"}},
    "stages": {
        "strategy": {"stages": {"map": "margin", "noise": {"name": "power", "beta": 2}}},
        "inference": {"tta": True, "step": 0.5},
    },
    "nnunet": {
        "training": {"preset": "nnunet", "patch_size": [16, 16, 16], **_DICE_OF_THEN},
        "evaluation": {"tta": False, "grid": "resampled"},
    },
    "onecycle": {
        "training": {"preset": "onecycle", "epochs": 7, "blocks": "residual", **_DICE_OF_THEN}
    },
    "snapshots": {"training": {"ensemble": "snapshots", "members": 3, "epochs": 7}},
    "seeds": {
        "training": {"ensemble": "seeds", "members": 1, "precision": "fp32"},
        "starting_budget": {"strategy": "random", "patches": 9},
    },
    "warm start": {"training": {"warm_start": True, "folds": 3, "mirror_axes": ["z", "x"]}},
    "whole cases": {
        "query": {"patches": 1, "patch_size": "whole", "loops": 2},
        "strategy": "random_fg66",
        "starting_budget": {"strategy": "random"},
    },
    "evaluation": {"evaluation": {"surface": {"tolerance_mm": 2.0}, "tta": True, "test": False}},
    "augmentation": {
        "training": {"augmentation": {"noise": 0.5}, "case_sampling": "annotated_volume"}
    },
    "query": {
        "query": {
            "patches": 7,
            "patch_size": [4, 8, 8],
            "stride": [1, 4, 4],
            "overlap": 0.25,
            "per_case": 3,
            "on_shortfall": "fill_random",
        },
        "strategy": {"name": "clasp_pe", "r": 0.5, "label": "half"},
        "training": {"features": [4, 8, 8], "batch_size": 3, "compile": True},
    },
}
"""What a user wrote, by what it is about; query size and patch size where it does not say them."""


def identities(dataset: Dataset) -> dict[str, Any]:
    """Everything by which each config's results are found."""
    with TemporaryDirectory() as models:
        return {name: _identity(raw, dataset, Path(models)) for name, raw in CONFIGS.items()}


def _identity(raw: dict[str, Any], dataset: Dataset, models: Path) -> dict[str, Any]:
    base = {"dataset": str(dataset.path), "query": {"patches": 6, "patch_size": [8, 8, 8]}}
    config = resolve(TrajectoryConfig.model_validate(base | raw), dataset)
    return {
        "trajectory": config.trajectory_id(FINGERPRINT),
        "setting": config.setting_hash(FINGERPRINT),
        "start": start_key(config, dataset),
        "reference": reference_key(config, FINGERPRINT),
        "members": _member_keys(config, dataset, models),
    }


def _member_keys(config: TrajectoryConfig, dataset: Dataset, models: Path) -> list[str]:
    """Keys of the first member and the last, which has a parent; by fold where there are folds."""
    steps = Steps.make(config, dataset, models, ResourcesConfig(), "me", None)
    members: Members = steps.members
    training = config.training
    last = training.members - 1
    first = members.key(PATCHES, _fold(training, 0), 0, None)
    parent = Member(first, steps.members.learner.network(steps.members.setup, 0), 0.0, False)
    return [first, members.key(PATCHES, _fold(training, last), last, parent)]


def _fold(training: TrainingConfig, member: int) -> Fold | None:
    if training.ensemble != "folds":
        return None
    return Fold([], [member % training.folds, training.folds])


if __name__ == "__main__":
    json.dump(identities(Dataset.open(Path(sys.argv[1]))), sys.stdout, indent=1)
