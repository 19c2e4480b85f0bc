"""Cost models on hand-made patches, and what trajectories cost, from query logs and labels."""

import logging
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import binary_erosion

from alsweep.costs import CostModel, base, cost_model, cost_models, with_costs
from alsweep.data.annotator import ReferenceLabels
from alsweep.data.case import Dataset
from alsweep.data.phantom import write_phantom
from alsweep.errors import RecordError, StrategyError
from alsweep.geometry import Patch
from alsweep.layout import costs_path, query_path, trajectory_folder
from alsweep.results import collect, effort_aubc
from alsweep.results.records import read_query
from alsweep.rng import stream
from alsweep.testing.runs import write_run

OURS = {
    "patches", "voxels", "foreground", "boundary", "components", "slices", "cases", "prompts",
    "marks",
}  # fmt: skip


def of(name: str, labels: np.ndarray) -> float:
    return cost_model(name).of_patch(Patch("a", (0, 0, 0), labels.shape), labels)


def test_all_models_are_there_with_a_unit_and_a_sentence():
    found = cost_models()
    assert set(found) >= OURS
    assert all(m.unit and m.summary.endswith((".", "patch.")) for m in found.values())
    with pytest.raises(StrategyError, match="did you mean 'boundary'"):
        cost_model("boundry")


def test_a_cube_in_a_patch_is_counted_by_hand():
    labels = np.zeros((6, 6, 6), dtype=np.uint8)
    labels[1:5, 1:5, 1:5] = 1
    found = {name: of(name, labels) for name in OURS}
    assert found == {
        "patches": 1, "voxels": 216, "foreground": 64, "boundary": 64 - 8, "components": 1,
        "slices": 4, "cases": 0, "prompts": 1, "marks": 64 - 8,
    }  # fmt: skip


def test_marks_are_counted_by_what_is_told_of_a_patch():
    labels = np.zeros((6, 6, 6), dtype=np.uint8)
    labels[1:5, 1:5, 1:4] = 1
    patch, model = Patch("a", (0, 0, 0), labels.shape), cost_model("marks")
    marks = {mode: model.where(mode)(patch, labels) for mode in ("box", "points", "scribbles")}
    # A box; a point in the piece and one in the background; a stroke of 4 and one of 6.
    assert marks == {"box": 3, "points": 2, "scribbles": 10}
    assert all(model.where(mode)(patch, np.zeros_like(labels)) >= 1 for mode in (*marks, "dense"))


def test_two_classes_that_touch_have_an_outline_between_them():
    labels = np.ones((1, 4, 4), dtype=np.uint8)
    assert of("boundary", labels) == 0
    labels[:, :, 2:] = 2
    assert of("boundary", labels) == 8
    assert of("components", labels) == 2


def test_pieces_that_touch_at_a_corner_are_one_and_empty_patches_take_a_prompt():
    labels = np.zeros((2, 4, 4), dtype=np.uint8)
    assert [of(n, labels) for n in ("components", "prompts", "slices")] == [0, 1, 0]
    labels[0, 0, 0] = labels[1, 1, 1] = 1
    labels[0, 3, 3] = 1
    assert [of(n, labels) for n in ("components", "prompts", "slices")] == [2, 2, 2]


@given(key=st.integers(0, 999))
def test_the_boundary_of_one_class_is_what_erosion_takes(key):
    labels = (stream(key, "labels").random((4, 5, 6)) < 0.7).astype(np.uint8)
    kept = binary_erosion(labels, border_value=1)
    assert of("boundary", labels) == (labels > kept).sum()
    assert of("boundary", labels) <= of("foreground", labels)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("costs") / "run"
    run.mkdir()
    write_phantom(run / "dataset", cases=4, shape=(24, 24, 24))
    dataset = Dataset.open(run / "dataset")
    write_run(
        run,
        dataset=run / "dataset",
        fingerprint=dataset.fingerprint,
        cases=dataset.pool,
        strategies={"random": 0.4, "predictive_entropy": 0.6},
        seeds=(0,),
        loops=3,
    )
    return run


def test_columns_are_sums_over_the_queries_so_far(run):
    table = with_costs(collect(run), run, ["slices", "patches", "cases"])
    labels = ReferenceLabels(Dataset.open(run / "dataset"))
    folder = trajectory_folder(run, table["trajectory"].iloc[0])
    total = 0
    for loop in range(3):
        for queried in read_query(query_path(folder, loop)):
            crop = labels.volume(queried.patch.case)[queried.patch.slices]
            total += (crop > 0).any(axis=(1, 2)).sum()
        assert table["cost_slices"].iloc[loop] == total
    assert total > 0
    assert table["cost_patches"].tolist() == table["annotated_patches"].tolist()
    assert effort_aubc(table, "cost_slices")["aubc"].notna().all()


def test_labels_are_read_once_and_again_where_a_query_changed(run, monkeypatch):
    table = with_costs(collect(run), run, ["boundary"])
    id_ = table["trajectory"].iloc[0]
    assert costs_path(run, id_).exists()

    def refuse(*_: object) -> None:
        raise AssertionError("labels are read again")

    with monkeypatch.context() as patched:
        patched.setattr("alsweep.costs.measure.open_recorded", refuse)
        again = with_costs(collect(run), run, ["boundary"])
        assert again["cost_boundary"].tolist() == table["cost_boundary"].tolist()
        path = query_path(trajectory_folder(run, id_), 0)
        content = path.read_text()
        path.write_text(content + " ")
        with pytest.raises(AssertionError, match="read again"):
            with_costs(collect(run), run, ["boundary"])
        path.write_text(content)
        costs_path(run, id_).write_text("{")
        with pytest.raises(RecordError, match="delete it"):
            with_costs(collect(run), run, ["boundary"])
        costs_path(run, id_).unlink()


def test_a_trajectory_of_no_run_is_named(run):
    table = collect(run).assign(trajectory="nobody")
    with pytest.raises(RecordError, match="trajectory nobody"):
        with_costs(table, run, ["slices"])


def test_a_plug_in_is_an_entry_point_and_a_broken_one_is_named(run, monkeypatch, caplog):
    points = [
        EntryPoint("minutes", "tests.costs.plugin", base.GROUP),
        EntryPoint("gone", "tests.costs.nowhere", base.GROUP),
    ]
    monkeypatch.setattr(base, "entry_points", lambda group: points)
    base._load.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert isinstance(cost_model("minutes"), CostModel)
    assert "warning: cost plug-in 'tests.costs.nowhere' skipped" in caplog.text
    table = with_costs(collect(run), run, ["minutes", "slices"])
    opened = table["cost_minutes"] - 0.5 * table["cost_slices"]
    # Ten minutes for each case when it is first opened.
    folder = trajectory_folder(run, table["trajectory"].iloc[0])
    seen: set[str] = set()
    for loop in range(3):
        seen |= {q.patch.case for q in read_query(query_path(folder, loop))}
        assert opened.iloc[loop] == pytest.approx(10 * len(seen))
