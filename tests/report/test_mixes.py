import numpy as np
import pytest

from alsweep.geometry import Patch
from alsweep.report.mixes import mix_figure, query_mix
from alsweep.results.mix import ClassMix
from alsweep.results.records import QueriedPatch

CLASSES = ("background", "liver", "tumour")


def test_a_mix_is_counted_on_the_reference_labels(volumes):
    patch = Patch("a", (8, 8, 8), (8, 8, 8))
    crop = volumes.reference("a")[8:16, 8:16, 8:16]
    mix = query_mix(volumes, [QueriedPatch(patch), QueriedPatch(Patch("a", (0, 0, 0), (2, 2, 2)))])
    assert mix.voxels == tuple(int((crop == c).sum()) + (8 if c == 0 else 0) for c in range(3))
    assert mix.patches[1:] == (1, 1)


def test_bars_stack_the_shares_of_the_foreground_classes():
    mixes = [
        ("start", ClassMix((50, 40, 10), (3, 2, 1))),
        ("query 1", ClassMix((80, 0, 20), (3, 0, 2))),
    ]
    figure = mix_figure(mixes, ClassMix((90, 5, 5), ()), CLASSES, "title")
    (axes,) = figure.axes
    liver, tumour = axes.containers
    assert [bar.get_height() for bar in liver] == pytest.approx([40, 0, 5])
    assert [bar.get_height() for bar in tumour] == pytest.approx([10, 20, 5])
    assert [bar.get_y() for bar in tumour] == pytest.approx([40, 0, 5])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["start", "query 1", "pool"]
    notes = [text.get_text() for text in axes.texts]
    assert notes == ["50 %\nin 2, 1", "20 %\nin 0, 2", "10 %"]


def test_a_query_of_background_alone_can_be_drawn():
    nothing = ClassMix((8, 0, 0), (1, 0, 0))
    (axes,) = mix_figure([("query 1", nothing)], nothing, CLASSES, "").axes
    assert np.isfinite(axes.get_ylim()).all()
