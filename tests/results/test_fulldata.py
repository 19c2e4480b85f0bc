import pytest

from alsweep.errors import RecordError
from alsweep.layout import reference_path
from alsweep.results import fg_efficiency, full_dice, load_results
from alsweep.results.fulldata import (
    FullDataRecord,
    mean_full_dice,
    read_reference,
    read_references,
    reference_key,
)
from alsweep.results.records import read_run
from alsweep.testing.runs import FINGERPRINT, trajectory_config, write_reference, write_run


@pytest.fixture
def run(tmp_path):
    """Two settings that differ in the patch size alone, two seeds, references of both seeds."""
    write_run(tmp_path / "run", patch_sizes=((8, 8, 8), (4, 8, 8)))
    for seed, dice in ((0, 0.93), (1, 0.97)):
        config = trajectory_config("dataset", "random", (8, 8, 8), seed, 4)
        write_reference(tmp_path / "run", config, dice)
    return tmp_path / "run"


def changed(config, **parts):
    raw = config.plain()
    for name, changes in parts.items():
        raw[name] = raw[name] | changes if isinstance(changes, dict) else changes
    return type(config).model_validate(raw)


def test_a_reference_follows_from_recipe_and_seed_and_not_from_what_is_queried():
    config = trajectory_config("dataset", "random", (8, 8, 8), 0, 4)
    key = reference_key(config, FINGERPRINT)
    for same in (
        {"query": {"patches": 99}},
        {"strategy": "margin"},
        {"starting_budget": {"patches": 3}},
        {"inference": {"tta": True}},
    ):
        assert reference_key(changed(config, **same), FINGERPRINT) == key
    for other in ({"training": {"epochs": 7}}, {"evaluation": {"tta": True}}, {"seed": 5}):
        assert reference_key(changed(config, **other), FINGERPRINT) != key
    assert reference_key(config, "1" * 64) != key


def test_settings_that_share_a_recipe_share_its_references(run):
    found = read_references([read_run(run)])
    assert len(found) == 2
    assert [[r.seed for r in records] for records in found.values()] == [[0, 1], [0, 1]]
    assert list(full_dice(run).values()) == pytest.approx([0.95, 0.95])


def test_full_dice_is_what_foreground_efficiency_takes(run):
    found = fg_efficiency(load_results(run), full_dice(run))
    assert len(found) == 6
    assert found["fg_eff"].notna().all()


def test_a_class_without_a_value_is_undefined(run):
    records = next(iter(read_references([read_run(run)]).values()))
    assert mean_full_dice(records, "liver") == pytest.approx(0.95)
    assert mean_full_dice(records, "spleen") != mean_full_dice(records, "spleen")


def test_a_run_without_references_has_none(tmp_path):
    write_run(tmp_path / "run")
    assert full_dice(tmp_path / "run") == {}
    assert read_reference(tmp_path / "run", "0" * 16) is None


def test_a_record_reads_as_it_was_written_and_a_broken_one_is_named(run):
    path = next((run / "fulldata").iterdir())
    record = FullDataRecord.model_validate_json(path.read_text())
    assert read_reference(run, record.key) == record
    assert reference_path(run, record.key) == path
    path.write_text("{")
    with pytest.raises(RecordError, match=record.key):
        full_dice(run)
