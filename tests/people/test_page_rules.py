"""What the page's scripts compute, held against Python, without a stroke."""

import base64
import gzip
import json

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as Outline
from numpy.lib.stride_tricks import sliding_window_view
from scipy.spatial.transform import Rotation

from alsweep.data.case import Box
from alsweep.people.carried import Carried
from alsweep.people.packing import pack, volume_text
from tests.people.pages import task

EXAMPLES = settings(max_examples=25)
angles = st.floats(-180, 180)
edges = st.floats(0.05, 9)


@st.composite
def grids(draw):
    """Shape and affine of a volume, turned, mirrored, sheared or not."""
    axes = Rotation.from_euler("xyz", [draw(angles) for _ in range(3)], degrees=True).as_matrix()
    axes = axes[:, draw(st.permutations(range(3)))]
    axes[:, 1] += draw(st.sampled_from([0.0, 0.0, 0.2])) * axes[:, 0]
    made = np.eye(4)
    made[:3, :3] = axes * [draw(edges) * draw(st.sampled_from([-1, 1])) for _ in range(3)]
    made[:3, 3] = [draw(st.floats(-500, 500)) for _ in range(3)]
    return [draw(st.integers(1, 5)) for _ in range(3)], made


FILE = """
niftiFile(%s, %s, Uint8Array.from(%s)).then((file) => file.toBase64())
"""


@EXAMPLES
@given(grid=grids(), data=st.data())
def test_a_file_is_where_nibabel_would_put_it(tab, grid, data):
    shape, affine = grid
    seed = data.draw(st.integers(0, 2**32 - 1))
    codes = np.random.default_rng(seed).integers(0, 256, shape[::-1], dtype=np.uint8)
    asked = FILE % (shape, json.dumps(affine.tolist()), codes.ravel().tolist())
    file = gzip.decompress(base64.b64decode(tab.ask(asked)))
    image = nib.Nifti1Image.from_bytes(file)
    np.testing.assert_array_equal(np.asarray(image.dataobj).T, codes)
    np.testing.assert_array_equal(image.affine, affine.astype(np.float32))
    ours = image.header
    theirs = nib.Nifti1Image(codes.T, affine).header
    units = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    square = np.allclose(units.T @ units, np.eye(3), atol=1e-4)
    assert (int(ours["qform_code"]), int(ours["sform_code"])) == (2 if square else 0, 2)
    np.testing.assert_allclose(ours["pixdim"][1:4], theirs["pixdim"][1:4], rtol=1e-6)
    if square:
        scale = np.abs(affine).max()
        np.testing.assert_allclose(image.get_qform(), affine, atol=3e-6 * scale)
        assert ours["pixdim"][0] == theirs["pixdim"][0]


@EXAMPLES
@given(data=st.data())
def test_volumes_come_through_the_page_unchanged(tab, data):
    seed, spread = data.draw(st.integers(0, 999)), data.draw(st.sampled_from([1, 300, 65535]))
    codes = np.random.default_rng(seed).integers(0, spread + 1, (2, 3, 4)).astype(np.uint16)
    text = volume_text(codes)
    found = tab.ask(f"gunzip(bytesOf('{text}')).then((b) => [...codesOf(b)])")
    assert found == codes.ravel().tolist()
    slow = f"(Uint8Array.fromBase64 = undefined, bytesOf('{text}').length)"
    assert tab.ask(slow) == len(base64.b64decode(text))


points = st.tuples(st.floats(-3, 12), st.floats(-3, 12))


@EXAMPLES
@given(first=points, last=points)
def test_a_line_leaves_no_gap_and_keeps_to_its_way(tab, first, last):
    cells = np.array(tab.ask(f"lineCells({list(first)}, {list(last)})"))
    np.testing.assert_array_equal(cells[0], np.floor(first))
    np.testing.assert_array_equal(cells[-1], np.floor(last))
    assert np.abs(np.diff(cells, axis=0)).max(initial=0) <= 1
    way = np.linspace(first, last, 2000)
    away = np.abs(cells[:, None] + 0.5 - way).max(axis=2).min(axis=1)
    assert away.max() <= 0.51


@EXAMPLES
@given(corners=st.lists(points, min_size=3, max_size=6))
def test_an_outline_holds_the_centres_that_matplotlib_says(tab, corners):
    found = {tuple(cell) for cell in tab.ask(f"outlineCells({[*map(list, corners)]}, 9, 7)")}
    cells = np.indices((9, 7)).reshape(2, -1).T
    crossed = np.zeros(len(cells), dtype=int)
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        y = cells[:, 1] + 0.5
        if y0 != y1:
            cut = x0 + (y - y0) / (y1 - y0) * (x1 - x0)
            crossed += ((y0 <= y) != (y1 <= y)) & (cut < cells[:, 0] + 0.5)
    assert found == {tuple(cell) for cell in cells[crossed % 2 == 1].tolist()}
    inside = Outline(corners).contains_points(cells + 0.5)
    if len(corners) == 3:
        sure = Outline(corners).contains_points(cells + 0.5, radius=1e-6) == inside
        assert {tuple(c) for c in cells[inside & sure].tolist()} <= found


@EXAMPLES
@given(
    st.lists(
        st.tuples(st.sampled_from(["stir", "pause", "resume", "advance"]), st.floats(0, 100_000)),
        max_size=8,
    )
)
def test_time_passes_only_while_somebody_works(tab, happened):
    """Each moment counts if the tab is seen and the last thing was done less than a minute ago."""
    now, runs, stirred, expected, calls = 0.0, True, 0.0, 0.0, []
    for what, wait in happened:
        if runs:
            expected += max(0.0, min(now + wait, stirred + 60_000) - now)
        now += wait
        calls.append(f"{what}(watch, {now})")
        runs = {"pause": False, "resume": True}.get(what, runs)
        stirred = now if what in ("stir", "resume") else stirred
    asked = f"((watch) => {{ {'; '.join(calls)}; return watch.seconds; }})(stopwatch(5, 0))"
    assert tab.ask(asked) == pytest.approx(5 + expected / 1000, abs=1e-6)


SMOOTH = np.linspace(0, 1, 5000)
NOISE = np.random.default_rng(1).normal(size=5000)


@pytest.mark.parametrize(
    ("values", "slope"),
    [
        (np.arange(-1024, 3072).repeat(3), 1),
        (np.array([0.0, 0.0, 7.0]), 1),
        (np.rint(2000 * SMOOTH + 20 * NOISE), 1),
        (np.rint(20_000 * SMOOTH + 500 * NOISE), 31),
        (SMOOTH, 0.99 / 2048),
        (SMOOTH + 0.02 * NOISE, 0.02 / 16),
        (NOISE, 5.15 / 512),
    ],
)
def test_steps_are_whole_or_below_the_noise(values, slope):
    packed = pack(values)
    assert packed.slope == pytest.approx(slope, rel=0.04)
    back = packed.offset + packed.slope * packed.codes
    limit = 0 if packed.slope == 1 else packed.slope / 2
    assert np.abs(back - values).max() <= limit * (1 + 1e-9)


def test_outliers_and_what_is_no_number_spoil_nothing():
    values = np.random.default_rng(0).normal(size=10_000)
    values[:3] = [1e5, np.nan, np.inf]
    packed = pack(values)
    back = packed.offset + packed.slope * packed.codes
    assert np.abs(back[3:] - values[3:]).max() < 1
    assert back[0] == pytest.approx(1e5)
    assert (back[1], back[2]) == pytest.approx((values[3:].min(), 1e5), abs=1)
    assert pack(np.full(4, np.nan)).codes.tolist() == [0, 0, 0, 0]


@settings(max_examples=8)
@given(
    runs=st.lists(
        st.tuples(st.sampled_from([0, 1, 10, 254, 255]), st.sampled_from([1, 2, 70, 60_000])),
        max_size=3,
    )
)
def test_what_the_database_has_not_confirmed_is_found_again(tab, runs):
    """And handed to it; of another patch nothing is taken."""
    codes = np.concatenate([np.full(n, code, dtype=np.uint8) for code, n in [*runs, (7, 1)]])
    told = json.dumps([[code, n] for code, n in [*runs, (7, 1)]])
    asked = f"""(async (runs) => {{
      const codes = Uint8Array.from(runs.flatMap(([code, n]) => Array(n).fill(code)));
      noteLast(`mine\\n${{runsOf(codes)}}`);
      const other = await keptCodes(app.store, "other", codes.length);
      const found = await keptCodes(app.store, "mine", codes.length);
      const again = await keptCodes(app.store, "mine", codes.length);
      const same = (all) => all.join() === codes.join();
      return [other ?? null, same(found), same(again), localStorage.getItem(LAST), codes.length];
    }})({told})"""
    assert tab.ask(asked) == [None, True, True, None, len(codes)]


FAR = """
(async (blocks, packed, shape) => {
  const texts = Object.entries(blocks).map(([id, text]) => make("p", { id }, text));
  document.body.append(...texts);
  const { codes } = await volumeOf(packed, shape);
  texts.forEach((one) => one.remove());
  return [...codes];
})(%s, %s, %s)
"""


@pytest.mark.parametrize("thick", [1.0, 4.0])
def test_far_from_the_box_an_image_is_coarse(tab, thick):
    """Means along each axis that is not coarse already; near the box it is exact."""
    shape, box = (25, 31, 37), Box(start=(9, 12, 15), size=(3, 5, 4))
    image = np.random.default_rng(0).integers(0, 900, shape).astype(np.float64)
    blank = {"prediction": None, "score": None, "label": np.full(shape, 255, dtype=np.uint8)}
    grid = {"affine": np.diag([1.0, 1.2, thick, 1.0]), "box": box}
    carried = Carried(task("plain", channels={"T1": image}, **grid, **blank), "far")
    channel = carried.description()["channels"][0]
    found = tab.ask(FAR % tuple(map(json.dumps, (carried.blocks, channel, shape[::-1]))))
    values = channel["offset"] + channel["slope"] * np.array(found).reshape(shape)
    factors = (2, 2, 2) if thick == 1 else (1, 3, 3)
    edged = np.pad(image, [(0, -n % f) for n, f in zip(shape, factors, strict=True)], mode="edge")
    blocks = sliding_window_view(edged, factors)[tuple(slice(None, None, f) for f in factors)]
    means = blocks.mean(axis=(3, 4, 5))
    for axis, factor in enumerate(factors):
        means = means.repeat(factor, axis)
    near = tuple(slice(a - 8, a + s + 8) for a, s in zip(box.start, box.size, strict=True))
    expected = means[tuple(map(slice, shape))].copy()
    assert np.abs(values - expected)[:, :3].max() <= 1
    expected[near] = image[near]
    np.testing.assert_array_equal(values[near], image[near])
    assert np.abs(values - expected).max() <= 1
