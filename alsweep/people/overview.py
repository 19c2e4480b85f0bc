"""One picture of all patches that somebody is asked to label."""

from __future__ import annotations

import io
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from alsweep.label_codes import IGNORE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alsweep.people.page_task import PageTask

MOST_SHOWN = 40
_COLUMNS = 5
_INCHES = 2.4


def overview(tasks: Sequence[PageTask]) -> bytes:
    """A PNG: for each patch the plane across z through its middle, with box and prediction.

    Args:
        tasks: In the order in which they are shown; the first forty are.
    """
    from matplotlib.figure import Figure

    shown = tasks[:MOST_SHOWN]
    columns = min(_COLUMNS, len(shown))
    rows = ceil(len(shown) / columns)
    size = (_INCHES * columns, (_INCHES + 0.3) * rows)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for place, task in zip(axes, shown, strict=False):
        _draw(place, task)
    for place in axes:
        place.set_axis_off()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def _draw(place: Any, task: PageTask) -> None:
    from matplotlib.patches import Rectangle

    z = task.box.start[0] + task.box.size[0] // 2
    image = next(iter(task.channels.values()))[z]
    low, high = np.percentile(image, (1, 99))
    spacing = np.linalg.norm(task.affine[:3, :3], axis=0)
    # Upwards, so that in the usual orientation the front of the body is on top.
    drawn = {"origin": "lower", "aspect": float(spacing[1] / spacing[0])}
    place.imshow(image, cmap="gray", vmin=low, vmax=max(float(high), float(low) + 1e-6), **drawn)
    if task.prediction is not None:
        codes = np.where(task.prediction[z] == IGNORE, 0, task.prediction[z])
        seen = np.ma.masked_equal(codes, 0)
        place.imshow(
            seen, cmap="tab10", vmin=0, vmax=9, alpha=0.4, interpolation="nearest", **drawn
        )
    (_, y, x), (_, height, width) = task.box.start, task.box.size
    place.add_patch(
        Rectangle((x - 0.5, y - 0.5), width, height, fill=False, edgecolor="gold", linewidth=1.5)
    )
    place.set_title(task.id, fontsize=7)
