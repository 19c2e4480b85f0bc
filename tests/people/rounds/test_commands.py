import json
from itertools import pairwise

import pytest
import yaml

from alsweep.cli.main import _exit_code
from alsweep.cli.suggest import _meant_for_people
from alsweep.config.sweep import SweepConfig
from alsweep.layout import tasks_folder
from alsweep.people.labelling import open_labellings
from alsweep.results.records import read_config
from tests.people.rounds.conftest import Person

OF_A_SWEEP = """
name: thursdays
dataset: {dataset}
base:
  query: {{patches: 3, patch_size: [8, 8, 8], stride: 2}}
  training: {{epochs: 1, iterations_per_epoch: 4, members: 2, ensemble: seeds,
             features: [4, 4, 4], patch_size: [16, 16, 16]}}
wandb: {{mode: disabled}}
"""


def alsweep(*arguments) -> int:
    return _exit_code(list(map(str, arguments)), debug=False)


@pytest.fixture
def space(made, tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(OF_A_SWEEP.format(dataset=made[0].path))
    return path


def test_a_search_space_as_it_is_means_people_and_a_start_that_needs_no_labels(
    space, tmp_path, capsys
):
    run = tmp_path / "run"
    assert alsweep("suggest", space, "--out", run, "--explain", "--patches", 4) == 0
    out, err = capsys.readouterr()
    lines = out.strip().splitlines()
    assert lines[-1] == str(tasks_folder(run, 0))
    assert [line.split(": rank ")[1].split(" ")[0] for line in lines[:-1]] == list("1234")
    assert "4 patches to label: open annotate.html" in err
    (labelling,) = open_labellings(run)
    config = read_config(labelling.folder)
    assert config.annotator.kind == "human"
    assert config.starting_budget.strategy.name == "random"
    assert config.query.on_shortfall == "take_all"
    for name in ("annotate.html", "overview.png", "tasks.csv"):
        assert (tasks_folder(run, 0) / name).stat().st_size > 0

    before = {p: p.stat().st_mtime_ns for p in tasks_folder(run, 0).glob("*.nii.gz")}
    assert alsweep("suggest", run) == 0
    assert {p: p.stat().st_mtime_ns for p in tasks_folder(run, 0).glob("*.nii.gz")} == before
    capsys.readouterr()

    # Neither a sweep nor a worker asks anybody.
    for verb in (("resume", run), ("run", run / "sweep.yaml", "--out", run), ("worker", run)):
        assert alsweep(*verb) == 2
        assert "alsweep suggest" in capsys.readouterr().err.strip().splitlines()[-1]
    assert alsweep("status", run, "--json") == 0
    assert json.loads(capsys.readouterr().out)["trajectories"]
    assert alsweep("status", run) == 0
    assert f"nobody is at work; go on with: alsweep suggest {run}" in capsys.readouterr().out
    tasks = open_labellings(run)[0].open_tasks()
    assert alsweep("skip", run, tasks[0].id, "--reason", " ") == 2
    assert "--reason: is empty" in capsys.readouterr().err
    assert alsweep("skip", run, tasks[0].id, "--reason", "motion") == 0
    assert alsweep("suggest", run, "--patches", 9) == 2
    assert "--patches 9: 4 were chosen already" in capsys.readouterr().err
    assert alsweep("predict", run, space, "--out", tmp_path / "out") == 2
    assert "has no trained network yet" in capsys.readouterr().err


def test_what_belongs_to_a_search_space_is_refused_for_a_run(made, tmp_path, capsys):
    person = Person(made, tmp_path / "run")
    person.suggest()
    assert alsweep("suggest", person.run, "--set", "base.query.patches=5") == 2
    assert "--set: is for a search space" in capsys.readouterr().err
    assert alsweep("suggest", person.run, "--trajectory", "nobody") == 2
    assert "--trajectory nobody: there is none" in capsys.readouterr().err


def test_several_trajectories_have_tasks_of_their_own(space, tmp_path, capsys):
    run = tmp_path / "run"
    asked = ("--set", "seeds=[1,2]")
    assert alsweep("suggest", space, "--out", run, *asked) == 2
    assert "--trajectory: which one of" in capsys.readouterr().err
    text = space.read_text() + "seeds: [1, 2]\n"
    space.write_text(text)
    for seed in (1, 2):
        wanted = f"predictive_entropy-p8x8x8-s{seed}"
        assert alsweep("suggest", space, "--out", run, "--trajectory", wanted) == 0
    one, other = open_labellings(run)
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.endswith(f"alsweep suggest {run} --trajectory {other.id}"), "it can be called so"
    assert one.tasks_folder(0) != other.tasks_folder(0)
    assert one.tasks_folder(0).parent.parent == run / "tasks"
    ids = [[task.id for task in labelling.open_tasks()] for labelling in (one, other)]
    assert all(a != b for a, b in pairwise(ids))


def test_people_stand_in_for_whoever_else_was_to_label(space, tmp_path, capsys):
    text = space.read_text()
    other = text.replace("base:\n", "base:\n  annotator: {kind: noisy_oracle, boundary: 1.0}\n")
    meant = _meant_for_people(SweepConfig.model_validate(yaml.safe_load(other)))
    assert "base.annotator={kind: human}" in meant
    assert "warning: base.annotator: people label in place of the noisy_oracle" in (
        capsys.readouterr().err
    )
    space.write_text(text + "grid: {annotator.kind: [oracle, noisy_oracle]}\n")
    assert alsweep("suggest", space, "--out", tmp_path / "run") == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "grid.annotator.kind: people label whatever is written here" in said
    assert not (tmp_path / "run").exists()
