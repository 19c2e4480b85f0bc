from pathlib import Path

import pytest

from alsweep.config.load import load_sweep
from alsweep.data.ingest.conversion import IngestOptions, ingest
from alsweep.people.intake import take_in
from alsweep.people.labelling import open_labellings
from alsweep.sweep.audience import Listener
from alsweep.sweep.planning import plan_of, plan_read
from alsweep.sweep.run_folder import stored_sweep
from alsweep.sweep.suggesting import Wishes, suggest
from tests.people.rounds.painting import make_raw, paint

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


QUIET = Wishes(report=False)


class Person:
    """Somebody with a run, a Dataset and the truth."""

    def __init__(self, made, run: Path) -> None:
        self.dataset, self.truth = made
        self.run = run
        self.space = run.parent / f"{run.name}.yaml"
        self.space.write_text(SPACE.format(dataset=self.dataset.path))

    def suggest(self, wishes=QUIET, make=train_here):
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
