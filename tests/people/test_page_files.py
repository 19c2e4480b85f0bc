"""The page in a real browser: keys, files that say exactly what was painted, and what is kept."""

import json
import re
import time
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from tests.people.pages import AFFINES, CLASSES, NAMED, SIZE, Screen, painted

SAID = """(
[...document.querySelectorAll("body *")].filter((one) => !one.children.length)
  .map((one) => `${one.id} ${one.textContent} ${one.ariaPressed} ${one.disabled}`).join()
  + JSON.stringify([app.plane, app.single, app.settings, app.open.cross, app.open.windows,
    app.open.channel, [...app.open.label], panes.map((p) => [p.zoom, p.centre])])
  + document.documentElement.style.colorScheme + byId("help").open + app.at
)"""


def test_every_key_of_the_help_does_something(show):
    """Those of files are tried below."""
    screen = show("oblique", size=3)
    tab = screen.tab
    groups = tab.ask("Object.entries(GROUPS).map(([g, all]) => [g, Object.entries(all)])")
    help_text = tab.ask("byId('keys').textContent")
    tab.ask("moveTo([5, 8, 6])")
    screen.stroke("axial", [(4, 8, 6), (6, 8, 6)])
    tried = 0
    for _, actions in groups:
        for name, action in actions:
            assert action["text"] in help_text
            if name.startswith("download"):
                continue
            tab.ask("app.settings.tool = 'cross'; app.settings.code = 1; moveTo([4, 8, 7])")
            if name in ("redo", "here", "cross"):
                tab.ask("set('tool', 'brush')")
            if name == "redo":
                tab.ask("paintHere(), takeBack()")
            for key in action["keys"][: None if name != "class" else 4]:
                if name == "redo":
                    tab.ask("app.open.history.undone.length || (paintHere(), takeBack())")
                if name == "class":
                    tab.ask("app.settings.code = 99")
                tab.ask("byId('notice').textContent = ''")
                tab.ask(f"window.before = {SAID}; 0")
                sign = key.split("+")[-1] or "+"
                shift, control = "Shift+" in key, "Ctrl+" in key
                tab.press(
                    sign.upper() if shift and len(sign) == 1 else sign, shift=shift, control=control
                )
                tab.ask("new Promise((d) => setTimeout(d, app.busy ? 150 : 0))")
                assert tab.ask(f"window.before !== {SAID}"), (name, key)
                tried += 1
                tab.ask("byId('help').close()")
    assert tried > 55
    tab.ask("app.single = false; set('theme', '')")


def wait_for(path: Path) -> Path:
    for _ in range(200):
        if path.exists():
            return path
        time.sleep(0.05)
    raise AssertionError(f"{path} was not saved; there are {list(path.parent.iterdir())}")


def check_geometry(path: Path, affine: np.ndarray) -> np.ndarray:
    image = nib.load(path)
    np.testing.assert_array_equal(image.get_sform(), affine.astype(np.float32))
    np.testing.assert_allclose(image.get_qform(), affine, atol=2e-5)
    assert image.header.get_xyzt_units()[0] == "mm"
    assert image.get_data_dtype() == np.uint8
    read = SimpleITK.ReadImage(str(path))
    to_lps = np.diag([-1.0, -1.0, 1.0])
    matrix = np.array(read.GetDirection()).reshape(3, 3) * read.GetSpacing()
    np.testing.assert_allclose(to_lps @ matrix, affine[:3, :3], atol=2e-5)
    np.testing.assert_allclose(to_lps @ read.GetOrigin(), affine[:3, 3], atol=1e-5)
    array = np.asarray(image.dataobj).T
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(read), array)
    return array


@pytest.mark.parametrize("name", AFFINES)
def test_a_patch_is_saved_exactly_as_it_is_painted(show, name):
    screen = show(name)
    tab = screen.tab
    tab.ask("byId('annotator').value = app.settings.annotator = ''; 0")
    tab.press("S", shift=True)
    assert "name first" in tab.ask("byId('notice').textContent")
    for letter in "Ü. Roe":
        tab.press(letter)
    tab.ask("document.activeElement.blur()")
    screen.stroke("axial", [(3, 6, 6), (6, 6, 6)])
    tab.press("S", shift=True)
    record = json.loads(wait_for(tab.files / f"loop_001-{name}_label.json").read_text("utf-8"))
    array = check_geometry(wait_for(tab.files / f"loop_001-{name}_label.nii.gz"), AFFINES[name])
    expected = painted(screen.task, {(x, 6, 6): 2 for x in range(3, 7)})
    np.testing.assert_array_equal(array, expected)
    seconds = record.pop("seconds")
    assert 0 < seconds < 300
    predicted = screen.task.prediction
    wrong = None if predicted is None else int((predicted[6, 6, 3:7] != 2).sum())
    assert record == {"patch": f"loop_001-{name}", "annotator": "Ü. Roe", "corrections": wrong}


def test_all_that_are_done_are_saved_in_one_archive(show):
    tab = show("flat").tab
    tab.ask("set('annotator', 'Roe')")
    tab.ask("page.tasks.forEach((t) => (progressOf(t).done = progressOf(t).begun = false))")
    labels = {}
    for name in ("flat", "turned", "oblique"):
        screen = show(name)
        screen.stroke("coronal", [(3, 6, 6), (3, 6, 8)])
        labels[name] = screen.label()
        if name != "oblique":
            tab.press("D", shift=True)
    tab.press("Z", shift=True)
    archive = wait_for(tab.files / "loop_001_labels.zip")
    unpacked = tab.files / "done"
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        opened.extractall(unpacked)
    names = [f"loop_001-{n}_label.{end}" for n in ("flat", "turned") for end in ("json", "nii.gz")]
    assert sorted(path.name for path in unpacked.iterdir()) == names
    for name in ("flat", "turned"):
        array = check_geometry(unpacked / f"loop_001-{name}_label.nii.gz", AFFINES[name])
        np.testing.assert_array_equal(array, labels[name])
    archive.unlink()
    tab.press("X", shift=True)
    with zipfile.ZipFile(wait_for(archive)) as opened:
        assert len(opened.namelist()) == 6


def test_a_closed_tab_loses_nothing(show):
    screen = show("turned")
    tab = screen.tab
    tab.ask("set('annotator', 'Jane Roe')")
    tab.ask("progressOf(app.open.task).done = false; app.open.watch.seconds = 123; countTime()")
    screen.stroke("sagittal", [(3, 6, 6), (5, 6, 6)])
    # In the very moment after the last stroke, before anything could answer.
    tab.ask("moveTo([4, 8, 9]); paintHere(), location.reload(), 0")
    expected = {(x, 6, 6): 2 for x in (3, 4, 5)} | {(4, 8, 9): 2}
    tab.open(tab.page, *SIZE)
    tab.ask("ready")
    at = list(NAMED).index("turned")
    tab.ask(f"openTask({at})")
    np.testing.assert_array_equal(screen.label(), painted(screen.task, expected))
    assert tab.ask("byId('annotator').value") == "Jane Roe"
    assert 123 <= tab.ask("app.open.watch.seconds") < 130
    assert (
        tab.ask(f"byId('patches').children[{at}].querySelector('.state').className")
        == "state begun"
    )


def test_the_page_sends_nothing_and_says_texts_as_they_are(show):
    tab = show("plain").tab
    assert tab.ask("byId('why').textContent") == "</script><i>because</i>"
    names = tab.ask("[...document.querySelectorAll('#classes .name')].map((n) => n.textContent)")
    assert names == list(CLASSES.values())
    assert tab.ask("document.querySelectorAll('#card i, #classes b').length") == 0
    own = tab.page.resolve().as_uri()
    assert {url for url in tab.requests if not url.startswith("blob:")} == {own}
    assert tab.complaints == []
    for url in ("http://127.0.0.1:9/", own, "data:text/plain,x"):
        refused = tab.ask(f"fetch('{url}').then(() => 'sent', () => 'refused')")
        assert refused == "refused"
    asked = (
        "new Promise((done) => Object.assign(new Image(), {onload: () => done('sent'), "
        "onerror: () => done('refused'), src: 'http://127.0.0.1:9/a.png'}))"
    )
    assert tab.ask(asked) == "refused"
    tab.complaints.clear()


def test_a_page_that_is_open_twice_says_so(show, tab):
    show("plain")
    assert tab.ask("byId('twin').hidden")
    tab.ask("warnOfTwins()")
    assert not tab.ask("byId('twin').hidden")
    tab.ask("byId('twin').hidden = true")


def test_a_damaged_page_says_so(tab, tmp_path):
    text = tab.page.read_text("utf-8")
    damaged = tmp_path / "annotate.html"
    block = re.search('"id":"loop_001-flat".*?"label":"([^"]+)"', text)[1]
    begin = text.index(">", text.index(f'id="{block}"')) + 1
    damaged.write_text(text[:begin] + "XXXXXXXX" + text[begin + 8 :], "utf-8")
    tab.open(damaged, *SIZE)
    tab.ask("ready.then(() => openTask(1))")
    assert "loop_001-flat cannot be read: the page is damaged" in tab.ask(
        "byId('notice').textContent"
    )
    assert len(tab.complaints) == 1
    damaged.write_text(text[: len(text) // 2], "utf-8")
    tab.open(damaged, *SIZE)
    tab.ask("document.getAnimations().forEach((one) => one.finish())")
    seen = "getComputedStyle(document.getElementById('starting')).visibility"
    assert tab.ask(seen) == "visible"
    assert "incomplete" in tab.ask("document.getElementById('starting').textContent")
    tab.complaints.clear()
    tab.open(tab.page, *SIZE)
    tab.ask("ready")
    assert tab.ask("byId('starting').hidden")


def test_without_a_database_the_page_says_so_and_works(show, tab):
    show("plain")
    tab.ask("storeFailed()")
    screen = Screen(tab, NAMED["plain"])
    screen.stroke("axial", [(3, 6, 6)])
    np.testing.assert_array_equal(screen.label(), painted(screen.task, {(3, 6, 6): 2}))
    assert "keeps no progress" in tab.ask("byId('notice').textContent")


@pytest.mark.parametrize("width", [1400, 390])
def test_nothing_is_wider_than_the_page(show, tab, width):
    show("oblique")
    tab.resize(width)
    try:
        assert tab.ask("document.documentElement.scrollWidth") <= width
        assert tab.ask("panes.some((p) => p.canvas.clientWidth > 200)")
        assert "Oblique by 1" in tab.ask("byId('oblique').textContent")
    finally:
        tab.resize(*SIZE)
