import tracemalloc

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from alsweep.data.labels.sparse import chunk_size, is_whole, touched_chunks, write_sparse_label
from alsweep.label_codes import IGNORE


def write(folder, labels, chunks):
    """Write a dense map through the door for sparse ones."""

    def window(start, size):
        padded = np.pad(labels, [(0, s) for s in size], constant_values=IGNORE)
        return padded[tuple(slice(a, a + s) for a, s in zip(start, size, strict=True))]

    write_sparse_label(folder, labels.shape, chunks, window, {"alsweep": {"who": "test"}})


def every_chunk(shape):
    return touched_chunks(shape, [((0, 0, 0), shape)])


@given(st.tuples(*[st.integers(1, 150)] * 3), st.integers(0, 2**32 - 1))
def test_zarr_reads_back_what_was_written(tmp_path_factory, shape, seed):
    rng = np.random.default_rng(seed)
    labels = np.full(shape, IGNORE, np.uint8)
    start = [int(rng.integers(n)) for n in shape]
    size = [int(rng.integers(1, n - a + 1)) for n, a in zip(shape, start, strict=True)]
    box = tuple(slice(a, a + s) for a, s in zip(start, size, strict=True))
    labels[box] = rng.integers(0, 4, size)
    folder = tmp_path_factory.mktemp("sparse") / "label"
    write(folder, labels, touched_chunks(shape, [(tuple(start), tuple(size))]))
    array = zarr.open_array(folder / "0", mode="r")
    assert np.array_equal(array[:], labels)
    assert np.array_equal(array[box], labels[box])
    assert is_whole(folder, shape, {"who": "test"})


@given(
    st.tuples(*[st.integers(1, 300)] * 3).flatmap(
        lambda shape: st.tuples(st.just(shape), st.tuples(*[st.integers(0, n - 1) for n in shape]))
    ),
    st.tuples(*[st.integers(1, 30)] * 3),
)
def test_a_chunk_is_touched_iff_it_shares_a_voxel(shape_and_start, size):
    shape, start = shape_and_start
    size = tuple(min(s, n - a) for s, n, a in zip(size, shape, start, strict=True))
    where = (np.argwhere(np.ones(size)) + start) // np.array(chunk_size(shape))
    assert touched_chunks(shape, [(start, size)]) == sorted(set(map(tuple, where.tolist())))


def test_chunks_without_labels_take_no_bytes(tmp_path):
    labels = np.full((128, 128, 128), IGNORE, np.uint8)
    labels[0, 0, 0] = 1
    write(tmp_path / "a", labels, every_chunk(labels.shape))
    write(tmp_path / "b", labels, [(0, 0, 0)])
    sizes = [(tmp_path / name / "0/c.0.0.0").stat().st_size for name in "ab"]
    assert sizes[0] == sizes[1] < 300
    labels[:] = IGNORE
    write(tmp_path / "c", labels, every_chunk(labels.shape))
    assert [p.name for p in (tmp_path / "c/0").iterdir()] == ["zarr.json"]
    assert (zarr.open_array(tmp_path / "c/0", mode="r")[:] == IGNORE).all()
    assert is_whole(tmp_path / "c", (128, 128, 128), {"who": "test"})


def test_memory_is_that_of_chunks_not_of_the_case(tmp_path):
    shape = (512, 512, 512)
    boxes = [((64 * i, 0, 448), (64, 64, 64)) for i in range(8)]
    rng = np.random.default_rng(0)
    write_sparse_label(tmp_path / "warm", (4, 4, 4), [], lambda a, s: None, {"alsweep": {}})
    tracemalloc.start()
    write_sparse_label(
        tmp_path / "big",
        shape,
        touched_chunks(shape, boxes),
        lambda start, size: rng.integers(0, 2, size).astype(np.uint8),
        {"alsweep": {}},
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Eight chunks of a quarter MiB, int64 while they are made; the case would be 128 MiB.
    assert peak < 8 * 2**20


@pytest.mark.parametrize("other", [{"who": "somebody"}, {}, {"who": "test", "more": "notes"}])
def test_a_label_of_other_notes_is_not_the_one_that_is_wanted(tmp_path, other):
    write(tmp_path / "a", np.zeros((4, 4, 4), np.uint8), [(0, 0, 0)])
    assert is_whole(tmp_path / "a", (4, 4, 4), {"who": "test"})
    assert not is_whole(tmp_path / "a", (4, 4, 4), other)
    assert not is_whole(tmp_path / "a", (4, 4, 5), {"who": "test"})
    assert not is_whole(tmp_path / "b", (4, 4, 4), {"who": "test"})


def test_another_map_in_its_place_leaves_nothing_of_the_old(tmp_path):
    write(tmp_path / "a", np.zeros((4, 4, 4), np.uint8), [(0, 0, 0)])
    write(tmp_path / "a", np.full((4, 4, 4), IGNORE, np.uint8), [])
    assert is_whole(tmp_path / "a", (4, 4, 4), {"who": "test"})
    assert (zarr.open_array(tmp_path / "a/0", mode="r")[:] == IGNORE).all()
    write(tmp_path / "a", np.ones((9, 70, 2), np.uint8), [(0, 0, 0), (0, 1, 0)])
    assert (zarr.open_array(tmp_path / "a/0", mode="r")[:] == np.ones((9, 70, 2))).all()
    assert not list(tmp_path.rglob("*.tmp"))
