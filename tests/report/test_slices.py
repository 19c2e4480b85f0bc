import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba

from alsweep.geometry import Patch
from alsweep.report.slices import BOX, CONTOURS, overview_figure, patch_figure, rows_figure
from alsweep.results.records import QueriedPatch

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
