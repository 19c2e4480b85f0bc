import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba

from alsweep.data.labels.revealing import revealed
from alsweep.geometry import Patch
from alsweep.report.slices import (
    BOX,
    CONTOURS,
    SHARED_BOX,
    Panel,
    overview_figure,
    pair_figure,
    patch_figure,
    rows_figure,
)
from alsweep.report.views import look
from alsweep.results.records import QueriedPatch
from tests.report.conftest import BallVolumes

PATCH = QueriedPatch(Patch("a", (4, 8, 2), (8, 8, 16)), 0.25)


def pixels(figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3] / 255


def shows(image: np.ndarray, colour: str) -> bool:
    return bool((np.abs(image - to_rgba(colour)[:3]).max(axis=-1) < 0.06).sum() > 20)


def test_a_patch_is_shown_on_three_planes_with_its_box(volumes):
    figure = patch_figure(volumes, PATCH, "title")
    boxes = [axes.patches[0].get_bbox().bounds for axes in figure.axes]
    # (lowest column, lowest row, columns, rows), half a voxel before the voxel centre.
    assert boxes == [(1.5, 7.5, 16, 8), (1.5, 3.5, 16, 8), (7.5, 3.5, 8, 8)]


def test_slices_go_through_the_centre_of_the_patch(volumes):
    figure = patch_figure(volumes, PATCH, "title")
    image = volumes.image("a")[0]
    shown = [axes.images[0].get_array() for axes in figure.axes]
    np.testing.assert_array_equal(shown[0], image[8])
    np.testing.assert_array_equal(shown[1], image[:, 12])
    np.testing.assert_array_equal(shown[2], image[:, :, 10])


def test_grey_values_mean_the_same_in_all_slices_of_a_case(volumes):
    inside = rows_figure(volumes, [PATCH], "").axes[0].images[0]
    outside = rows_figure(volumes, [QueriedPatch(Patch("a", (0, 0, 0), (2, 2, 2)))], "")
    assert outside.axes[0].images[0].get_array().max() == 0
    assert outside.axes[0].images[0].get_clim() == inside.get_clim()


def test_anisotropic_voxels_keep_their_shape(volumes):
    aspects = [axes.get_aspect() for axes in patch_figure(volumes, PATCH, "").axes]
    assert aspects == [1.0, 2.0, 2.0]


def test_case_place_and_score_are_written(volumes):
    figure = patch_figure(volumes, PATCH, "my title")
    assert figure.axes[1].get_title() == "a · (4, 8, 2) · score 0.25"
    assert "my title" in [text.get_text() for text in figure.texts]
    scoreless = patch_figure(volumes, QueriedPatch(PATCH.patch, None), "")
    assert scoreless.axes[1].get_title() == "a · (4, 8, 2)"


def test_box_and_contours_can_be_seen(volumes):
    image = pixels(patch_figure(volumes, PATCH, ""))
    assert shows(image, BOX)
    assert shows(image, CONTOURS[0])


def test_a_case_without_foreground_has_a_box_and_no_contour(volumes):
    corner = QueriedPatch(Patch("a", (0, 0, 0), (2, 2, 2)), None)
    figure = rows_figure(volumes, [corner], "")
    assert shows(pixels(figure), BOX)
    assert [len(axes.collections) for axes in figure.axes] == [0, 0, 0]


@pytest.mark.parametrize(("patches", "grid"), [(1, (1, 1)), (6, (1, 6)), (7, (2, 6))])
def test_an_overview_has_one_slice_a_patch(volumes, patches, grid):
    figure = overview_figure(volumes, [PATCH] * patches, "")
    assert len(figure.axes) == patches
    place = figure.axes[0].get_subplotspec().get_topmost_subplotspec()
    assert place.get_gridspec().get_geometry() == grid


def test_a_patch_one_voxel_thin_can_be_drawn(volumes):
    thin = QueriedPatch(Patch("a", (12, 12, 0), (1, 1, 24)), 1.0)
    assert pixels(rows_figure(volumes, [thin], "")).max() > 0.5


def seen_in(volumes, *queried):
    """The networks are right but for one voxel along z; a voxel's score is its place along x."""

    def predict(case):
        labels = np.roll(volumes.reference(case), 1, axis=0)
        return labels, np.broadcast_to(np.arange(24.0), labels.shape)

    return look([one.patch for one in queried], predict, "place")


def texts(figure):
    return [text.get_text() for text in figure.texts]


def test_predictions_are_dashed_and_scores_lie_below(volumes):
    figure = patch_figure(volumes, PATCH, "", seen_in(volumes, PATCH))
    upper, lower = figure.axes[0::2], figure.axes[1::2]
    assert [len(axes.images) for axes in figure.axes] == [1] * 6
    np.testing.assert_array_equal(lower[0].images[0].get_array()[5], np.arange(24.0))
    assert [axes.images[0].get_clim()[0] for axes in lower] == [0.0] * 3
    assert all(len(axes.patches) == 1 for axes in figure.axes)
    plain = patch_figure(volumes, PATCH, "")
    dashes = [c for c in upper[0].collections if c.get_linestyle()[0][1] is not None]
    assert len(upper[0].collections) - len(dashes) == len(plain.axes[0].collections)
    assert len(dashes) == 1
    assert {"- - predicted", "lower: place"} <= set(texts(figure))
    assert not {"- - predicted"} & set(texts(plain))


def test_an_overview_with_scores_has_two_slices_a_patch(volumes):
    figure = overview_figure(volumes, [PATCH] * 3, "", seen_in(volumes, PATCH))
    assert len(figure.axes) == 6


def test_a_pair_boxes_in_green_what_both_queries_have(volumes):
    other = QueriedPatch(Patch("a", (0, 0, 0), (8, 8, 8)), 0.1)
    left = Panel("left", [PATCH, other], seen_in(volumes, PATCH, other))
    right = Panel("right", [PATCH], seen_in(volumes, PATCH))
    figure = pair_figure(volumes, left, right, "both")
    boxes = [axes.patches[0].get_edgecolor() for axes in figure.axes]
    green, yellow = to_rgba(SHARED_BOX), to_rgba(BOX)
    assert boxes == [green, green, yellow, yellow, green, green]
    assert {"both", "left\nlower: place", "right\nlower: place"} <= set(texts(figure))


def test_a_pair_without_networks_or_patches_can_be_drawn(volumes):
    figure = pair_figure(volumes, Panel("left", [PATCH]), Panel("right", []), "")
    assert len(figure.axes) == 1
    assert pixels(figure).max() > 0.5


class Told(BallVolumes):
    """The same, of which an annotator told less."""

    def __init__(self, reveal):
        self.reveal = reveal


@pytest.mark.parametrize("mode", ["points", "scribbles", "box"])
def test_what_was_told_of_a_patch_is_drawn_in_place_of_outlines(mode, volumes):
    figure, patch = patch_figure(Told(mode), PATCH, "title"), PATCH.patch
    told = revealed(volumes.reference("a")[patch.slices], mode, 3)
    for axis, axes in enumerate(figure.axes):
        dots = {(x, y) for line in axes.lines for x, y in zip(*line.get_data(), strict=True)}
        down, right = (a for a in range(3) if a != axis)
        places = np.argwhere((told > 0) & (told < 3)) + patch.start
        assert dots == {(place[right], place[down]) for place in places}
        dotted = [c for c in axes.collections if any(dash for _, dash in c.get_linestyle())]
        assert bool(dotted) == (mode == "box")
    assert "of all slices" in " ".join(text.get_text() for text in figure.texts)
    dense = patch_figure(volumes, PATCH, "title")
    assert not any("of all slices" in text.get_text() for text in dense.texts)
