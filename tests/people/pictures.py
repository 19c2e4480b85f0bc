"""Takes the pictures of docs/people.md: the page on which patches are labelled, in its steps.

    PYTHONPATH=. python -m tests.people.pictures docs

The patches are of the ICBM 152 template, which ships inside nilearn, with noise; what is predicted
follows from its grey values alone, so there is something to correct.
"""

import io
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import nilearn.datasets
import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from alsweep.data.case import Box
from alsweep.people.page import write_page
from alsweep.people.page_task import PageTask
from tests.browser import Browser, browser, find_chromium

CLASSES = {0: "background", 1: "CSF", 2: "grey matter", 3: "white matter"}
PATCH, CONTEXT = 56, 40
CORNERS = ((96, 74, 66), (50, 98, 58), (88, 40, 40), (62, 128, 70))
"""Lowest corners of the boxes in the template, ``(x, y, z)``."""

SHOWN = (1280, 880)
_COLOURS = 256


def main(folder: Path) -> None:
    """Write people-*.png."""
    program = find_chromium()
    if program is None:
        sys.exit("no Chromium on PATH")
    with tempfile.TemporaryDirectory() as room:
        page = write_page(Path(room) / "loop_002", _tasks(), CLASSES, "Brain tissue · loop 2")
        with browser(program, Path(room) / "profile") as tab:
            tab.downloads_to(Path(room) / "files")
            tab.open(page, *SHOWN)
            tab.ask("ready")
            for name in _steps(tab):
                tab.ask("byId('notice').hidden ||= true; new Promise((d) => setTimeout(d, 300))")
                _write(folder / f"people-{name}.png", tab.picture())


def _steps(tab: Browser) -> Iterator[str]:
    """What a person does, up to each picture."""
    tab.ask("document.getElementById('annotator').focus()")
    for letter in "J. Roe":
        tab.press(letter)
    tab.ask("document.activeElement.blur(); app.open.watch.seconds = 4; showClock()")
    yield "begin"
    tab.press("s")
    yield "score"
    tab.press("s")
    tab.press("A", shift=True)
    tab.press("2")
    tab.ask("set('size', 7); app.open.watch.seconds = 96; showClock()")
    _stroke(tab, [(0.36, 0.55), (0.40, 0.50), (0.45, 0.47)])
    yield "paint"
    tab.press("z")
    tab.press("l")
    _stroke(tab, [(0.42, 0.36), (0.5, 0.33), (0.58, 0.36), (0.56, 0.44), (0.47, 0.45)], up=False)
    yield "outline"
    tab.mouse("Released", 1, 1, button="left", clickCount=1)
    tab.press("z")
    tab.press("b")
    tab.press("D", shift=True)
    tab.press("n")
    tab.ask("new Promise((done) => setTimeout(done, 1500))")
    tab.ask("accept(); app.open.watch.seconds = 171; toggleDone()")
    tab.press("S", shift=True)
    tab.scheme("dark")
    yield "done"
    tab.scheme("light")
    tab.press("?")
    yield "keys"


def _stroke(tab: Browser, shares: list[tuple[float, float]], *, up: bool = True) -> None:
    """Drag through shares of the axial plane's width and height."""
    box = tab.ask(
        "(({x, y, width, height}) => [x, y, width, height])"
        "(panes[0].canvas.getBoundingClientRect())"
    )
    places = [(box[0] + a * box[2], box[1] + b * box[3]) for a, b in shares]
    held = {"button": "left", "buttons": 1}
    tab.mouse("Moved", *places[0])
    tab.mouse("Pressed", *places[0], clickCount=1, **held)
    for place in places[1:]:
        tab.mouse("Moved", *place, **held)
    if up:
        tab.mouse("Released", *places[-1], button="left", clickCount=1)


def _write(path: Path, png: bytes) -> None:
    """In few colours, the rare ones kept: those of the classes."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    small = image.quantize(_COLOURS, Image.Quantize.MAXCOVERAGE, 3, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


def _tasks() -> list[PageTask]:
    folder = Path(nilearn.datasets.__file__).parent / "data"
    template = nib.load(folder / "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz")
    t1 = np.asarray(template.dataobj, dtype=np.float32)
    rng = np.random.default_rng(3)
    noisy = 900 * t1 / np.quantile(t1, 0.999) + rng.normal(0, 26, t1.shape)
    return [_task(n, noisy, template.affine, corner) for n, corner in enumerate(CORNERS)]


def _task(number: int, t1: np.ndarray, affine: np.ndarray, corner: tuple[int, ...]) -> PageTask:
    low = np.array(corner) - CONTEXT
    crop = t1[tuple(slice(at, at + PATCH + 2 * CONTEXT) for at in low)].T
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ low
    smooth = gaussian_filter(crop, 0.9)
    edges = np.array([120, 420, 640]) + 12 * number
    away = np.abs(smooth[..., None] - edges).min(axis=-1)
    return PageTask(
        id=f"loop_002-patch_{number + 1:02d}",
        case=f"BrainTissue_{3 + 4 * number:03d}",
        channels={"T1": np.rint(crop)},
        affine=moved,
        box=Box(start=(CONTEXT,) * 3, size=(PATCH,) * 3),
        prediction=np.digitize(smooth, edges).astype(np.uint8),
        score=gaussian_filter(np.exp(-away / 40), 1),
        label=np.full(crop.shape, 255, dtype=np.uint8),
        why=f"Rank {number + 1} of 412 by predictive entropy, {0.61 - 0.04 * number:.2f} nats a "
        "voxel. Mostly grey matter; the nearest labelled patch lies 41 mm away.",
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
