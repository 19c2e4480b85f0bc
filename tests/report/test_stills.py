"""The files for papers and slides: what is drawn in them, and where."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import same_color

from alsweep.report.sections.curves import curve_table
from alsweep.report.stills import learning_curves, plain, png, win_matrix_figure
from alsweep.testing.runs import trajectory_config, write_reference

NAN = float("nan")


def with_settings(study, count):
    """The study with its one setting under several names; the table is that of the first."""
    return replace(study, settings={f"s{i}": f"setting {i}" for i in range(count)})


def test_curves_are_drawn_in_percent_with_the_looks_of_the_strategies(study):
    table = curve_table(study)
    (axes,) = learning_curves(study, table).axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Annotated patches", "Mean Dice [%]")
    assert axes.get_title(loc="left") == next(iter(study.settings.values()))
    for line, look in zip(axes.lines, study.looks, strict=True):
        mine = table[table["strategy"] == look.strategy]
        assert line.get_xdata().tolist() == [6, 12, 18, 24]
        assert line.get_ydata() == pytest.approx(100 * mine["mean"].to_numpy())
        assert line.get_label() == look.name
        assert same_color(line.get_color(), look.colour)
        assert line.get_linestyle() == ("--" if look.baseline else "-")
        assert line.get_markerfacecolor() == ("white" if look.baseline else look.colour)
        assert line.get_marker() == "o"


def test_a_band_is_one_deviation_to_both_sides(study):
    table = curve_table(study)
    (axes,) = learning_curves(study, table).axes
    assert len(axes.collections) == 3
    for band, look in zip(axes.collections, study.looks, strict=True):
        mine = table[table["strategy"] == look.strategy]
        edges = band.get_paths()[0].vertices[:, 1]
        assert edges.max() == pytest.approx(100 * (mine["mean"] + mine["std"]).max())
        assert edges.min() == pytest.approx(100 * (mine["mean"] - mine["std"]).min())
        assert band.get_alpha() == 0.13


@pytest.mark.parametrize(
    ("settings", "grid"), [(1, (1, 1)), (2, (1, 2)), (3, (1, 3)), (4, (2, 3)), (7, (3, 3))]
)
def test_settings_are_three_a_row(study, settings, grid):
    figure = learning_curves(with_settings(study, settings), curve_table(study))
    assert len(figure.axes) == settings
    places = [axes.get_subplotspec() for axes in figure.axes]
    assert {place.get_gridspec().get_geometry() for place in places} == {grid}
    assert [place.num1 for place in places] == list(range(settings))
    assert figure.get_size_inches().tolist() == pytest.approx([5.6 * grid[1], 3.9 * grid[0] + 0.5])


def test_the_legend_names_every_strategy_once(study):
    figure = learning_curves(with_settings(study, 3), curve_table(study))
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [look.name for look in study.looks]


def test_a_study_without_settings_is_an_empty_picture(study):
    figure = learning_curves(replace(study, settings={}), curve_table(study))
    assert (figure.axes, figure.legends) == ([], [])
    assert png(figure).startswith(b"\x89PNG")


def test_full_data_is_a_dotted_line_at_the_mean_of_its_references(study, tmp_path):
    config = trajectory_config("dataset", "random", (8, 8, 8), 0, 4)
    references = tuple(write_reference(tmp_path, config, dice) for dice in (0.9, 0.96))
    setting = next(iter(study.settings))
    judged = replace(study, references={setting: references})
    (axes,) = learning_curves(judged, curve_table(study)).axes
    level = axes.lines[-1]
    assert (level.get_label(), level.get_linestyle()) == ("full data", ":")
    assert list(level.get_ydata()) == pytest.approx([93, 93])


MATRIX = pd.DataFrame(
    [[NAN, 0.61, 0.0], [0.25, NAN, 1.0], [0.6, 0.05, NAN]], list("abc"), list("abc")
)
NAMES = {"a": "a", "b": "b †", "c": "$c$"}


def test_cells_of_the_win_matrix_are_percent_and_its_diagonal_is_blank():
    axes = win_matrix_figure(MATRIX, NAMES, "title").axes[0]
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    assert cells == {
        (1, 0): "61.0",
        (2, 0): "0.0",
        (0, 1): "25.0",
        (2, 1): "100.0",
        (0, 2): "60.0",
        (1, 2): "5.0",
    }
    inks = {text.get_text(): text.get_color() for text in axes.texts}
    assert {cell for cell, ink in inks.items() if ink == "black"} == {"61.0", "100.0"}
    np.testing.assert_array_equal(axes.images[0].get_array(), 100 * MATRIX.to_numpy())
    assert axes.images[0].get_clim() == (0, 100)


def test_rows_win_and_columns_lose():
    figure = win_matrix_figure(MATRIX, NAMES, "one $ and $ more")
    axes, bar = figure.axes
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("wins", "loses")
    names = ["a", "b †", r"\$c\$"]
    assert [label.get_text() for label in axes.get_xticklabels()] == names
    assert [label.get_text() for label in axes.get_yticklabels()] == names
    assert figure.get_suptitle() == r"one \$ and \$ more"
    assert bar.get_ylabel() == "budgets won [%]"


@pytest.mark.parametrize(("letters", "edge"), [(1, 4.65), (24, 4.65), (44, 6.45)])
def test_long_names_have_room_beside_the_matrix(letters, edge):
    names = NAMES | {"b": "b" * letters}
    size = win_matrix_figure(MATRIX, names, "").get_size_inches()
    assert size.tolist() == pytest.approx([edge + 0.6, edge])


def test_the_same_figure_gives_the_same_bytes():
    first, second = (png(win_matrix_figure(MATRIX, NAMES, "title")) for _ in range(2))
    assert first == second
    assert b"matplotlib" not in first.lower()


def test_dollars_are_drawn_and_open_no_formula():
    assert plain("a $ b $") == r"a \$ b \$"
    assert plain("a_b^c") == "a_b^c"
