"""How long a hand that paints waits for the page, on a crop of 128 x 128 x 64 voxels.

    PYTHONPATH=. python benchmarks/annotate.py

In headless Chromium at 1400 x 900, without a graphics card: milliseconds that one pointer event
takes to paint, all three planes take to draw, and a stroke takes at its end to be counted and kept.
The least of several strokes, which other work on the machine leaves alone.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from alsweep.data.case import Box
from alsweep.people.page import write_page
from alsweep.people.page_task import PageTask
from tests.browser import browser, find_chromium

SHAPE, BOX = (64, 128, 128), Box(start=(8, 24, 24), size=(48, 80, 80))
STROKES = 8
BRUSHES = ((5, False), (21, False), (9, True), (21, True), (41, True))
FRAME_MS, END_MS = 1000 / 30, 100
"""What moves slower than the first, or answers slower than the second, is seen to lag."""

MEASURED = """
(([size, solid]) => {
  Object.assign(app.settings, { size, solid });
  fillWith(() => UNPAINTED);
  app.open.history = newHistory();
  const times = { paint: [], draw: [] };
  const timed = (name, work) => {
    const start = performance.now();
    work();
    times[name]?.push(performance.now() - start);
    return performance.now() - start;
  };
  beginStroke(panes[0], [30, 30], "brush");
  for (let n = 1; n <= 60; n++) {
    timed("paint", () => continueStroke([30 + n, 60 + 25 * Math.sin(n / 6)]));
    timed("draw", drawAll);
  }
  const end = timed("end", endStroke);
  const middle = (all) => all.sort((a, b) => a - b)[Math.floor(all.length / 2)];
  return [middle(times.paint), middle(times.draw), end];
})([%d, %s])
"""


def main() -> None:
    """Print a row for each brush; exit 1 where one would lag."""
    program = find_chromium()
    if program is None:
        sys.exit("no Chromium on PATH")
    slow = False
    with tempfile.TemporaryDirectory() as folder, browser(program, Path(folder) / "profile") as tab:
        tab.open(write_page(Path(folder), [_task()], {1: "a", 2: "b"}, "benchmark"))
        tab.ask("ready.then(() => set('scored', true))")
        print("brush        paint   draw  end of stroke  [ms]")
        for size, solid in BRUSHES:
            asked = MEASURED % (size, str(solid).lower())
            paint, draw, end = map(min, zip(*(tab.ask(asked) for _ in range(STROKES)), strict=True))
            slow |= paint + draw > FRAME_MS or end > END_MS
            name = f"{'ball' if solid else 'disc'} {size}"
            print(f"{name:<10}{paint:8.1f}{draw:7.1f}{end:15.1f}")
    sys.exit(slow)


def _task() -> PageTask:
    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.normal(size=SHAPE), 3)
    return PageTask(
        **{"id": "patch", "case": "case", "affine": np.diag([0.8, 0.8, 2.0, 1.0]), "box": BOX},
        channels={"T1": 500 + 4000 * smooth + rng.normal(0, 25, SHAPE)},
        prediction=np.digitize(smooth, [0, 0.05]).astype(np.uint8),
        score=np.abs(smooth),
        label=np.full(SHAPE, 255, dtype=np.uint8),
        why="",
    )


if __name__ == "__main__":
    main()
