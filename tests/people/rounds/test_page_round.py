"""Labels that were painted by strokes on the page come back, voxel by voxel, as they were meant."""

import time
from itertools import groupby
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from alsweep.label_codes import IGNORE
from alsweep.people.intake import Taken
from alsweep.people.page import PAGE
from alsweep.people.page_task import PageTask
from tests.browser import browser, find_chromium
from tests.people.pages import SIZE, Screen
from tests.people.rounds.conftest import QUIET, Person
from tests.people.rounds.painting import true_labels

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SECONDS = 60


def shown(labelling, task, label) -> PageTask:
    """What the page knows of a patch, as far as strokes need it."""
    crop = labelling.crop(task.patch)
    return PageTask(
        id=task.id,
        case=task.patch.case,
        channels={"MR": np.zeros(label.shape[::-1], np.float32)},
        affine=crop.affine,
        box=crop.box,
        prediction=None,
        score=None,
        label=np.full(label.shape[::-1], IGNORE, np.uint8),
        why="",
    )


def paint_by_strokes(screen: Screen, truth: np.ndarray) -> None:
    """Row by row, a stroke for each run of voxels of one class."""
    (z0, y0, x0), (depth, height, width) = screen.task.box.start, screen.task.box.size
    for z in range(z0, z0 + depth):
        for y in range(y0, y0 + height):
            row = enumerate(truth[x0 : x0 + width, y, z], start=x0)
            for code, run in groupby(row, key=lambda one: int(one[1])):
                places = [x for x, _ in run]
                screen.tab.ask(f"app.settings.code = {code}; showAll()")
                screen.stroke("axial", [(places[0], y, z), (places[-1], y, z)])


def saved(folder: Path, name: str) -> Path:
    path, end = folder / name, time.monotonic() + SECONDS
    while not path.exists():
        assert time.monotonic() < end, sorted(folder.iterdir())
        time.sleep(0.05)
    return path


def test_a_round_through_the_page(made, tmp_path):
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium on PATH")
    person = Person(made, tmp_path / "run")
    found = person.suggest(QUIET)
    with browser(program, tmp_path / "profile") as tab:
        files = tmp_path / "files"
        tab.downloads_to(files)
        tab.open(found.folder / PAGE, *SIZE)
        tab.ask("ready")
        tab.ask("byId('annotator').value = app.settings.annotator = 'Ada'; 0")
        for at, task in enumerate(found.tasks):
            label = nib.load(found.folder / f"{task.id}_label.nii.gz")
            truth = true_labels(person.truth, task.patch.case, label)
            tab.ask(f"openTask({at}).then(() => fillWith(() => UNPAINTED))")
            tab.ask(
                "Object.assign(app.settings, {tool: 'brush', size: 1, solid: false}); showAll()"
            )
            paint_by_strokes(Screen(tab, shown(found.labelling, task, label)), truth)
            tab.press("S", shift=True)
            path = saved(files, f"{task.id}_label.nii.gz")
            saved(files, f"{task.id}_label.json")
            (taken,) = person.hand_in([path])
            assert isinstance(taken, Taken), taken
            crop = found.labelling.crop(task.patch)
            assert np.array_equal(taken.annotation.labels, truth.T[crop.box.slices])
            assert taken.annotation.annotator == "Ada"
            assert taken.annotation.effort.seconds > 0
        assert tab.complaints == []
    found = person.suggest(QUIET)
    assert found.trained
    (record,) = found.labelling.records
    assert record.effort.timed_patches == len(found.tasks)
    assert record.effort.minutes > 0
