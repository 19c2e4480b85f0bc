import json
import threading

import numpy as np
import pytest

from alsweep import Dataset, Trajectory, __version__
from alsweep.data.annotator import ReferenceLabels
from alsweep.data.label_store import PartialLabels
from alsweep.errors import RunFolderError
from alsweep.model.folds import Fold
from alsweep.trajectory import members
from alsweep.trajectory.made_with import has_these_numerics
from alsweep.trajectory.numerics import NUMERICS
from alsweep.trajectory.start import prepare_start, start_key
from alsweep.trajectory.steps import Steps
from tests.trajectory.conftest import log_bytes, make_config, untimed


@pytest.fixture(scope="module")
def finished(phantom, tmp_path_factory) -> Trajectory:
    folder = tmp_path_factory.mktemp("finished")
    trajectory = Trajectory(make_config(phantom), folder / "t", dataset=phantom)
    trajectory.run()
    return trajectory


@pytest.fixture
def folder(finished):
    return finished._folder


def test_making_a_trajectory_writes_nothing(phantom, tmp_path):
    trajectory = Trajectory(make_config(phantom), tmp_path / "t", dataset=phantom)
    assert not trajectory.finished
    assert not (tmp_path / "t").exists()


def test_there_are_as_many_trainings_as_loops_and_one_query_less(finished, folder):
    assert finished.finished
    assert [record.loop for record in finished.records] == [0, 1, 2]
    assert [record.annotated_patches for record in finished.records] == [6, 12, 18]
    assert sorted(log_bytes(folder)) == ["loop_000.json", "loop_001.json", "loop_002.json"]
    with pytest.raises(IndexError, match="is finished"):
        finished.step()


def test_query_files_hold_what_the_contract_says(folder):
    for loop in range(3):
        content = json.loads((folder / "queries" / f"loop_{loop:03d}.json").read_text())
        assert content["loop"] == loop
        assert len(content["patches"]) == 6
        for patch in content["patches"]:
            assert set(patch) == {"case", "start", "size", "score"}
            assert patch["size"] == [8, 8, 8]
            assert (patch["score"] is None) == (loop == 0)


def test_no_patch_is_annotated_twice(finished):
    patches = finished._log.patches(2)
    assert not any(a.intersects(b) for i, a in enumerate(patches) for b in patches[:i])


def test_records_count_voxels_as_the_reference_labels_do(finished, phantom):
    reference = ReferenceLabels(phantom)
    for record in finished.records:
        patches = finished._log.patches(record.loop)
        crops = [np.asarray(reference.volume(p.case))[p.slices] for p in patches]
        total = sum(int((np.asarray(reference.volume(c)) > 0).sum()) for c in phantom.pool)
        assert record.annotated_voxels == sum(crop.size for crop in crops)
        assert record.foreground_voxels == sum(int((crop > 0).sum()) for crop in crops)
        assert record.foreground_fraction == pytest.approx(record.foreground_voxels / total)
        assert record.annotated_cases == len({p.case for p in patches})


def test_records_tell_what_made_them(finished, folder, monkeypatch):
    told = {(record.version, record.numerics) for record in finished.records}
    assert told == {(__version__, NUMERICS)}
    assert has_these_numerics(finished.config, folder, 2)
    monkeypatch.setattr(members, "NUMERICS", NUMERICS + 1)
    assert not has_these_numerics(finished.config, folder, 2)


def test_records_hold_dice_of_every_validation_case(finished, phantom):
    record = finished.records[-1]
    assert sorted(record.case_dice) == list(phantom.validation)
    by_class = [[row[name] for row in record.case_dice.values()] for name in phantom.classes[1:]]
    expected = [np.mean([v for v in column if v is not None]) for column in by_class]
    assert list(record.dice.values()) == pytest.approx(expected)
    assert record.mean_dice == pytest.approx(np.mean(expected))


def test_labels_zarr_shows_the_annotated_boxes_and_nothing_else(finished, folder):
    import zarr

    case = finished.labels.cases[0]
    stored = zarr.open_array(folder / "labels.zarr" / case / "0", mode="r")[:]
    expected = finished.labels.window(case, (0, 0, 0), finished.dataset.cases[case].shape)
    assert (expected == 255).any()
    assert np.array_equal(stored, expected)


def test_equal_config_and_seed_give_equal_queries_and_dice(finished, phantom, tmp_path):
    again = Trajectory(finished.config, tmp_path / "t", dataset=phantom)
    again.run()
    assert log_bytes(tmp_path / "t") == log_bytes(finished._folder)
    assert untimed(again.records) == untimed(finished.records)


def test_another_seed_gives_another_start(finished, phantom, tmp_path):
    other = Trajectory(make_config(phantom, seed=2), tmp_path / "t", dataset=phantom)
    other.step()
    assert other._log.patches(0) != finished._log.patches(0)


def test_strategies_and_compute_options_share_the_start(finished, phantom, tmp_path):
    for name, changes in {
        "strategy": {"strategy": "random"},
        "members": {"training": {"members": 1}},
        "loops": {"query": {"loops": 2, "per_case": 3, "stride": 1}},
    }.items():
        other = Trajectory(make_config(phantom, **changes), tmp_path / name, dataset=phantom)
        other.step()
        assert other._log.patches(0) == finished._log.patches(0)
        assert other.records[0].start_hash == finished.records[0].start_hash


def test_a_prepared_start_is_used_and_counted_as_cached(phantom, finished, tmp_path):
    models = tmp_path / "models"
    config = finished.config
    prepare_start(config, phantom, models, finished._resources)
    trained = sorted(path.name for path in models.iterdir())
    other = make_config(phantom, strategy="random")
    assert start_key(other, phantom) == start_key(config, phantom)
    record = Trajectory(other, tmp_path / "t", dataset=phantom, models=models).step()
    assert sorted(path.name for path in models.iterdir()) == trained
    assert record.cached_members == 2
    assert (record.train_seconds, record.evaluate_seconds) == (0.0, 0.0)
    assert record.mean_dice == finished.records[0].mean_dice


def test_a_start_key_follows_what_loop_0_follows_from(phantom):
    base = start_key(make_config(phantom), phantom)
    assert start_key(make_config(phantom, query={"loops": 9, "stride": 1}), phantom) == base
    assert start_key(make_config(phantom, inference={"tta": True}), phantom) == base
    for change in ({"seed": 9}, {"training": {"epochs": 2}}, {"query": {"patch_size": [6, 6, 6]}}):
        assert start_key(make_config(phantom, **change), phantom) != base


def test_member_keys_know_neither_the_order_of_patches_nor_the_number_of_members(phantom, finished):
    steps = finished._steps
    patches, fold = finished._log.patches(1), Fold([], [0, 2])
    key = steps.members.key(patches, fold, 0, None)
    assert steps.members.key(patches[::-1], fold, 0, None) == key
    more = Trajectory(
        make_config(phantom, training={"members": 4}), finished._folder, dataset=phantom
    )
    assert more._steps.members.key(patches, fold, 0, None) == key
    assert steps.members.key(patches, Fold([], [1, 2]), 0, None) != key
    assert steps.members.key(patches, fold, 1, None) != key
    assert steps.members.key(patches[1:], fold, 0, None) != key
    longer = Trajectory(
        make_config(phantom, training={"epochs": 2}), finished._folder, dataset=phantom
    )
    assert longer._steps.members.key(patches, fold, 0, None) != key


def test_a_trajectory_that_goes_on_with_other_numerics_says_so_once(phantom, tmp_path, caplog):
    config = make_config(phantom, training={"members": 1}, strategy="random")
    record = Trajectory(config, tmp_path / "t", dataset=phantom).step()
    record.model_copy(update={"numerics": NUMERICS - 1}).write(tmp_path / "t")
    caplog.clear()
    resumed = Trajectory(config, tmp_path / "t", dataset=phantom)
    resumed.step()
    resumed.step()
    (said,) = [text for text in caplog.messages if "numerics" in text]
    assert said.startswith(f"warning: {resumed.id} goes on with numerics {NUMERICS}")


def test_a_warm_start_goes_on_from_the_loop_before_also_after_a_resume(phantom, tmp_path):
    config = make_config(phantom, training={"warm_start": True, "members": 1}, strategy="random")
    unbroken = Trajectory(config, tmp_path / "a", dataset=phantom)
    unbroken.run()
    for _ in range(3):
        Trajectory(config, tmp_path / "b", dataset=phantom).step()
    resumed = Trajectory(config, tmp_path / "b", dataset=phantom)
    assert untimed(resumed.records) == untimed(unbroken.records)
    for loop in range(3):
        assert has_these_numerics(unbroken.config, tmp_path / "a", loop)
    cold = Trajectory(
        make_config(phantom, training={"members": 1}, strategy="random"), tmp_path / "c"
    )
    cold.run()
    assert cold.records[0].mean_dice == unbroken.records[0].mean_dice
    assert cold.records[1].members != unbroken.records[1].members


def test_a_folder_of_another_trajectory_is_refused(phantom, finished):
    other = Trajectory(make_config(phantom, seed=7), finished._folder, dataset=phantom)
    with pytest.raises(RunFolderError, match="is of another trajectory"):
        Trajectory(other.config, finished._folder, dataset=phantom)._begin()


def test_progress_goes_through_the_phases(phantom, tmp_path):
    seen = []
    config = make_config(phantom, strategy="random", query={"loops": 2})
    Trajectory(config, tmp_path / "t", dataset=phantom, on_progress=seen.append).run()
    phases = [(p.loop, p.phase) for p in seen]
    order = [
        (0, "start"),
        (0, "train"),
        (0, "evaluate"),
        (0, "annotate"),
        (1, "train"),
        (1, "evaluate"),
        (1, "annotate"),
    ]
    assert list(dict.fromkeys(phases)) == order
    assert all(0 <= p.done <= p.total for p in seen)


def test_the_public_name_is_the_class():
    import alsweep

    assert alsweep.Trajectory is Trajectory
    assert alsweep.Dataset is Dataset


def test_training_never_waits_for_the_view_of_the_labels(phantom, tmp_path, monkeypatch):
    trains = threading.Event()
    write, train = PartialLabels.write_zarr, Steps.train
    waited = []

    def slow_view(self, *args):
        waited.append(trains.wait(timeout=60))
        write(self, *args)

    def seen_train(self, *args):
        trains.set()
        return train(self, *args)

    monkeypatch.setattr(PartialLabels, "write_zarr", slow_view)
    monkeypatch.setattr(Steps, "train", seen_train)
    config = make_config(phantom, query={"loops": 1})
    Trajectory(config, tmp_path / "t", dataset=phantom).run()
    assert waited == [True, True]
    assert (tmp_path / "t" / "labels.zarr" / "zarr.json").exists()
