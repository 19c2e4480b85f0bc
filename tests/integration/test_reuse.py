"""Workers that train one trajectory after the other make what new processes make, to the byte."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from alsweep.data.phantom import write_phantom
from alsweep.layout import log_path, models_folder, trajectories_folder, weights_path

# A sweep and four trajectories alone, each in new processes: minutes on a busy machine.
pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(1200)]

SPACE = """
name: tiny
dataset: {dataset}
base:
  query: {{patches: 6, loops: 3, patch_size: [8, 8, 8], stride: 2}}
  training: {{epochs: 1, iterations_per_epoch: 3, members: 2, folds: 2, features: [4, 4, 4],
             patch_size: [16, 16, 16]}}
seeds: [0, 1]
grid:
  strategy: [predictive_entropy, {{name: power_bald, beta: 5}}]
wandb: {{mode: disabled}}
"""

ONE_WORKER = """
import sys
from functools import partial
from pathlib import Path
from alsweep.config.sweep import ResourcesConfig
from alsweep.sweep import run_sweep
from alsweep.sweep.environment import prepare_environment
prepare_environment(ResourcesConfig(), private=True)
import ray
ray.init = partial(ray.init, num_cpus=1)
assert not run_sweep(Path(sys.argv[1]), Path(sys.argv[2]), report=False).failed
"""

ALONE = """
import sys
from pathlib import Path
from alsweep.config.sweep import ResourcesConfig
from alsweep.sweep.environment import prepare_environment
prepare_environment(ResourcesConfig(), private=True)
from alsweep.results.records import read_config
from alsweep.trajectory.runner import Trajectory
config, folder = read_config(Path(sys.argv[1])), Path(sys.argv[2])
made = Trajectory(config, folder, models=folder.parent / "models", resources=ResourcesConfig())
while not made.finished:
    made.step()
made.close()
"""

TIMING = ("train_seconds", "evaluate_seconds", "query_seconds", "cached_members")
"""What is a matter of clocks, and of who trained a shared start."""


def python(script: str, *arguments: Path) -> None:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    # Ray's workers are nice by 15: on a busy machine nothing would begin for minutes.
    environment = {**os.environ, "RAY_worker_niceness": "0"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr


def queries(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "queries").iterdir())}


def records(folder: Path) -> list[dict[str, Any]]:
    read = [json.loads(path.read_text()) for path in sorted((folder / "records").iterdir())]
    return [{key: one[key] for key in one if key not in TIMING} for one in read]


def test_what_a_worker_makes_after_other_trajectories_is_what_it_makes_alone(
    tmp_path: Path,
) -> None:
    dataset = write_phantom(tmp_path / "dataset", cases=6, shape=(20, 20, 20), seed=3)
    space, run = tmp_path / "tiny.yaml", tmp_path / "run"
    space.write_text(SPACE.format(dataset=dataset.path))
    python(ONE_WORKER, space, run)
    folders = sorted(trajectories_folder(run).iterdir())
    assert len(folders) == 4
    processes = [set(re.findall(r"/(\d+) ", log_path(one).read_text())) for one in folders]
    assert len(set.union(*processes)) < len(folders), "each had a process of its own"
    for folder in folders:
        alone = tmp_path / "alone" / folder.name / "trajectory"
        python(ALONE, folder, alone)
        assert queries(alone) == queries(folder)
        assert records(alone) == records(folder)
        keys = [key for record in records(folder) for key in record["members"]]
        assert len(set(keys)) == 6
        for key in keys:
            ours, theirs = models_folder(run) / key, alone.parent / "models" / key
            assert weights_path(ours).read_bytes() == weights_path(theirs).read_bytes()
