import pytest
from matplotlib.image import imread

from alsweep.errors import DatasetError, RecordError, RunFolderError
from alsweep.report.queries import draw_queries, find_trajectory
from alsweep.results.records import query_path, read_run


def test_a_query_becomes_an_overview_and_a_picture_a_patch(phantom_run, tmp_path):
    paths = draw_queries(phantom_run, "predictive_entropy-p8x8x8-s1", 1, tmp_path / "out")
    assert [path.name for path in paths] == [
        "overview.png",
        *(f"patch_{i:03d}.png" for i in range(6)),
    ]
    assert all(imread(path).std() > 0.05 for path in paths)


def test_pictures_lie_in_the_report_unless_told_and_are_drawn_again(phantom_run):
    id_ = read_run(phantom_run).trajectories[0].id
    first = draw_queries(phantom_run, id_, 0)[0]
    assert first == phantom_run / "report" / "queries" / id_ / "loop_000" / "overview.png"
    assert draw_queries(phantom_run, id_, 0)[0].exists()


def test_a_beginning_is_enough_if_only_one_begins_so(run):
    known = read_run(run).trajectories
    assert find_trajectory(known, "random_fg66-p8x8x8-s1").config.seed == 1
    with pytest.raises(RunFolderError, match="several begin so: predictive_entropy-"):
        find_trajectory(known, "predictive")


def test_an_unknown_trajectory_names_near_ones(run):
    with pytest.raises(RunFolderError, match=r"near ones: .*predictive_entropy-p8x8x8-s0"):
        find_trajectory(read_run(run).trajectories, "predictiv_entropi-p8x8x8-s0")


def test_a_loop_that_is_not_there_is_told(phantom_run, tmp_path):
    with pytest.raises(RecordError, match="has loops 0 to 2"):
        draw_queries(phantom_run, "random-p8x8x8-s0", 3, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_query_that_is_not_made_yet_is_told(run):
    trajectory = read_run(run).trajectories[0]
    query_path(trajectory.folder, 3).unlink()
    with pytest.raises(RecordError, match="has not come to it"):
        draw_queries(run, trajectory.id, 3)


def test_a_lost_dataset_is_an_error_here(run):
    with pytest.raises(DatasetError, match="dataset"):
        draw_queries(run, read_run(run).trajectories[0].id, 0)


def test_a_folder_with_something_else_is_left_alone(phantom_run, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="choose another --out"):
        draw_queries(phantom_run, "random-p8x8x8-s0", 0, tmp_path)
