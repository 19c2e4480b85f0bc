import csv
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from alsweep.config.load import load_sweep
from alsweep.data.ingest.conversion import IngestOptions, ingest
from alsweep.label_codes import IGNORE
from alsweep.people.intake import Taken, take_in
from alsweep.people.labelling import open_labellings
from alsweep.results.table import collect
from alsweep.sweep.audience import Listener
from alsweep.sweep.planning import plan_of, plan_read
from alsweep.sweep.run_folder import stored_sweep
from alsweep.sweep.suggesting import Wishes, suggest
from tests.people.painting import make_raw, paint

SPACE = """
name: people
dataset: {dataset}
base:
  annotator: {{kind: human}}
  strategy: predictive_entropy
  starting_budget: {{strategy: random}}
  query: {{patches: 3, patch_size: [8, 8, 8], loops: 2, stride: 2, on_shortfall: take_all}}
  training: {{epochs: 1, iterations_per_epoch: 4, members: 2, ensemble: seeds,
             features: [4, 4, 4], patch_size: [16, 16, 16]}}
wandb: {{mode: disabled}}
"""


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A Dataset of seven cases, two of which validate, and the folder with the truth of all."""
    root = tmp_path_factory.mktemp("people")
    truth = make_raw(root / "raw", cases=7, validation=2)
    options = IngestOptions(unlabelled=True, workers=1)
    return ingest(root / "raw", root / "dataset", options).dataset, truth


def train_here(job, loop):
    """What Ray does, in this process."""
    (planned,) = job.plan.trajectories
    stepper = job.work.trajectory(planned.config, job.folder(planned), lambda progress: None)
    assert stepper.step().loop == loop
    stepper.close()


class Person:
    """Somebody with a run, a Dataset and the truth."""

    def __init__(self, made, run: Path) -> None:
        self.dataset, self.truth = made
        self.run = run
        self.space = run.parent / f"{run.name}.yaml"
        self.space.write_text(SPACE.format(dataset=self.dataset.path))

    def suggest(self, wishes=Wishes(report=False), make=train_here):
        if self.run.exists() and (self.run / "sweep.yaml").exists():
            plan = plan_of(stored_sweep(self.run), self.space, self.run, people=True)
        else:
            plan = plan_read(load_sweep(self.space), self.space, self.run, people=True)
        return suggest(plan, self.run, None, Listener(), wishes, make=make)

    @property
    def labelling(self):
        return open_labellings(self.run)[0]

    def paint(self, tasks, **how):
        folder = self.labelling.tasks_folder(self.labelling.loop)
        return [
            paint(folder, task.id, self.truth, self.labelling.crop(task.patch), **how)
            for task in tasks
        ]

    def hand_in(self, files):
        return take_in([self.labelling], files)


def test_people_label_patches_in_three_loops(made, tmp_path):
    person = Person(made, tmp_path / "run")
    for loop in range(3):
        found = person.suggest()
        assert found.labelling.loop == loop
        assert [task.status for task in found.tasks] == ["to do"] * 3
        assert not [task for task in found.tasks if task.patch.case in person.dataset.validation]
        files = person.paint(found.tasks)
        # In any order, one by one, and one of them twice.
        for path in [*reversed(files), files[0]]:
            (one,) = person.hand_in([path])
            assert isinstance(one, Taken), one
        with (found.folder / "tasks.csv").open() as table:
            assert [row["patch"] for row in csv.DictReader(table)] == [t.id for t in found.tasks]
    found = person.suggest()
    table = collect(person.run)
    assert list(table["annotated_patches"]) == [3, 6, 9]
    assert table["mean_dice"].notna().all()
    # What networks learn is what was painted, on their grid.
    labelling = found.labelling
    for task in labelling.every_task()[:9]:
        patch = task.patch
        labels = labelling.crops.reveal(patch.case, patch.start, patch.size)
        assert (labels != IGNORE).all()


def test_files_lie_where_their_source_does_and_hold_its_values(made, tmp_path):
    person = Person(made, tmp_path / "run")
    found = person.suggest()
    for task in found.tasks:
        crop = found.labelling.crop(task.patch)
        image = nib.load(found.folder / f"{task.id}_image.nii.gz")
        label = nib.load(found.folder / f"{task.id}_label.nii.gz")
        raw = Path(person.dataset.manifest.raw) / f"imagesTr/{task.patch.case}_0000.nii.gz"
        source = nib.load(raw)
        assert np.array_equal(image.affine, label.affine)
        start = np.array(crop.context.start[::-1])
        expected = source.affine @ [*start, 1]
        assert np.allclose(image.affine[:, 3], expected, atol=1e-4)
        assert np.allclose(image.affine[:3, :3], source.affine[:3, :3], atol=1e-6)
        part = tuple(slice(a, a + n) for a, n in zip(start, image.shape, strict=True))
        assert np.array_equal(np.asarray(image.dataobj), np.asarray(source.dataobj)[part])
        assert (np.asarray(label.dataobj) == IGNORE).all()
