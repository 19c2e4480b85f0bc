"""Pictures for papers and slides: what is drawn in them, and where."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import same_color

from alsweep.report import pictured
from alsweep.report.drawing import colour, plain, words
from alsweep.report.figures import axis, layout
from alsweep.report.pictured import _pictures, first_picture, picture_files
from alsweep.report.section import Figures, Material, settled
from alsweep.report.sections import curves, over_settings, ranking, sections, wins
from alsweep.report.sections.curves import curve_table
from alsweep.report.stills import png, rendered, still
from alsweep.report.study import read_study
from alsweep.report.volumes import open_datasets
from alsweep.testing.runs import trajectory_config, write_reference, write_run


@pytest.fixture(autouse=True)
def all_pictures(monkeypatch):
    """Here they are drawn, which other tests of reports spare themselves."""
    monkeypatch.setattr(pictured, "still", still)
    monkeypatch.setattr(pictured, "rendered", rendered)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two settings, three strategies, three seeds; read only."""
    run = tmp_path_factory.mktemp("two") / "run"
    write_run(run, seeds=(0, 1, 2), patch_sizes=((8, 8, 8), (4, 8, 8)))
    study = read_study([run])
    return Material(study, open_datasets(study))


def pictures(section, material):
    return dict(_pictures(section.still, list(section.blocks(material)), every=True))


def curve_axes(study):
    (axes,) = still(pictures(curves.SECTION, Material(study, {}))["learning_curves"]).axes
    return axes


def lines_of(axes):
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def test_curves_are_drawn_in_percent_with_the_looks_of_the_strategies(study):
    table, axes = curve_table(study), curve_axes(study)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Annotated patches", "Dice [%]")
    lines = lines_of(axes)
    assert list(lines) == [look.name for look in study.looks]
    for look in study.looks:
        line, mine = lines[look.name], table[table["strategy"] == look.strategy]
        assert line.get_xdata().tolist() == [6, 12, 18, 24]
        assert line.get_ydata() == pytest.approx(100 * mine["mean"].to_numpy(), abs=1e-3)
        assert same_color(line.get_color(), look.colour)
        assert line.get_linestyle() == ("--" if look.baseline else "-")
        assert same_color(line.get_markerfacecolor(), "white" if look.baseline else look.colour)
        assert line.get_marker() == "o"


def test_a_band_is_one_deviation_to_both_sides(study):
    table, axes = curve_table(study), curve_axes(study)
    for band, look in zip(axes.patches, study.looks, strict=True):
        mine = table[table["strategy"] == look.strategy]
        edges = band.get_path().vertices[:, 1]
        assert edges.max() == pytest.approx(100 * (mine["mean"] + mine["std"]).max(), abs=1e-3)
        assert edges.min() == pytest.approx(100 * (mine["mean"] - mine["std"]).min(), abs=1e-3)
        assert band.get_facecolor()[3] == pytest.approx(0.13)


def test_full_data_is_a_dotted_line_at_the_mean_of_its_references(study, tmp_path):
    config = trajectory_config("dataset", "random", (8, 8, 8), 0, 4)
    references = tuple(write_reference(tmp_path, config, dice) for dice in (0.9, 0.96))
    axes = curve_axes(replace(study, references={next(iter(study.settings)): references}))
    level = next(line for line in axes.lines if line.get_linestyle() == ":")
    assert list(level.get_ydata()) == pytest.approx([93, 93])
    assert axes.get_ylim()[1] > 93
    assert "full data: 93.00" in [text.get_text() for text in axes.texts]


@pytest.mark.parametrize(("count", "wide", "tall"), [(1, 1, 1), (3, 3, 1), (4, 3, 2)])
def test_panels_are_three_a_row_and_none_lies_on_another(count, wide, tall):
    figure = {"data": [], "layout": layout(xaxis=axis("x"), yaxis=axis("y"), height=300)}
    picture = still([(f"setting {i}", figure) for i in range(count)])
    boxes = [axes.get_position() for axes in picture.axes]
    assert len({round(box.x0, 6) for box in boxes}) == wide
    assert len({round(box.y0, 6) for box in boxes}) == tall
    assert all(0 < box.x0 < box.x1 < 1 and 0 < box.y0 < box.y1 < 1 for box in boxes)
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert [axes.get_title(loc="left") for axes in picture.axes][-1] == f"setting {count - 1}"


def test_the_legend_names_every_strategy_once(two):
    picture = still(pictures(curves.SECTION, two)["learning_curves"])
    (legend,) = picture.legends
    assert [t.get_text() for t in legend.get_texts()] == [look.name for look in two.study.looks]


def test_cells_of_the_win_matrix_are_percent_with_winners_in_rows(study):
    material = Material(study, {})
    axes = still(pictures(wins.SECTION, material)["win_matrix"]).axes[0]
    names = [look.name for look in study.looks]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("wins", "loses")
    assert [label.get_text() for label in axes.get_yticklabels()] == names
    assert axes.yaxis.get_inverted()
    matrix = 100 * material.once(wins._plain).to_numpy()
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    assert cells == {
        (column, row): f"{value:.1f}"
        for (row, column), value in np.ndenumerate(matrix)
        if np.isfinite(value)
    }
    inks = {text.get_text(): text.get_color() for text in axes.texts}
    assert (inks["0.0"], inks["100.0"]) == ("white", "black")


def test_bars_below_zero_hang_and_others_stand_on_each_other():
    bars = [
        {"type": "bar", "x": ["a", "b"], "y": heights, "marker": {"color": "#336699"}}
        for heights in ([1, 2], [3, -4], [5, -6])
    ]
    (axes,) = still([("", {"data": bars, "layout": layout()})]).axes
    assert [(bar.get_y(), bar.get_height()) for bar in axes.patches] == [
        *[(0, 1), (0, 2)],
        *[(1, 3), (0, -4)],
        *[(4, 5), (-4, -6)],
    ]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b"]


def test_an_interval_is_drawn_where_it_is_also_beside_its_mean():
    point = {"type": "scatter", "mode": "markers", "x": [2], "y": ["a"], "marker": {}}
    bar = {"array": [-0.5], "arrayminus": [1], "color": "#000000", "thickness": 2}
    figure = {"data": [point | {"error_x": bar}], "layout": layout()}
    (axes,) = still([("", figure)]).axes
    assert axes.lines[0].get_xdata().tolist() == [1, 1.5]


def test_mean_ranks_are_at_their_places_best_on_top(two):
    (axes,) = still(pictures(over_settings.SECTION, two)["mean_ranks"]).axes
    groups = two.once(over_settings._groups)
    points = [line for line in axes.lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in points] == groups["mean_rank"].tolist()
    assert [line.get_ydata()[0] for line in points] == [0, 1, 2]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    told = f"CD {groups.attrs['critical_difference']:.2f}"
    assert told in [text.get_text() for text in axes.texts]


def test_every_figure_of_the_page_can_be_drawn_under_a_name_of_its_own(two):
    found = {}
    for section in sections():
        if section.still and section.applies(two):
            mine = pictures(section, two)
            assert not set(mine) & set(found)
            found |= mine
    assert set(found) >= {
        *("learning_curves", "learning_curves_hours", "learning_curves_annotated_voxels"),
        *("win_matrix", "win_matrix_holm", "win_balance", "win_balance_random"),
        *("comparisons", "comparisons_random", "mean_ranks", "rank_shares", "ranking"),
        *("performance_profile", "front", "curve_model", "effort", "compute", "queries"),
    }
    for name, panels in found.items():
        picture = still(panels)
        assert all(axes.has_data() for axes in picture.axes), name
        assert png(picture).startswith(b"\x89PNG"), name


def test_a_report_at_the_end_of_a_run_has_a_few(two):
    shown = [
        (one, list(one.blocks(two))) for one in (curves.SECTION, wins.SECTION, ranking.SECTION)
    ]
    names = [name for name, _ in picture_files(shown, every=False)]
    kinds = ("png", "pdf", "svg")
    assert names == [
        f"{name}.{kind}" for name in ("learning_curves", "win_matrix") for kind in kinds
    ]


def test_pictures_have_their_kind_and_the_same_figure_gives_the_same_bytes(study):
    blocks = list(ranking.SECTION.blocks(Material(study, {})))
    assert first_picture(ranking.SECTION, blocks, "pdf").startswith(b"%PDF")
    ((_, panels),) = _pictures("ranking", blocks, every=True)
    first, second = (rendered(still(panels), "svg") for _ in range(2))
    assert first == second
    assert b"<svg" in first
    assert b"matplotlib" not in png(still(panels)).lower()


def test_what_others_published_is_never_taken_for_the_own_matrix():
    figure = {"data": [], "layout": {}}
    theirs, own = Figures((("", figure),), name="published"), Figures((("", figure),))
    assert [name for name, _ in _pictures("m", [theirs, own, own], every=True)] == [
        "m_published",
        "m",
        "m_2",
    ]
    assert list(_pictures("m", [theirs], every=False)) == []


def test_what_a_figure_lacks_for_an_option_is_not_shown():
    trace = {"visible": {"switch": "x", "of": {"patches": True}}}
    assert settled(trace, {"x": "patches"}) == {"visible": True}
    assert settled(trace, {"x": "hours"}) == {"visible": False}


def test_texts_are_drawn_as_they_are_and_open_no_formula():
    assert plain("a $ b $") == r"a \$ b \$"
    assert words("a_b^c <b>#2</b>") == "a_b^c  #2"
    assert words("&lt;i&gt; &amp; $x$") == r"<i> & \$x\$"
    assert colour("rgba(255,0,51,0.5)") == (1, 0, 0.2, 0.5)
