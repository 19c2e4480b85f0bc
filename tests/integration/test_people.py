"""People in the loop, from raw images to segmented ones, through the command line and Ray."""

import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from alsweep.layout import record_path, task_table
from alsweep.model.evaluation import case_dice
from alsweep.people.labelling import open_labellings
from alsweep.results.records import read_records
from tests.integration.brain import make_brains
from tests.integration.test_real_sweep import start
from tests.people.rounds.painting import paint

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(3600)]

SPACE = """
name: brains
dataset: {dataset}
base:
  query: {{patches: 6, patch_size: [8, 10, 10], stride: 2}}
  training: {{epochs: 2, iterations_per_epoch: 20, members: 2, ensemble: seeds,
             features: [8, 8, 16], patch_size: [12, 16, 16]}}
wandb: {{mode: disabled}}
"""
LOOPS = 3
SECONDS = 900


@pytest.fixture(scope="module")
def brains(tmp_path_factory):
    """A search space over eight heads, of which two are labelled; and the truth of all."""
    folder = tmp_path_factory.mktemp("brains")
    truth = make_brains(folder / "raw", cases=8, validation=2)
    finish(start("ingest", folder / "raw", "--unlabelled", "--out", folder / "dataset"))
    space = folder / "space.yaml"
    space.write_text(SPACE.format(dataset=folder / "dataset"))
    return space, truth


def finish(process) -> None:
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err


def label(run: Path, truth: Path) -> None:
    """What a person does between two calls, with files alone."""
    (labelling,) = open_labellings(run)
    folder = labelling.tasks_folder(labelling.loop)
    files = [
        paint(folder, task.id, truth, labelling.crop(task.patch), out=run.parent / f"{run.name}-in")
        for task in labelling.open_tasks()
    ]
    finish(start("ingest-labels", run, *reversed(files)))


def killed(run: Path, is_time, *arguments: object) -> None:
    """Begin a command, and kill it without a word once it is time."""
    process, end = start(*arguments), time.monotonic() + SECONDS
    while not is_time():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)
    process.kill()
    process.communicate()


@pytest.fixture(scope="module")
def calm(brains, tmp_path_factory) -> Path:
    space, truth = brains
    run = tmp_path_factory.mktemp("calm") / "run"
    finish(start("suggest", space, "--out", run))
    for _ in range(LOOPS):
        label(run, truth)
        finish(start("suggest", run, "--explain"))
    return run


def test_killed_twice_it_ends_in_the_same_state(brains, calm, tmp_path):
    space, truth = brains
    run = tmp_path / "run"
    finish(start("suggest", space, "--out", run))
    (labelling,) = open_labellings(run)
    models, record = run / "models", record_path(labelling.folder, 1)
    moments = [lambda: any(models.glob("*/weights.pt")), record.exists]
    for loop in range(LOOPS):
        label(run, truth)
        if loop < len(moments):
            killed(run, moments[loop], "suggest", run)
        finish(start("suggest", run))
    (one,), (other,) = open_labellings(run), open_labellings(calm)
    for part in ("queries", "pending"):
        files = {p.name: p.read_bytes() for p in (one.folder / part).iterdir()}
        assert files == {p.name: p.read_bytes() for p in (other.folder / part).iterdir()}
    mine, theirs = (read_records(each.folder) for each in (one, other))
    assert len(mine) == len(theirs) == LOOPS
    for a, b in zip(mine, theirs, strict=True):
        assert (a.members, a.case_dice) == (b.members, b.case_dice)
    for loop in range(LOOPS + 1):
        tables = [task_table(each.tasks_folder(loop)) for each in (one, other)]
        assert len({table.read_text() for table in tables}) == 1


def test_dice_against_the_truth_that_nobody_was_shown_rises(brains, calm, tmp_path):
    _, truth = brains
    records = read_records(open_labellings(calm)[0].folder)
    assert records[-1].mean_dice > records[0].mean_dice
    images = brains[0].parent / "raw/imagesTr"
    finish(start("predict", calm, images, "--out", tmp_path / "segmented"))
    found = {}
    for path in sorted((tmp_path / "segmented").iterdir()):
        labels = np.asarray(nib.load(path).dataobj)
        reference = np.asarray(nib.load(truth / path.name).dataobj)
        dataset = open_labellings(calm)[0].dataset
        found[path.name] = np.mean(case_dice(labels, reference, dataset.targets).dice)
    assert len(found) == 8
    assert np.mean(list(found.values())) > records[0].mean_dice
