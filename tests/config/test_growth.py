"""Configs grow: what came later is neutral wherever it was not written."""

import json
from pathlib import Path

import pytest

from alsweep import TrajectoryConfig
from alsweep.config import trajectory
from alsweep.config.base import STORED, Frozen, added
from alsweep.config.load import load_sweep
from alsweep.config.trajectory import FIRST_PRESETS, InferenceConfig, TrainingConfig
from alsweep.errors import ConfigError

RAW = {"dataset": "data/x", "query": {"patches": 4, "patch_size": [8, 8, 8]}}


class Pricing(Frozen):
    kind: str = "none"
    fee: int = added(5, neutral=0)


class GrownInference(InferenceConfig):
    passes: int = added(8, neutral=1)


class GrownTraining(TrainingConfig):
    rest: tuple[float, ...] = added((0.5,), neutral=())


class Grown(TrajectoryConfig):
    training: GrownTraining
    inference: GrownInference = GrownInference()
    pricing: Pricing = added(Pricing(), neutral=Pricing())
    later: int | None = added(3, neutral=None)


def grown(stored: bool = False, **changes: object) -> Grown:
    raw = {**RAW, "training": {}, **changes}
    return Grown.model_validate(raw, context=STORED if stored else None)


NEUTRAL = {
    "inference": {"passes": 1},
    "training": {"rest": []},
    "pricing": {"fee": 0},
    "later": None,
}


def test_a_neutral_field_enters_no_identity():
    before = TrajectoryConfig.model_validate(RAW)
    for name in ("trajectory_id", "setting_hash"):
        assert getattr(grown(**NEUTRAL), name)("f") == getattr(before, name)("f")
    assert grown(**NEUTRAL).training.identity() == before.training.identity()


@pytest.mark.parametrize(
    "change",
    [
        {"later": 3},
        {"inference": {"passes": 2}},
        {"training": {"rest": [0.0]}},
        {"pricing": {"kind": "voxels", "fee": 0}},
        {"pricing": {"fee": 5}},
    ],
)
def test_any_other_value_makes_another_trajectory(change):
    assert grown(**NEUTRAL | change).trajectory_id("f") != grown(**NEUTRAL).trajectory_id("f")


def test_a_user_who_leaves_a_field_out_means_its_default():
    made = grown()
    assert (made.later, made.inference.passes, made.training.rest) == (3, 8, (0.5,))


def test_a_stored_file_that_lacks_a_field_means_its_neutral_value():
    then = TrajectoryConfig.model_validate(RAW)
    read = Grown.model_validate(json.loads(then.model_dump_json()), context=STORED)
    assert (read.later, read.inference.passes, read.training.rest) == (None, 1, ())
    assert read.trajectory_id("f") == then.trajectory_id("f")


def test_a_stored_file_that_lacks_a_section_means_its_neutral_values():
    assert grown(stored=True).inference.passes == 1
    # What was there in schema 1 has the default that it always had.
    assert grown(stored=True).inference.step == 0.75


def test_a_section_that_came_later_grows_in_its_turn(monkeypatch):
    monkeypatch.setattr(trajectory, "PRESETS", FIRST_PRESETS)  # what a stored file relies on
    before = TrajectoryConfig.model_validate(RAW)
    for then in ({}, {"pricing": {"kind": "none"}}):
        read = grown(stored=True, **then)
        assert read.pricing.fee == 0
        assert read.trajectory_id("f") == before.trajectory_id("f")
    assert grown(**NEUTRAL | {"pricing": {}}).pricing.fee == 5
    assert grown(**NEUTRAL | {"pricing": {}}).trajectory_id("f") != before.trajectory_id("f")


def test_what_a_stored_file_says_counts():
    assert grown(stored=True, inference={"passes": 8}).inference.passes == 8


def test_a_run_of_a_newer_alsweep_is_refused_in_one_line(tmp_path: Path):
    path = tmp_path / "sweep.yaml"
    stored = RAW | {"name": "x", "provenance": {"version": "9.1", "schema_version": 99}}
    path.write_text(json.dumps(stored))
    with pytest.raises(ConfigError, match=r"schema_version: 99 .* newer alsweep \(9\.1\).*upgrade"):
        load_sweep(path)


def test_a_key_that_only_a_newer_alsweep_knows_is_told_as_such(tmp_path: Path):
    path = tmp_path / "sweep.yaml"
    begun = {"version": "0.1", "dataset_fingerprint": "f", "trajectories": []}
    stored = {"name": "x", "dataset": "d", "provenance": begun}
    for newer in ({"gift": 1}, {"base": {"query": RAW["query"], "gift": 1}}):
        path.write_text(json.dumps(stored | newer))
        with pytest.raises(ConfigError, match=r"gift: unknown key.*newer alsweep.*upgrade"):
            load_sweep(path)
