"""Which classes the queries of a trajectory are made of, over its loops."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from alsweep.report.drawing import plain
from alsweep.report.slices import CONTOURS, INK, PAPER
from alsweep.report.volumes import Volumes
from alsweep.results.mix import ClassMix, class_mix
from alsweep.results.records import QueriedPatch

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def query_mix(volumes: Volumes, queried: Sequence[QueriedPatch]) -> ClassMix:
    """Classes in the reference labels of a query."""
    crops = (volumes.reference(one.patch.case)[one.patch.slices] for one in queried)
    return class_mix(crops, len(volumes.classes))


def mix_figure(
    mixes: Sequence[tuple[str, ClassMix]], pool: ClassMix, classes: Sequence[str], title: str
) -> Figure:
    """Draw the share of each foreground class in each query, as stacked bars.

    Args:
        mixes: Name and classes of each query, in order.
        pool: Classes of the whole pool, for comparison; without patches.
        classes: Class names; the index is the label.
        title: Stands above.
    """
    bars = [*mixes, ("pool", pool)]
    width = max(4.5, 0.8 * len(bars) + 1.6)
    figure = Figure(figsize=(width, 3.4), facecolor=PAPER, dpi=150, layout="constrained")
    axes = figure.add_subplot(facecolor=PAPER)
    base = [0.0] * len(bars)
    for label, name in enumerate(classes[1:], start=1):
        heights = [100 * mix.shares[label] for _, mix in bars]
        colour = CONTOURS[(label - 1) % len(CONTOURS)]
        axes.bar(range(len(bars)), heights, 0.7, bottom=base, color=colour, label=plain(name))
        base = [low + height for low, height in zip(base, heights, strict=True)]
    for place, (top, (_, mix)) in enumerate(zip(base, bars, strict=True)):
        note = f"\nin {', '.join(map(str, mix.patches[1:]))}" if mix.patches else ""
        axes.annotate(
            f"{top:.2g} %{note}", (place, top), color=INK, fontsize=6.5, ha="center", va="bottom"
        )
    axes.set_ylim(0, max(base) * 1.25 + 1e-6)
    axes.set_xticks(range(len(bars)), [name for name, _ in bars])
    axes.set_ylabel("share of voxels [%]")
    axes.set_title(title, fontsize=8)
    _in_ink(axes)
    legend = axes.legend(fontsize=7, frameon=False, ncols=min(4, len(classes) - 1), loc="best")
    for text in legend.get_texts():
        text.set_color(INK)
    return figure


def _in_ink(axes: "Axes") -> None:
    axes.tick_params(colors=INK, labelsize=7)
    axes.yaxis.label.set_color(INK)
    axes.title.set_color(INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
