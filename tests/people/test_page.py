"""The page as a file: one, small, closed to the network, and refused for what cannot be."""

import base64
import hashlib
import re

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from alsweep.data.case import Box
from alsweep.people.page import write_page
from tests.people.pages import AFFINES, CLASSES, SHAPE, task


def test_it_names_its_own_script_and_nothing_outside(tmp_path):
    path = write_page(tmp_path / "new" / "loop_001", [task("flat")], CLASSES, "<b>&")
    assert path == tmp_path / "new" / "loop_001" / "annotate.html"
    text = path.read_text("utf-8")
    script = re.findall("<script>(.*?)</script>", text, re.DOTALL)
    assert len(script) == 1
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert f"default-src 'none'; script-src 'sha256-{digest}'" in text
    assert not re.search(r"(src|href)=|https?://|@import|url\(", text.replace("link.href =", ""))
    assert "<title>&lt;b&gt;&amp; · annotate</title>" in text


def key_of(path) -> str:
    return re.search('"key":"([0-9a-f]+)"', path.read_text("utf-8"))[1]


def keys_of(path) -> list[str]:
    """Of the patches."""
    return re.findall('"key":"([0-9a-f]+)"', path.read_text("utf-8"))[1:]


def test_progress_is_kept_by_patch_whatever_else_is_on_the_page(tmp_path):
    """A patch that was skipped moves those below it up, and they say another rank."""
    flat, plain = keys_of(write_page(tmp_path / "a", [task("flat"), task("plain")], CLASSES, "one"))
    moved = [task("oblique"), task("plain", why="rank 1"), task("flat", why="rank 2")]
    assert keys_of(write_page(tmp_path / "b", moved, CLASSES, "one"))[1:] == [plain, flat]
    others = [
        task("flat", id="loop_002-flat"),
        task("flat", affine=AFFINES["oblique"]),
        task("flat", box=Box(start=(3, 4, 2), size=(8, 9, 8))),
        task("flat", channels={"CT": task("flat").channels["CT"]}),
    ]
    keys = [keys_of(write_page(tmp_path / "c", [one], CLASSES, "one"))[0] for one in others]
    assert len({flat, *keys}) == len(others) + 1


def test_the_key_of_a_page_follows_from_all_that_it_shows(tmp_path):
    first = key_of(write_page(tmp_path / "a", [task("flat")], CLASSES, "one"))
    assert key_of(write_page(tmp_path / "b", [task("flat")], CLASSES, "two")) == first
    others = [
        [task("flat", id="loop_002-flat")],
        [task("flat", affine=AFFINES["oblique"])],
        [task("flat", box=Box(start=(3, 4, 2), size=(8, 9, 8)))],
        [task("flat", prediction=None)],
        [task("flat", channels={"CT": task("flat").channels["CT"]})],
        [task("flat"), task("plain")],
    ]
    keys = {key_of(write_page(tmp_path / "c", tasks, CLASSES, "one")) for tasks in others}
    assert len(keys | {first}) == len(others) + 1


def test_what_cannot_be_shown_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one task"):
        write_page(tmp_path, [], CLASSES, "none")
    with pytest.raises(ValueError, match="id of its own"):
        write_page(tmp_path, [task("flat"), task("flat")], CLASSES, "twice")
    with pytest.raises(ValueError, match="from 0 to 254"):
        write_page(tmp_path, [task("flat")], {1: "a", 255: "b"}, "ignore")
    for name in ("label", "prediction"):
        codes = np.full(SHAPE, 3, dtype=np.uint8)
        with pytest.raises(ValueError, match=r"'loop_001-flat': codes \[3\] are no class's"):
            write_page(tmp_path, [task("flat", **{name: codes})], CLASSES, "alien")
    assert not list(tmp_path.iterdir())


def test_twenty_patches_of_64_voxels_with_context_take_less_than_30_mb(tmp_path):
    """Of a noisy image of real numbers; one patch stands for all."""
    rng = np.random.default_rng(0)
    shape, box = (160, 160, 160), Box(start=(48, 48, 48), size=(64, 64, 64))
    ramp = np.linspace(0, 1, 160)[:, None, None]
    image = 500 * ramp + rng.normal(0, 25, shape)
    smooth = gaussian_filter(rng.random(shape), 1)
    codes = (smooth < 0.2 + 0.6 * ramp).astype(np.uint8)
    large = {
        **{"box": box, "channels": {"T1": image}, "prediction": codes},
        **{"score": smooth, "label": np.full(shape, 255, dtype=np.uint8)},
    }
    path = write_page(tmp_path, [task("plain", **large)], CLASSES, "large")
    assert 20 * path.stat().st_size < 30e6
