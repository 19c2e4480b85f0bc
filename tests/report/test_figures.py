"""What all interactive figures share."""

from dataclasses import replace

from alsweep.report.figures import INK, axis, layout, marker, panels, plain
from alsweep.report.study import Look

LOOK = Look("a", "#0072B2", "square", baseline=False, oracle=False)


def test_changes_take_the_place_of_what_is_shared():
    assert layout()["showlegend"] is False
    assert layout()["font"]["color"] == INK
    changed = layout(height=300, showlegend=True)
    assert (changed["height"], changed["showlegend"]) == (300, True)
    assert changed["margin"] == layout()["margin"]
    assert "height" not in layout()


def test_an_axis_has_a_title_and_room_for_its_labels():
    made = axis("Dice [%]", dtick=1, ticks="")
    assert made["title"] == {"text": "Dice [%]", "standoff": 8}
    assert (made["automargin"], made["zeroline"]) == (True, False)
    assert (made["dtick"], made["ticks"]) == (1, "")
    assert axis("")["ticks"] == "outside"


def test_baselines_have_white_markers_and_all_the_rim_of_their_colour():
    full, white = marker(LOOK), marker(replace(LOOK, baseline=True), 12)
    assert (full["color"], white["color"]) == ("#0072B2", "#ffffff")
    assert full["line"] == white["line"] == {"color": "#0072B2", "width": 2}
    assert (full["size"], white["size"]) == (8, 12)
    assert full["symbol"] == white["symbol"] == "square"


def test_what_plotly_would_take_for_markup_is_text():
    assert plain("<b>a & b</b>") == "&lt;b&gt;a &amp; b&lt;/b&gt;"
    assert plain('"it\'s"') == '"it\'s"'


def test_a_figure_has_a_title_only_where_there_are_several(study):
    asked = []

    def draw(study, setting):
        asked.append(setting)
        return {"data": setting}

    (only,) = study.settings
    assert panels(study, draw) == (("", {"data": only}),)
    two = replace(study, settings={"s": "first", "t": "second"})
    assert panels(two, draw) == (("first", {"data": "s"}), ("second", {"data": "t"}))
    assert asked == [only, "s", "t"]
