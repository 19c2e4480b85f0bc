"""How long a hand that paints waits for the page, on a crop of 128 x 128 x 64 voxels.

    PYTHONPATH=. python benchmarks/annotate.py

In headless Chromium at 1400 x 900, without a graphics card: milliseconds that one pointer event
takes to paint, all three planes take to draw, and a stroke takes at its end to be counted and kept.
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
BRUSHES = ((5, False), (21, False), (9, True), (21, True), (41, True))
FRAME_MS = 1000 / 30
"""What is slower than this is seen to lag."""

MEASURED = """
(([size, solid]) => {
  Object.assign(app.settings, { size, solid });
  fillWith(() => UNPAINTED);
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
  return [middle(times.paint), middle(times.draw), end, Math.max(...times.paint, ...times.draw)];
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
        print("brush        paint   draw  end of stroke  worst event  [ms]")
        for size, solid in BRUSHES:
            paint, draw, end, worst = tab.ask(MEASURED % (size, str(solid).lower()))
            slow |= paint + draw > FRAME_MS
            name = f"{'ball' if solid else 'disc'} {size}"
            print(f"{name:<10}{paint:8.1f}{draw:7.1f}{end:15.1f}{worst:13.1f}")
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
