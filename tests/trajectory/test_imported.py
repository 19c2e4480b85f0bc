import json

import pytest

from alsweep.errors import DatasetError
from alsweep.geometry import Patch
from alsweep.layout import query_path
from alsweep.results.loops import read_query
from alsweep.results.records import read_config
from alsweep.trajectory.budget import draw_start
from alsweep.trajectory.imported import import_loops
from alsweep.trajectory.resolving import resolve


def write(folder, loops):
    """Loop files as nnActive writes them."""
    folder.mkdir()
    for number, entries in enumerate(loops):
        patches = [
            {"file": f"{case}.nii.gz", "coords": start, "size": size}
            for case, start, size in entries
        ]
        (folder / f"loop_{number:03d}.json").write_text(json.dumps({"patches": patches}))
    return folder


def made(phantom, tmp_path, *loops):
    return import_loops(write(tmp_path / "loops", loops), phantom, tmp_path / "out")


def box(case, *start, size=(8, 8, 8)):
    return case, list(start), size if size == "whole" else list(size)


def test_the_query_log_holds_each_loops_new_patches_in_order(phantom, tmp_path):
    first, second = phantom.pool[:2]
    start = [box(second, 0, 8, 16), box(first, 1, 2, 3), box(first, 10, 2, 3)]
    config = made(phantom, tmp_path, start, [box(first, 1, 10, 3)], [box(second, 8, 0, 0)])
    queries = [read_query(query_path(tmp_path / "out", k)) for k in range(3)]
    assert [[(q.patch.case, list(q.patch.start)) for q in query] for query in queries] == [
        [(second, [0, 8, 16]), (first, [1, 2, 3]), (first, [10, 2, 3])],
        [(first, [1, 10, 3])],
        [(second, [8, 0, 0])],
    ]
    query = config.query
    assert (query.patches, query.patch_size, query.loops, query.overlap) == (1, (8, 8, 8), 3, 0)
    assert config.starting_patches == 3
    assert read_config(tmp_path / "out").plain() == config.plain()
    assert {path.name for path in tmp_path.iterdir()} == {"loops", "out"}


def test_a_size_that_cases_clip_is_found_and_whole_cases_are_called_so(phantom, tmp_path):
    case = phantom.pool[0]
    start = [box(case, 0, y, 0, size=(64, 8, 8)) for y in (0, 8)]
    clipped = made(phantom, tmp_path, start)
    assert clipped.query.patch_size == (24, 8, 8)
    (tmp_path / "b").mkdir()
    whole = made(phantom, tmp_path / "b", [box(case, 0, 0, 0, size="whole")])
    assert whole.query.patch_size == "whole"


def test_a_start_may_hold_whole_cases_beside_patches(phantom, tmp_path):
    first, second = phantom.pool[:2]
    start = [box(second, 0, 8, 8), box(first, 0, 0, 0, size="whole")]
    config = made(phantom, tmp_path, start, [box(second, 8, 0, 0)])
    assert (config.query.patch_size, config.query.patches) == ((8, 8, 8), 1)
    assert config.starting_patches == 2
    drawn = draw_start(resolve(config, phantom), phantom)
    assert [one.patch for one in drawn] == [
        Patch(second, (0, 8, 8), (8, 8, 8)),
        Patch(first, (0, 0, 0), (24, 24, 24)),
    ]
    (tmp_path / "b").mkdir()
    with pytest.raises(DatasetError, match="the patches of a trajectory have one size"):
        made(phantom, tmp_path / "b", [box(second, 0, 8, 8)], start[1:], [box(second, 8, 0, 0)])


def test_overlap_is_that_of_the_union_rounded_up(phantom, tmp_path):
    case = phantom.pool[0]
    config = made(phantom, tmp_path, [box(case, 0, 0, 0)], [box(case, 0, 0, 7)])
    assert config.query.overlap == 0.13


def test_smaller_last_queries_are_taken_as_they_are(phantom, tmp_path):
    case = phantom.pool[0]
    query = [box(case, 8, 8, 0), box(case, 8, 8, 8)]
    config = made(phantom, tmp_path, [box(case, 0, 0, 0)], query, [box(case, 16, 0, 0)])
    assert (config.query.patches, config.query.on_shortfall) == (2, "take_all")


@pytest.mark.parametrize(
    ("loops", "words"),
    [
        ([["pool", [0, 0, 0]], []], "loop 1 holds no patch"),
        ([["validation", [0, 0, 0]]], "not in the pool but validates"),
        ([["pool", [0, 0, 0]], ["pool", [0, 0, 0]]], "lies in those before it"),
        ([["pool", [0, 0, 0]], ["pool", [8, 8, 8], [4, 8, 8]]], "has the size (4, 8, 8), others"),
    ],
)
def test_what_is_no_trajectory_is_refused_and_leaves_nothing(phantom, tmp_path, loops, words):
    parts = {"pool": phantom.pool, "validation": phantom.validation}

    def entry(part, start, size=(8, 8, 8)):
        return box(parts[part][0], *start, size=size)

    with pytest.raises(DatasetError) as caught:
        made(phantom, tmp_path, *[[entry(*loop)] if loop else [] for loop in loops])
    assert words in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["loops"]
