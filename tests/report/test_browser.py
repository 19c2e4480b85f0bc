"""The page in a real browser: it draws everything, and every switch changes what it says."""

import io
import json
import re
import warnings
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from alsweep.files import read_json, write_json
from alsweep.report import write_report
from alsweep.report.slices import BOX, CONTOURS
from alsweep.report.status_page import write_status_page
from alsweep.testing.runs import trajectory_config, write_reference, write_run
from tests.browser import NAMES, Browser, browser, find_chromium
from tests.report.pages import curves
from tests.report.test_status_page import status, trajectory

DRAWN = """
[...document.querySelectorAll(".plot")].map((plot) => {
  const box = plot.parentElement.getBoundingClientRect();
  const own = plot.querySelector(".main-svg").getBoundingClientRect();
  const marks = ".scatterlayer .trace, .barlayer .point, .heatmaplayer image";
  return {
    section: plot.closest("section").id,
    inside: own.left >= box.left - 1 && own.right <= box.right + 1,
    marks: plot.querySelectorAll(marks).length,
    size: Math.min(own.width, own.height),
  };
})
"""

SAYS = """
[...document.querySelectorAll("#%s .plot")].map((plot) => ({
  across: plot.layout.xaxis.title.text,
  shown: plot.data.filter((t) => t.visible !== false)
    .map((t) => ({name: t.name, x: t.x, y: t.y, z: t.z})),
  texts: [...plot.querySelectorAll("text")].map((text) => text.textContent),
  marks: plot.querySelectorAll(".scatterlayer .trace, .heatmaplayer image").length,
}))
"""

OUTSIDE = """
(() => {
  const room = document.documentElement.clientWidth;
  const hidden = ".scroll, nav, svg";
  const wide = [...document.querySelectorAll("main *")].filter((one) =>
    !one.closest(hidden) && one.getBoundingClientRect().right > room + 0.5);
  const cut = [...document.querySelectorAll(".plot text")].filter((text) => {
    const card = text.closest(".plot").parentElement.getBoundingClientRect();
    const own = text.getBoundingClientRect();
    return own.width > 0 && (own.right > card.right + 1 || own.left < card.left - 1);
  });
  return [...wide.map((one) => one.outerHTML.slice(0, 90)), ...cut.map((one) => one.textContent)];
})()
"""

LOADED = """
(async () => {
  const frame = document.querySelector("#explore .frames img:not([hidden])");
  frame.scrollIntoView({behavior: "instant"});
  if (!frame.complete) await new Promise((done) => frame.addEventListener("load", done));
  return frame.naturalWidth;
})()
"""

BUTTONS = """
[...document.querySelectorAll(".modebar-container")].filter((one) => one.checkVisibility())
  .map((one) => one.closest("section").id)
"""

COLOURS = """
[
  getComputedStyle(document.body).backgroundColor,
  document.querySelector("#curves .plot").layout.font.color,
  getComputedStyle(document.querySelector(".chips line")).stroke,
]
"""

CONTROLS = """
[...document.querySelectorAll("[data-switch]")].flatMap((control) => {
  const of = {section: control.closest("section").id, name: control.dataset.switch};
  if (control.tagName === "DIV") {
    return [...control.querySelectorAll("button")].map((b) => ({...of, value: b.dataset.value}));
  }
  if (control.tagName === "SELECT") {
    return [...control.options].map((option) => ({...of, value: option.value}));
  }
  return ["off", "on"].map((value) => ({...of, value}));
})
"""

TURN = """
(([section, name, value]) => {
  const control = [...document.querySelectorAll(`#${section} [data-switch]`)]
    .find((one) => one.dataset.switch === name);
  if (control.tagName === "DIV") control.querySelector(`[data-value="${value}"]`).click();
  else if (control.tagName === "SELECT") {
    control.value = value;
    control.dispatchEvent(new Event("change"));
  } else {
    const on = control.tagName === "INPUT" ? control.checked : control.ariaPressed === "true";
    if (on !== (value === "on")) control.click();
  }
})(%s)
"""


POINT = """
(([name, index]) => {
  const plot = document.querySelector("#curves .plot");
  plot.scrollIntoView({behavior: "instant", block: "center"});
  const trace = plot.data.find((one) => one.name === name);
  const {xaxis, yaxis} = plot._fullLayout;
  const box = plot.getBoundingClientRect();
  return [box.left + xaxis._offset + xaxis.l2p(trace.x[index]),
          box.top + yaxis._offset + yaxis.l2p(trace.y[index])];
})(%s)
"""

SPACE = """
(() => {
  const plot = document.querySelector("#explore .plot");
  const box = plot.getBoundingClientRect();
  return {
    query: document.querySelector("#explore select").value,
    near: Math.abs(document.querySelector("#explore").getBoundingClientRect().top) < innerHeight,
    traces: plot.data.map((t) => ({type: t.type, name: t.name, points: t.x.length})),
    frames: [...document.querySelectorAll("#explore .frames img")].filter((one) => !one.hidden)
      .map((one) => one.alt),
    place: [box.left + scrollX, box.top + scrollY, box.width, box.height],
  };
})()
"""


AWKWARD = """a "label" with 'quotes', <i>tags</i>, {"switch": 1}, $\\f$ & </script>"""
"""Whatever people call a strategy, the page shows it and works."""

SHORT = f"{AWKWARD[:12]}…{AWKWARD[-11:]}"
"""Beside figures it has no more room than that."""


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> "Iterator[Browser]":
    """A page with two settings, one of them with a full-data reference, in a browser."""
    program = find_chromium()
    if program is None:
        told = (
            f"warning: none of {', '.join(NAMES)} is on PATH; the page was not tried in a browser"
        )
        warnings.warn(told, stacklevel=1)
        pytest.skip(told)
    folder = tmp_path_factory.mktemp("browser")
    write_run(folder / "run", patch_sizes=((8, 8, 8),))
    write_run(folder / "more", patch_sizes=((4, 8, 8),), seeds=(0, 1, 2))
    for path in folder.glob("*/trajectories/predictive_entropy-*/config.json"):
        raw = read_json(path)
        write_json(path, raw | {"strategy": raw["strategy"] | {"label": AWKWARD}})
    config = trajectory_config("dataset", "random", (8, 8, 8), 0, 4)
    write_reference(folder / "run", config, 0.95)
    page = write_report([folder / "run", folder / "more"], folder / "out")
    with browser(program, folder / "profile") as tab:
        tab.page = page
        tab.open(page)
        yield tab


def says(tab: Browser, section: str):
    return tab.ask(SAYS % section)


def turn(tab: Browser, section: str, name: str, value: str) -> None:
    tab.ask(TURN % json.dumps([section, name, value]))


@pytest.mark.parametrize("width", [1400, 390])
def test_every_figure_is_drawn_in_its_place_and_nothing_complains(shown, width):
    shown.open(shown.page, width)
    drawn = shown.ask(DRAWN)
    sections = [figure["section"] for figure in drawn]
    assert sections == [
        *["curves"] * 2,
        *["forecast"] * 2,
        *["comparisons"] * 2,
        *["wins", "balance", "ranking", "over-settings", "stability", "profiles"],
        *["queries"] * 2,
        *["effort"] * 2,
        *["compute"] * 2,
        *["front"] * 2,
    ]
    for figure in drawn:
        assert figure["marks"] > 0, figure
        assert figure["inside"], figure
        assert figure["size"] > 150, figure
    assert shown.complaints == []


@pytest.mark.parametrize("first", [390, 1400])
def test_on_a_phone_nothing_is_wider_than_the_page(shown, first):
    """Also where the window becomes narrow later, as by a phone that is turned."""
    shown.open(shown.page, first)
    shown.resize(390)
    assert shown.ask(OUTSIDE) == []
    assert shown.ask("document.documentElement.scrollWidth") <= 390
    assert all(figure["inside"] for figure in shown.ask(DRAWN))
    # Nor do buttons lie on what is written, where there is no mouse to bring them.
    assert shown.ask(BUTTONS) == []


def test_what_leads_to_the_status_of_a_run_can_be_read_on_a_phone_by_night(shown, tmp_path):
    page = tmp_path / "status.html"
    write_status_page(page, status(*(trajectory("power_bald", seed) for seed in range(9))), "done")
    shown.open(page, 390)
    day = shown.ask("getComputedStyle(document.body).backgroundColor")
    shown.scheme("dark")
    ground, ink = shown.ask(
        "['backgroundColor', 'color'].map((name) => getComputedStyle(document.body)[name])"
    )
    shown.scheme("light")
    assert ground != day
    assert brightness(ink) - brightness(ground) > 150
    assert shown.ask("document.documentElement.scrollWidth") <= 390


def brightness(rgb: str) -> float:
    """Of ``rgb(1, 2, 3)``, 0 to 255."""
    return sum(map(int, re.findall(r"\d+", rgb))) / 3


def test_by_night_figures_and_page_change_their_colours_and_nothing_else(shown):
    shown.open(shown.page)
    day = says(shown, "curves")
    by_day = shown.ask(COLOURS)
    shown.scheme("dark")
    assert says(shown, "curves") == day
    assert all(a != b for a, b in zip(by_day, shown.ask(COLOURS), strict=True))
    shown.scheme("light")
    assert shown.ask(COLOURS) == by_day


def test_every_switch_changes_what_its_section_says_and_no_other(shown):
    shown.open(shown.page)
    controls = shown.ask(CONTROLS)
    assert {c["section"] for c in controls} == {"curves", "comparisons", "wins", "balance"}
    assert len({(c["section"], c["name"]) for c in controls}) == 3 + 3 + 1 + 1 + 1
    by_name = {}
    for control in controls:
        by_name.setdefault((control["section"], control["name"]), []).append(control["value"])
    for (section, name), values in by_name.items():
        other = "wins" if section == "curves" else "curves"
        start, untouched = says(shown, section), says(shown, other)
        seen = []
        for value in values:
            turn(shown, section, name, value)
            said = says(shown, section)
            assert said not in seen, (name, value)
            seen.append(said)
        assert says(shown, other) == untouched
        turn(shown, section, name, "on" if name.startswith("strategy ") else values[0])
        assert says(shown, section) == start
    assert shown.complaints == []


def test_a_switched_curve_is_what_python_computed(shown):
    shown.open(shown.page)
    turn(shown, "curves", "x", "annotated_voxels")
    turn(shown, "curves", "metric", "dice_tumour")
    turn(shown, "curves", "strategy random", "off")
    turn(shown, "curves", "seeds", "on")
    for index, figure in enumerate(says(shown, "curves")):
        assert figure["across"] == "Annotated voxels"
        assert "Annotated voxels" in figure["texts"]
        state = {"x": "annotated_voxels", "metric": "dice_tumour", "seeds": "on"}
        expected = curves(shown.page, index, **state, **{"strategy random": "off"})
        named = {trace["name"]: trace for trace in figure["shown"] if trace.get("name")}
        assert set(named) == set(expected)
        assert "random" not in named
        for name, trace in named.items():
            assert trace["x"] == expected[name]["x"]
            assert trace["y"] == expected[name]["y"]


def test_an_awkward_label_is_shown_as_it_was_written(shown):
    shown.open(shown.page)
    chips = shown.ask('[...document.querySelectorAll(".chips button")].map((b) => b.textContent)')
    assert chips == ["random", "random_fg66 †", AWKWARD]
    rows = shown.ask('[...document.querySelectorAll("tbody th")].map((cell) => cell.textContent)')
    assert set(rows) >= set(chips)
    assert shown.ask('document.querySelectorAll("main i").length') == 0
    turn(shown, "curves", f"strategy {AWKWARD}", "off")
    for figure in says(shown, "curves"):
        names = {trace["name"] for trace in figure["shown"] if trace.get("name")}
        assert names == {"random", "random_fg66 †"}
    for section in ("comparisons", "wins", "ranking", "compute"):
        assert all(SHORT in figure["texts"] for figure in says(shown, section)), section


def test_differences_are_those_from_the_control_that_is_chosen(shown):
    shown.open(shown.page)
    table = pd.read_csv(shown.page.parent / "comparisons.csv")
    for control, name in (("random", "random"), ("random_fg66", "random_fg66 †")):
        turn(shown, "comparisons", "against", control)
        found = says(shown, "comparisons")
        assert len(found) == 2
        drawn = [trace["x"][0] for figure in found for trace in figure["shown"]]
        rows = table[table["control"] == control]
        expected = 100 * rows["mean_difference"]
        assert sorted(drawn) == pytest.approx(sorted(expected))
        for figure in found:
            assert name not in figure["texts"]
            assert {"undecided", "better", "worse", "equivalent"} & set(figure["texts"])


def test_the_win_matrix_follows_the_correction(shown):
    shown.open(shown.page)
    for value, name in (("holm", "win_matrix_holm.csv"), ("none", "win_matrix.csv")):
        turn(shown, "wins", "correction", value)
        (figure,) = says(shown, "wins")
        table = 100 * pd.read_csv(shown.page.parent / name, index_col=0)
        cells = [[v for v in row if v is not None] for row in figure["shown"][0]["z"]]
        expected = [[round(v, 4) for v in row if v == v] for row in table.to_numpy()]
        assert cells == expected
        assert {f"{v:.1f}" for row in expected for v in row} <= set(figure["texts"])


@pytest.fixture(scope="module")
def in_space(asked, phantom_run, tmp_path_factory):
    """A page with a trajectory whose networks were asked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("alsweep.report.section.explored", lambda *_: asked[1])
        return write_report([phantom_run], tmp_path_factory.mktemp("space") / "out")


def test_a_click_on_a_point_shows_its_patches_in_space_and_in_planes(shown, in_space):
    shown.open(in_space)
    shown.click(*shown.ask(POINT % json.dumps(["predictive_entropy", 1])))
    found = shown.ask(SPACE)
    assert found["query"].startswith("predictive_entropy-p8x8x8-s0-")
    assert found["query"].endswith("/1")
    assert found["near"]
    assert [one["type"] for one in found["traces"]] == ["scatter3d", "mesh3d", "mesh3d"]
    assert [one["name"] for one in found["traces"]] == ["queried patches", "organ", "lesion"]
    assert all(one["points"] > 8 for one in found["traces"])
    drawn = colours(shown.picture_of(*found["place"]))
    boxes, organ, lesion = (near(drawn, colour) for colour in (BOX, *CONTOURS[:2]))
    assert boxes > 300
    assert organ > 1000
    assert lesion > 100
    for layer, names, said in (
        ("reference", ["organ", "lesion"], "reference"),
        ("before", ["lesion"], "predicted before"),
        ("after", ["organ"], "predicted after"),
    ):
        turn(shown, "explore", "layer", layer)
        found = shown.ask(SPACE)
        assert [one["name"] for one in found["traces"]] == ["queried patches", *names]
        assert found["frames"] == [f"predictive_entropy, seed 0: query 1, {said}"]
        assert shown.ask(LOADED) > 200
    quiet = ("Canvas2D", "GL Driver Message")
    assert [text for text in shown.complaints if not any(one in text for one in quiet)] == []
    shown.complaints.clear()


def colours(png: bytes) -> np.ndarray:
    """Red, green and blue of all pixels."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=float).reshape(-1, 3)


def near(pixels: np.ndarray, colour: str) -> int:
    """How many pixels have that hue: surfaces are seen through, and lit."""
    wanted = np.array(to_rgb(colour))
    directions = pixels / np.maximum(np.linalg.norm(pixels, axis=1, keepdims=True), 1)
    bright = pixels.max(axis=1) > 80
    return int((bright & (directions @ (wanted / np.linalg.norm(wanted)) > 0.97)).sum())
