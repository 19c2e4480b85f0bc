import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from alsweep import PartialLabels, Patch
from alsweep.data.label_store import IGNORE
from alsweep.errors import DatasetError

SHAPES = {"a": (9, 8, 7), "b": (5, 6, 12)}
CLASSES = 3
TRUTH = {
    case: np.random.default_rng(i)
    .choice([0, 1, 2, IGNORE], size=shape, p=[0.6, 0.2, 0.1, 0.1])
    .astype(np.uint8)
    for i, (case, shape) in enumerate(SHAPES.items())
}


class Annotator:
    """Looks labels up, and counts how often it is asked."""

    def __init__(self):
        self.asked = 0

    def reveal(self, case, start, size):
        self.asked += 1
        return TRUTH[case][tuple(slice(a, a + s) for a, s in zip(start, size, strict=True))]


@st.composite
def patches(draw):
    case = draw(st.sampled_from(sorted(SHAPES)))
    size = tuple(draw(st.integers(1, n)) for n in SHAPES[case])
    start = tuple(draw(st.integers(0, n - s)) for n, s in zip(SHAPES[case], size, strict=True))
    return Patch(case, start, size)


def model(chosen):
    """Per case a boolean mask of what is annotated: the dense truth that the store never makes."""
    masks = {case: np.zeros(shape, dtype=bool) for case, shape in SHAPES.items()}
    for patch in chosen:
        masks[patch.case][patch.slices] = True
    return masks


def labels(chosen=()):
    return PartialLabels(SHAPES, CLASSES, Annotator(), chosen)


many = st.lists(patches(), max_size=8)


@settings(deadline=None, derandomize=True)
@given(many, patches(), st.tuples(*[st.integers(-4, 4)] * 3))
def test_a_window_shows_what_is_annotated_and_nothing_else(chosen, window, shift):
    start = tuple(a + b for a, b in zip(window.start, shift, strict=True))
    masks = model(chosen)
    dense = np.where(masks[window.case], TRUTH[window.case], IGNORE)
    padded = np.pad(dense, 12, constant_values=IGNORE)
    expected = padded[
        tuple(slice(a + 12, a + 12 + s) for a, s in zip(start, window.size, strict=True))
    ]
    assert np.array_equal(labels(chosen).window(window.case, start, window.size), expected)


@settings(deadline=None, derandomize=True)
@given(many)
def test_voxels_are_counted_once_however_often_they_are_annotated(chosen):
    masks, store = model(chosen), labels(chosen)
    per_case = {
        case: np.bincount(TRUTH[case][mask], minlength=256)[:CLASSES]
        for case, mask in masks.items()
    }
    assert store.annotated_voxels() == sum(int(mask.sum()) for mask in masks.values())
    assert np.array_equal(store.class_voxels(), sum(per_case.values()))
    for case, expected in per_case.items():
        assert np.array_equal(store.class_voxels(case), expected)


@settings(deadline=None, derandomize=True)
@given(many, many)
def test_adding_patches_equals_beginning_with_them(first, second):
    grown, whole = labels(first).with_patches(second), labels([*first, *second])
    assert grown.patches == whole.patches == (*first, *second)
    assert grown.cases == tuple(sorted({p.case for p in (*first, *second)}))
    assert np.array_equal(grown.class_voxels(), whole.class_voxels())
    for case in SHAPES:
        assert grown.boxes(case) == tuple(p for p in (*first, *second) if p.case == case)
        everything = (case, (0, 0, 0), SHAPES[case])
        assert np.array_equal(grown.window(*everything), whole.window(*everything))


FREE = {
    "a": np.where(np.random.default_rng(9).random(SHAPES["a"]) < 0.3, 0, IGNORE).astype(np.uint8)
}


@settings(deadline=None, derandomize=True)
@given(many, patches(), st.tuples(*[st.integers(-4, 4)] * 3))
def test_free_labels_show_where_no_label_is_annotated_and_are_never_billed(chosen, window, shift):
    start = tuple(a + b for a, b in zip(window.start, shift, strict=True))
    store, plain = (
        PartialLabels(SHAPES, CLASSES, Annotator(), chosen, free=FREE.get),
        labels(chosen),
    )
    shown, annotated = (s.window(window.case, start, window.size) for s in (store, plain))
    padded = np.pad(
        FREE.get(window.case, TRUTH[window.case] * 0 + IGNORE), 12, constant_values=IGNORE
    )
    free = padded[tuple(slice(a + 12, a + 12 + s) for a, s in zip(start, window.size, strict=True))]
    assert np.array_equal(shown, np.where(annotated == IGNORE, free, annotated))
    assert store.annotated_voxels() == plain.annotated_voxels()
    assert np.array_equal(store.class_voxels(), plain.class_voxels())
    assert store.cases == plain.cases
    assert np.array_equal(store.with_patches([]).window(window.case, start, window.size), shown)


@settings(deadline=None, derandomize=True)
@given(many, patches())
def test_the_overlap_of_a_candidate_is_that_of_the_mask(chosen, candidate):
    store = PartialLabels(SHAPES, CLASSES, Annotator(), chosen, free=FREE.get)
    taken = model(chosen)[candidate.case][candidate.slices]
    assert store.overlap(candidate) == pytest.approx(taken.mean())


def test_the_overlap_is_that_of_the_union_not_the_sum():
    twice = [Patch("a", (0, 0, 0), (4, 4, 4)), Patch("a", (0, 0, 0), (4, 4, 2))]
    assert labels(twice).overlap(Patch("a", (2, 0, 0), (4, 4, 4))) == 0.5


def test_boxes_of_other_cases_are_never_looked_at(monkeypatch):
    from alsweep.data import label_store

    asked = []
    meeting = label_store._Boxes.meeting
    monkeypatch.setattr(
        label_store._Boxes,
        "meeting",
        lambda self, *box: (asked.append(len(self.patches)), meeting(self, *box))[1],
    )
    store = labels([Patch("a", (0, 0, 0), (1, 1, 1))] * 500 + [Patch("b", (0, 0, 0), (2, 2, 2))])
    store.window("b", (0, 0, 0), (4, 4, 4))
    store.overlap(Patch("b", (0, 0, 0), (2, 2, 2)))
    assert asked == [1, 1]


def test_a_new_loop_indexes_only_the_cases_that_it_touches():
    store = labels([Patch("a", (0, 0, 0), (1, 1, 1)), Patch("b", (0, 0, 0), (1, 1, 1))])
    more = store.with_patches([Patch("b", (1, 1, 1), (1, 1, 1))])
    assert more._boxes["a"] is store._boxes["a"]
    assert len(store.boxes("b")) == 1


def test_where_answers_differ_the_later_box_counts():
    answers = iter([1, 2])

    class Fickle:
        def reveal(self, case, start, size):
            return np.full(size, next(answers), dtype=np.uint8)

    boxes = [Patch("a", (0, 0, 0), (2, 2, 2)), Patch("a", (1, 0, 0), (2, 2, 2))]
    store = PartialLabels(SHAPES, CLASSES, Fickle(), boxes)
    for patch in boxes:
        store.crop(patch)
    assert store.window("a", (0, 0, 0), (3, 1, 1)).ravel().tolist() == [1, 2, 2]
    assert store.class_voxels().tolist() == [0, 4, 8]


def test_the_annotator_is_asked_once_per_patch_also_over_loops():
    annotator = Annotator()
    first = Patch("a", (0, 0, 0), (4, 4, 4))
    store = PartialLabels(SHAPES, CLASSES, annotator, [first])
    store.class_voxels()
    store.window("a", (0, 0, 0), (4, 4, 4))
    more = store.with_patches([Patch("b", (0, 0, 0), (2, 2, 2))])
    more.crop(first)
    more.class_voxels()
    assert annotator.asked == 2


def test_counting_voxels_asks_nobody():
    annotator = Annotator()
    store = PartialLabels(SHAPES, CLASSES, annotator, [Patch("a", (0, 0, 0), (4, 4, 4))])
    assert store.annotated_voxels() == 64
    assert annotator.asked == 0


def test_crops_cannot_be_changed_and_windows_can():
    patch = Patch("a", (0, 0, 0), (2, 2, 2))
    store = labels([patch])
    with pytest.raises(ValueError, match="read-only"):
        store.crop(patch)[0, 0, 0] = 1
    store.window("a", (0, 0, 0), (2, 2, 2))[...] = 7
    assert 7 not in store.window("a", (0, 0, 0), (2, 2, 2))


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        (Patch("c", (0, 0, 0), (1, 1, 1)), "case 'c' is not in the pool"),
        (Patch("a", (0, 0, 5), (2, 2, 3)), "leaves case 'a'"),
        (Patch("a", (-1, 0, 0), (2, 2, 2)), "leaves case 'a'"),
        (Patch("a", (0, 0, 0), (0, 2, 2)), "leaves case 'a'"),
    ],
)
def test_a_patch_that_cannot_be_is_refused(patch, message):
    with pytest.raises(DatasetError, match=message):
        labels([patch])


@pytest.mark.parametrize("answer", [np.zeros((2, 2, 1), np.uint8), np.zeros((2, 2, 2), np.int64)])
def test_an_answer_of_another_size_or_type_is_refused(answer):
    class Wrong:
        def reveal(self, case, start, size):
            return answer

    store = PartialLabels(SHAPES, CLASSES, Wrong(), [Patch("a", (0, 0, 0), (2, 2, 2))])
    with pytest.raises(DatasetError, match="annotate it again"):
        store.class_voxels()


NAMES, SPACING = ("background", "organ", "lesion"), (2.0, 1.0, 1.0)
FIRST, SECOND = Patch("a", (0, 0, 0), (4, 4, 4)), Patch("b", (1, 1, 1), (3, 3, 3))


def written(path, case):
    return zarr.open_group(path, mode="r")[case]["0"][:]


def test_the_zarr_shows_the_windows(tmp_path):
    store = labels([FIRST, SECOND])
    store.write_zarr(tmp_path / "labels.zarr", NAMES, SPACING)
    for case, shape in SHAPES.items():
        expected = store.window(case, (0, 0, 0), shape)
        assert np.array_equal(written(tmp_path / "labels.zarr", case), expected)
    group = zarr.open_group(tmp_path / "labels.zarr", mode="r")
    assert group.attrs["ome"] == {"version": "0.5", "labels": ["a", "b"]}
    array = group["a/0"]
    assert (array.fill_value, array.dtype, array.shards) == (IGNORE, np.uint8, (9, 8, 7))
    scale = group["a"].attrs["ome"]["multiscales"][0]["datasets"][0]
    assert scale["coordinateTransformations"] == [{"type": "scale", "scale": [2.0, 1.0, 1.0]}]


def test_only_cases_with_new_patches_are_written_again(tmp_path):
    path = tmp_path / "labels.zarr"
    store = labels([FIRST, SECOND])
    store.write_zarr(path, NAMES, SPACING)
    before = {case: (path / case / "0/c.0.0.0").stat().st_ino for case in SHAPES}
    more = store.with_patches([Patch("b", (0, 3, 8), (2, 2, 2))])
    more.write_zarr(path, NAMES, SPACING)
    assert (path / "a/0/c.0.0.0").stat().st_ino == before["a"]
    assert (path / "b/0/c.0.0.0").stat().st_ino != before["b"]
    assert np.array_equal(written(path, "b"), more.window("b", (0, 0, 0), SHAPES["b"]))
    assert sorted(p.name for p in path.iterdir()) == ["a", "b", "zarr.json"]


def _truncate(path):
    chunk = path / "a/0/c.0.0.0"
    chunk.write_bytes(chunk.read_bytes()[:-9])


def _zeros(path):
    chunk = path / "a/0/c.0.0.0"
    chunk.write_bytes(bytes(chunk.stat().st_size))


@pytest.mark.parametrize(
    "tear",
    [
        _truncate,
        _zeros,
        lambda path: (path / "a/0/c.0.0.0").unlink(),
        lambda path: (path / "a/0/zarr.json").unlink(),
        lambda path: (path / "a/0/zarr.json").write_bytes(b""),
        lambda path: (path / "stranger").mkdir(),
        lambda path: (path / "a/zarr.json").unlink(),
        lambda path: (path / "a/zarr.json").write_text("{"),
        lambda path: (path / "a/zarr.json").write_text("[]"),
        lambda path: (path / "a").rename(path / ".a.old.tmp"),
        lambda path: (path / "zarr.json").unlink(),
    ],
)
def test_a_torn_zarr_is_rebuilt(tmp_path, tear):
    path = tmp_path / "labels.zarr"
    store = labels([FIRST, SECOND])
    store.write_zarr(path, NAMES, SPACING)
    tear(path)
    store.write_zarr(path, NAMES, SPACING)
    assert np.array_equal(written(path, "a"), store.window("a", (0, 0, 0), SHAPES["a"]))
    assert sorted(p.name for p in path.iterdir()) == ["a", "b", "zarr.json"]
