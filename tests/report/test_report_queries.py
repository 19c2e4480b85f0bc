from dataclasses import replace

import numpy as np
import pytest
from matplotlib.image import imread

from alsweep.errors import DatasetError, RecordError, RunFolderError
from alsweep.layout import query_path
from alsweep.report import queries as drawing
from alsweep.report.queries import draw_pair, draw_queries, find_trajectory, open_query
from alsweep.report.slices import Panel
from alsweep.report.views import look
from alsweep.results.records import read_run


def test_a_query_becomes_an_overview_and_a_picture_a_patch(phantom_run, tmp_path):
    query = open_query(phantom_run, "predictive_entropy-p8x8x8-s1", 1)
    paths = draw_queries(query, tmp_path / "out", fake_networks)
    assert [path.name for path in paths] == [
        "overview.png",
        "class_mix.png",
        *(f"patch_{i:03d}.png" for i in range(6)),
    ]
    assert all(imread(path).std() > 0.05 for path in paths)


def test_pictures_lie_in_the_report_unless_told_and_are_drawn_again(phantom_run, monkeypatch):
    titles(monkeypatch)
    id_ = read_run(phantom_run).trajectories[0].id
    query = open_query(phantom_run, id_, 0)
    first = draw_queries(query)[0]
    assert first == phantom_run / "report" / "queries" / id_ / "loop_000" / "overview.png"
    assert draw_queries(query)[0].exists()


def test_a_beginning_is_enough_if_only_one_begins_so(run):
    known = read_run(run).trajectories
    assert find_trajectory(known, "random_fg66-p8x8x8-s1").config.seed == 1
    with pytest.raises(RunFolderError, match="several begin so: predictive_entropy-"):
        find_trajectory(known, "predictive")


def test_an_unknown_trajectory_names_near_ones(run):
    with pytest.raises(RunFolderError, match=r"near ones: .*predictive_entropy-p8x8x8-s0"):
        find_trajectory(read_run(run).trajectories, "predictiv_entropi-p8x8x8-s0")


def test_a_loop_that_is_not_there_is_told(phantom_run):
    with pytest.raises(RecordError, match="has loops 0 to 2"):
        open_query(phantom_run, "random-p8x8x8-s0", 3)


def test_a_query_that_is_not_made_yet_is_told(run):
    trajectory = read_run(run).trajectories[0]
    query_path(trajectory.folder, 3).unlink()
    with pytest.raises(RecordError, match="has not come to it"):
        open_query(run, trajectory.id, 3)


def test_a_lost_dataset_is_an_error_here(run):
    with pytest.raises(DatasetError, match="dataset"):
        open_query(run, read_run(run).trajectories[0].id, 0)


def test_a_folder_with_something_else_is_left_alone(phantom_run, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="choose another --out"):
        draw_queries(open_query(phantom_run, "random-p8x8x8-s0", 0), tmp_path)


def fake_networks(query):
    """Predicts background, and scores a voxel by its place along x."""

    def predict(case):
        shape = query.dataset.cases[case].shape
        return np.zeros(shape, dtype=np.uint8), np.broadcast_to(np.arange(shape[2]) / 1.0, shape)

    return look([one.patch for one in query.queried], predict, "place")


def titles(monkeypatch):
    """Collect the titles of the pictures, which are not drawn."""
    found = []

    def note(volumes, what, title, seen):
        found.append((title, None if seen is None else seen.score))

    monkeypatch.setattr(drawing, "overview_figure", note)
    monkeypatch.setattr(drawing, "patch_figure", note)
    monkeypatch.setattr(drawing, "png", lambda figure: b"not drawn")
    return found


def test_networks_add_what_they_said(phantom_run, tmp_path, monkeypatch):
    query = open_query(phantom_run, "predictive_entropy-p8x8x8-s0", 1)
    found = titles(monkeypatch)
    draw_queries(query, tmp_path / "out", fake_networks)
    assert len(found) == 7
    assert {score for _, score in found} == {"place"}


def test_networks_that_are_gone_are_told_in_the_title(phantom_run, tmp_path, monkeypatch):
    def gone(query):
        raise RunFolderError("not stored any more")

    query = open_query(phantom_run, "predictive_entropy-p8x8x8-s0", 1)
    found = titles(monkeypatch)
    paths = draw_queries(query, tmp_path / "out", gone)
    assert len(paths) == 8
    assert all("not stored any more" in title and score is None for title, score in found)


def test_a_starting_budget_asks_no_network(phantom_run, tmp_path, monkeypatch):
    query = open_query(phantom_run, "predictive_entropy-p8x8x8-s0", 0)
    found = titles(monkeypatch)
    draw_queries(query, tmp_path / "out", lambda query: pytest.fail("asked"))
    assert found[0] == (query.title, None)


def test_two_queries_become_one_picture(phantom_run, tmp_path):
    query = open_query(phantom_run, "predictive_entropy-p8x8x8-s0", 1)
    seen = fake_networks(query)
    tried = Panel("tried: random", query.queried[:2], seen)
    path = draw_pair(query, tried, seen, tmp_path / "pair.png")
    assert imread(path).std() > 0.05


def test_a_label_with_dollar_signs_is_no_mathematics(phantom_run, tmp_path):
    query = open_query(phantom_run, "predictive_entropy-p8x8x8-s0", 1)
    label = r"$\nothing$"
    named = query.trajectory.config.strategy.model_copy(update={"label": label})
    config = query.trajectory.config.model_copy(update={"strategy": named})
    renamed = replace(query, trajectory=replace(query.trajectory, config=config))
    tried = Panel("tried", query.queried[:1], None)
    path = draw_pair(renamed, tried, fake_networks(query), tmp_path / "pair.png")
    assert imread(path).std() > 0.05
