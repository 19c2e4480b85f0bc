"""Recipes side by side: Dice and seconds an iteration, on the same data, labels, patch and network.

    python benchmarks/parity.py DATASET [--recipes nnunetv2 nnunet] [--iterations 1000]
        [--seeds 0 1 2] [--patches 0] [--out FOLDER] [--more 'NAME={preset: nnunet, momentum: 0.9}']

`nnunetv2` is nnU-Net's own trainer (pip install 'alsweep[nnunet]'), `nnunet` is alsweep's preset of
the same recipe, `onecycle` the preset for short trainings; others are given by --more. One member
is trained on the whole pool, or with `--patches N` on a starting budget of N patches, and Dice is
measured on the validation cases in the same way for all. Trained members are kept in FOLDER, so
that a second call goes on where the first was stopped. Recipes take turns within each seed; the
interval is that of Student's t over the seeds' differences from the first recipe, 95 %.
"""

import argparse
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML
from scipy import stats

from alsweep import Dataset, Patch, TrajectoryConfig
from alsweep.config.sweep import ResourcesConfig
from alsweep.trajectory.budget import draw_start
from alsweep.trajectory.progress import Progress
from alsweep.trajectory.steps import Steps

PER_EPOCH = 50
COMMON: dict[str, Any] = {
    "members": 1,
    "ensemble": "seeds",
    "iterations_per_epoch": PER_EPOCH,
    "patch_size": [32, 32, 32],
    "features": [8, 16, 32, 64],
}
RECIPES: dict[str, dict[str, Any]] = {
    "nnunetv2": {"preset": "nnunet", "learner": "nnunetv2"},
    "nnunet": {"preset": "nnunet"},
    "onecycle": {"preset": "onecycle"},
}


@dataclass(frozen=True)
class Result:
    """What one training came to."""

    dataset: str
    recipe: str
    seed: int
    iterations: int
    patches: int
    mean_dice: float
    dice: dict[str, float]
    seconds: float
    seconds_an_iteration: float
    load: float


class Clock:
    """Notes when epochs end; the first one holds the start-up and is left out."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def __call__(self, progress: Progress) -> None:
        """Note the time."""
        if progress.phase == "train" and progress.done:
            self.ends.append(time.perf_counter())

    def seconds_an_iteration(self) -> float:
        """Median over the epochs."""
        return float(np.median(np.diff(self.ends))) / PER_EPOCH


def train(
    dataset: Dataset, name: str, recipe: dict[str, Any], options: argparse.Namespace, seed: int
) -> Result:
    """Train one member and measure it."""
    training = {**COMMON, "epochs": options.iterations // PER_EPOCH, **recipe}
    config = TrajectoryConfig.model_validate(
        {
            "dataset": dataset.path,
            "query": {"patches": options.patches or 1, "patch_size": options.patch, "loops": 1},
            "training": training,
            "evaluation": {"step": 0.5, "tta": False, "grid": "resampled"},
            "seed": seed,
        }
    )
    clock = Clock()
    resources = ResourcesConfig(cpus=1)
    steps = Steps.make(config, dataset, options.out / "models", resources, "parity", clock)
    patches = [Patch(case, (0, 0, 0), dataset.cases[case].shape) for case in dataset.pool]
    if options.patches:
        patches = [queried.patch for queried in draw_start(config, dataset)]
    began = time.perf_counter()
    members = steps.train(0, patches, ())
    seconds = time.perf_counter() - began
    scores = steps.evaluate(0, members).validation
    assert scores.mean_dice is not None
    dice = {label: value for label, value in scores.dice.items() if value is not None}
    load = os.getloadavg()[0]
    return Result(
        dataset.name,
        name,
        seed,
        options.iterations,
        options.patches,
        scores.mean_dice,
        dice,
        seconds,
        clock.seconds_an_iteration(),
        load,
    )


def main() -> None:
    """Train what is missing, then report."""
    options = parse()
    dataset = Dataset.open(options.dataset)
    recipes = {**RECIPES, **options.more}
    options.out.mkdir(parents=True, exist_ok=True)
    log = options.out / "results.jsonl"
    known = [Result(**json.loads(line)) for line in log.open()] if log.exists() else []
    found = {(r.dataset, r.recipe, r.seed, r.iterations, r.patches): r for r in known}
    for seed in options.seeds:
        for name in options.recipes:
            key = (dataset.name, name, seed, options.iterations, options.patches)
            if key not in found:
                found[key] = train(dataset, name, recipes[name], options, seed)
                with log.open("a") as file:
                    file.write(json.dumps(asdict(found[key])) + "\n")
            result = found[key]
            print(
                f"{name:24} seed {seed}  Dice {result.mean_dice:.4f}  "
                f"{result.seconds_an_iteration * 1000:6.0f} ms an iteration",
                flush=True,
            )
    wanted = {(dataset.name, options.iterations, options.patches)}
    report(options, [r for r in found.values() if (r.dataset, r.iterations, r.patches) in wanted])


def report(options: argparse.Namespace, results: list[Result]) -> None:
    """Print means, and differences from the first recipe with their intervals."""
    by = {(r.recipe, r.seed): r for r in results}
    first = options.recipes[0]
    print(f"\n{options.dataset.name}, {options.iterations} iterations, {len(options.seeds)} seeds:")
    for name in options.recipes:
        mine = [by[name, seed] for seed in options.seeds]
        theirs = [by[first, seed] for seed in options.seeds]
        dice = np.array([r.mean_dice for r in mine])
        lead = dice - [r.mean_dice for r in theirs]
        pairs = zip(mine, theirs, strict=True)
        ratio = np.median([a.seconds_an_iteration / b.seconds_an_iteration for a, b in pairs])
        millis = 1000 * np.median([r.seconds_an_iteration for r in mine])
        print(
            f"{name:24} Dice {dice.mean():.4f}  lead {lead.mean():+.4f} +- {half_width(lead):.4f}  "
            f"{millis:5.0f} ms an iteration, {ratio:.2f} of the first"
        )


def half_width(values: np.ndarray) -> float:
    """Half the 95 % interval of the mean."""
    if len(values) < 2:
        return float("nan")
    error = values.std(ddof=1) / np.sqrt(len(values))
    return float(stats.t.ppf(0.975, len(values) - 1) * error)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--recipes", nargs="+", default=["nnunetv2", "nnunet"])
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--patches", type=int, default=0, help="0: the whole pool is annotated")
    parser.add_argument("--patch", type=int, nargs=3, default=[16, 16, 16])
    parser.add_argument("--out", type=Path, default=Path("runs/parity"))
    parser.add_argument("--more", action="append", default=[], metavar="NAME=YAML")
    options = parser.parse_args()
    named = (text.partition("=") for text in options.more)
    options.more = {name: YAML(typ="safe").load(text) for name, _, text in named}
    return options


if __name__ == "__main__":
    main()
