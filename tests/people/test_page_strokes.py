"""The page in a real browser: real strokes paint exactly their voxels."""

import numpy as np
import pytest

from alsweep.label_codes import IGNORE
from tests.people.pages import AFFINES, BOX, PLANES, SIZE, Screen, painted

LOW = np.array(BOX.start[::-1])
HIGH = LOW + BOX.size[::-1]


def between(first, last, steps: int):
    return np.linspace(first, last, steps)


@pytest.mark.parametrize("name", AFFINES)
@pytest.mark.parametrize("plane", PLANES)
def test_a_stroke_paints_the_voxels_on_its_way_and_no_others(show, name, plane):
    screen = show(name, code=7)
    axes = [screen.axis(patient)[0] for patient in PLANES[plane]]
    first, across, down = LOW + 1, (LOW + 1).copy(), HIGH - 2
    across[axes[0]] = HIGH[axes[0]] - 1
    through = 3 - sum(axes)
    down[through] = first[through]
    down[axes[0]] = across[axes[0]]
    screen.stroke(plane, [*between(first, across, 4), *between(across, down, 3)])
    ways = (*between(first, across, 100), *between(across, down, 100))
    expected = {tuple(np.rint(at).astype(int)): 7 for at in ways}
    assert len(expected) >= 10
    np.testing.assert_array_equal(screen.label(), painted(screen.task, expected))


def ball(screen: Screen, centre, size: int, flat: int | None) -> dict:
    grid = np.indices(screen.shape).reshape(3, -1).T
    away = np.linalg.norm((grid - centre) * screen.spacing, axis=1)
    near = away <= size / 2 * screen.spacing.min() + 1e-9
    if flat is not None:
        near &= grid[:, flat] == centre[flat]
    return dict.fromkeys(map(tuple, grid[near].tolist()), 2)


@pytest.mark.parametrize("name", ["flat", "oblique"])
@pytest.mark.parametrize("solid", [False, True])
def test_a_brush_is_a_disc_or_a_ball_in_mm_and_stays_in_the_box(show, name, solid):
    for size in (1, 3, 8):
        screen = show(name, size=size, solid=solid)
        for plane, axes in PLANES.items():
            through = 3 - sum(screen.axis(patient)[0] for patient in axes)
            centre = (LOW + 1) if size < 6 else (LOW + HIGH) // 2
            screen.stroke(plane, [centre])
            expected = ball(screen, centre, size, None if solid else through)
            np.testing.assert_array_equal(screen.label(), painted(screen.task, expected))
            screen.tab.press("E", shift=True)
    assert len(expected) >= 9


def test_outside_the_box_nothing_is_painted_not_even_erased(show):
    screen = show("plain", size=5, solid=True)
    for tool in ("brush", "eraser", "lasso"):
        screen.tab.ask(f"set('tool', '{tool}')")
        screen.stroke("axial", [(0, 0, 0), (11, 1, 0), (11, 2, 0), (1, 2, 0)])
        np.testing.assert_array_equal(screen.label(), screen.task.label)
    screen.tab.ask("set('tool', 'brush')")
    screen.stroke("coronal", [(0, 6, 6), (11, 6, 6)])
    label = screen.label()
    inside = label[BOX.slices].copy()
    label[BOX.slices] = IGNORE
    np.testing.assert_array_equal(label, screen.task.label)
    assert (inside != IGNORE).sum() > 80


@pytest.mark.parametrize("name", ["turned", "oblique"])
def test_an_outline_fills_the_voxels_whose_centres_it_holds(show, name):
    screen = show(name, tool="lasso", code=1)
    (u, _), (v, _) = (screen.axis(patient) for patient in PLANES["sagittal"])
    corners = np.tile((LOW + 2).astype(float), (4, 1))
    corners[[1, 2], u] = HIGH[u] - 1
    corners[[2, 3], v] = HIGH[v] - 1
    inner = corners + np.where(corners == LOW + 2, -0.3, 0.3) * np.isin(range(3), [u, v])
    screen.stroke("sagittal", inner)
    index = [slice(LOW[a] + 2, HIGH[a] if a in (u, v) else LOW[a] + 3) for a in range(3)]
    expected = screen.task.label.copy()
    expected[tuple(index[::-1])] = 1
    np.testing.assert_array_equal(screen.label(), expected)


def test_strokes_are_undone_and_redone_one_by_one(show):
    screen = show("flat", code=1)
    tab = screen.tab
    screen.stroke("axial", [(3, 6, 6), (6, 6, 6)])
    one = screen.label()
    tab.press("7")
    assert tab.ask("app.settings.code") == 1  # there are four classes
    tab.press("3")
    screen.stroke("axial", [(4, 5, 6), (4, 8, 6)])
    two = screen.label()
    assert {1, 7} <= set(np.unique(two).tolist())
    tab.press("e")
    screen.stroke("axial", [(4, 6, 6), (5, 6, 6)])
    three = screen.label()
    assert (three == IGNORE).sum() == (two == IGNORE).sum() + 2
    for label in (two, one):
        tab.press("z", control=True)
        np.testing.assert_array_equal(screen.label(), label)
    tab.press("r")
    np.testing.assert_array_equal(screen.label(), two)
    tab.press("y", control=True)
    np.testing.assert_array_equal(screen.label(), three)
    tab.press("u")
    tab.press("b")
    screen.stroke("axial", [(2, 4, 6)])
    tab.press("r")
    assert "Nothing to redo" in tab.ask("byId('notice').textContent")


def test_what_was_predicted_is_taken_where_nothing_is_painted(show):
    screen = show("oblique", code=1)
    tab, predicted = screen.tab, screen.task.prediction
    screen.stroke("axial", [(3, 6, 6), (6, 6, 6)])
    mine = screen.label()
    expected = mine.copy()
    boxed = np.zeros(mine.shape, dtype=bool)
    boxed[BOX.slices] = True
    chosen = boxed & (mine == IGNORE) & (predicted == 7)
    expected[chosen] = 7
    tab.press("3")
    tab.press("a")
    np.testing.assert_array_equal(screen.label(), expected)
    tab.press("A", shift=True)
    expected = np.where(boxed & (mine == IGNORE), predicted, mine)
    np.testing.assert_array_equal(screen.label(), expected)
    wrong = (boxed & (expected != predicted)).sum()
    assert tab.ask("app.open.counts.corrections") == wrong > 0
    tab.press("u")
    tab.press("B", shift=True)
    mine[chosen] = 7
    np.testing.assert_array_equal(screen.label(), np.where(boxed & (mine == IGNORE), 0, mine))
    tab.ask("document.querySelector('#classes li:nth-child(4) .take').click()")
    assert "0 unpainted voxels" in tab.ask("byId('notice').textContent")
    tab.press("E", shift=True)
    np.testing.assert_array_equal(screen.label(), screen.task.label)


def test_painted_voxels_can_be_spared(show):
    screen = show("plain", code=1)
    screen.stroke("axial", [(3, 6, 6), (5, 6, 6)])
    screen.tab.press("k")
    screen.tab.press("2")
    screen.stroke("axial", [(2, 6, 6), (8, 6, 6)])
    expected = {(x, 6, 6): 1 if 3 <= x <= 5 else 2 for x in range(2, 9)}
    np.testing.assert_array_equal(screen.label(), painted(screen.task, expected))


def test_keys_alone_can_move_and_paint(show):
    screen = show("turned", code=1)
    tab = screen.tab
    tab.ask("choosePlane(1)")
    tab.press("Home")
    start = np.array(tab.ask("app.open.cross"))
    np.testing.assert_array_equal(start, LOW + np.array(BOX.size[::-1]) // 2)
    tab.press("p")
    for key in ("ArrowRight", "ArrowDown", "PageUp"):
        tab.press(key)
        tab.press("p")
    ways = []
    # To the right of the screen is the patient's left, down are the feet, next is the front.
    for patient, way in ((0, -1), (2, -1), (1, 1)):
        axis, against = screen.axis(patient)
        ways.append((-way if against else way) * np.eye(3, dtype=int)[axis])
    places = np.cumsum([start, *ways], axis=0)
    expected = {tuple(place): 1 for place in places.tolist()}
    np.testing.assert_array_equal(screen.label(), painted(screen.task, expected))


def test_the_pen_paints_and_its_rear_end_erases(show):
    screen = show("plain")
    screen.stroke("sagittal", [(4, 5, 4), (4, 5, 9)], pointerType="pen")
    rest = {(4, 5, z): 2 for z in range(4, 10)}
    np.testing.assert_array_equal(screen.label(), painted(screen.task, rest))
    x, y = screen.pixel("sagittal", (4, 5, 6))
    for kind, down in (("pointerdown", 32), ("pointerup", 0)):
        event = f"{{button: 5, buttons: {down}, pointerType: 'pen', pointerId: 1, bubbles: true"
        screen.tab.ask(
            f"panes[2].canvas.dispatchEvent(new PointerEvent('{kind}', "
            f"{event}, clientX: {x}, clientY: {y}}})) && 0"
        )
    # No real hand did it, so no real hand lets go.
    screen.tab.ask("panes[2].canvas.releasePointerCapture(1)")
    del rest[4, 5, 6]
    np.testing.assert_array_equal(screen.label(), painted(screen.task, rest))


def test_one_finger_paints_and_two_fingers_zoom(show):
    screen = show("plain")
    tab = screen.tab
    tab.touch_screen(5)
    try:
        tab.ask("moveTo([4, 6, 6])")
        first, last = (screen.pixel("axial", (x, 6, 6)) for x in (3, 7))
        tab.touch("Start", [first])
        tab.touch("Move", [last])
        tab.touch("End", [])
        expected = painted(screen.task, {(x, 6, 6): 2 for x in range(3, 8)})
        np.testing.assert_array_equal(screen.label(), expected)
        other = screen.pixel("axial", (3, 9, 6))
        tab.touch("Start", [first])
        tab.touch("Start", [first, other])
        away = (other[0], other[1] + 1.0 * (other[1] - first[1]))
        tab.touch("Move", [first, away])
        tab.touch("End", [first])
        tab.touch("End", [])
        np.testing.assert_array_equal(screen.label(), expected)
        assert tab.ask("panes[0].zoom") == pytest.approx(2, abs=0.1)
    finally:
        tab.touch_screen(0)
        tab.resize(*SIZE)


def test_after_zoom_and_pan_strokes_still_hit_their_voxels(show):
    screen = show("oblique")
    tab = screen.tab
    tab.ask("moveTo([5, 8, 6])")
    x, y = screen.pixel("coronal", (5, 8, 6))
    tab.mouse("Wheel", x, y, deltaX=0, deltaY=-120, modifiers=2)
    zoom = tab.ask("panes[1].zoom")
    assert zoom == pytest.approx(np.exp(0.4))
    held = {"button": "middle", "buttons": 4}
    tab.mouse("Pressed", x, y, clickCount=1, **held)
    tab.mouse("Moved", x + 20, y - 10, **held)
    tab.mouse("Released", x + 20, y - 10, button="middle", clickCount=1)
    assert (screen.label() == screen.task.label).all()
    near = screen.pixel("coronal", (5, 8, 7))
    moved = (x + 20 + zoom * (near[0] - x), y - 10 + zoom * (near[1] - y))
    tab.mouse("Pressed", *moved, button="left", buttons=1, clickCount=1)
    tab.mouse("Released", *moved, button="left", clickCount=1)
    np.testing.assert_array_equal(screen.label(), painted(screen.task, {(5, 8, 7): 2}))


def test_wheel_cross_hair_and_window_are_under_the_mouse(show):
    screen = show("flat")
    tab = screen.tab
    tab.ask("moveTo([5, 8, 6])")
    x, y = screen.pixel("axial", (5, 8, 6))
    tab.mouse("Wheel", x, y, deltaX=0, deltaY=100)
    assert tab.ask("app.open.cross") == [5, 8, 5]
    tab.mouse("Wheel", x, y, deltaX=0, deltaY=-300)
    assert tab.ask("app.open.cross") == [5, 8, 8]
    there = screen.pixel("axial", (3, 10, 8))
    tab.mouse("Pressed", *there, button="left", buttons=1, clickCount=1, modifiers=8)
    tab.mouse("Released", *there, button="left", clickCount=1, modifiers=8)
    assert tab.ask("app.open.cross") == [3, 10, 8]
    before = tab.ask("app.open.windows[0]")
    tab.mouse("Pressed", x, y, button="right", buttons=2, clickCount=1)
    tab.mouse("Moved", x + 30, y - 30, buttons=2, button="right")
    tab.mouse("Released", x + 30, y - 30, button="right", clickCount=1)
    after = tab.ask("app.open.windows[0]")
    assert after["width"] == pytest.approx(before["width"] * np.exp(0.1))
    assert after["level"] == pytest.approx(before["level"] - 0.1 * before["width"])
    np.testing.assert_array_equal(screen.label(), screen.task.label)
