"""Does a recipe of small trainings lose classes? Its trainings with many seeds on equal labels.

    python benchmarks/small.py DATASET --recipe small --recipe slow learning_rate=1e-3 epochs=6
        [--labels 0] [--patches 12] [--patch 16 16 16] [--seeds 20] [--threshold 0.5]
        [--out runs/small]

A recipe is a name and fields of `training`; what it does not say is as the preset `small` has it,
with one member of three epochs, or as COMMON below has it. For each of --labels, which seeds a
starting budget of --patches patches, a recipe is trained with each seed and judged on the
validation cases. The table gives the share of trainings that learned every class (Dice of each
above --threshold; Wilson's interval), mean Dice and its standard deviation over the seeds, pooled
over the sets of labels (intervals of Student's t and of chi squared, 95 %), the lead over the first
recipe, paired by labels and seed, and seconds of CPU time a training, so that it can run on a busy
machine. Trainings lie in FOLDER: a second call goes on where the first was stopped.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from ruamel.yaml import YAML
from scipy import stats

from alsweep import Dataset, TrajectoryConfig
from alsweep.config.base import fingerprint
from alsweep.config.sweep import ResourcesConfig
from alsweep.trajectory.budget import draw_start
from alsweep.trajectory.steps import Steps

COMMON: dict[str, Any] = {"epochs": 3, "members": 1, "ensemble": "seeds"}


@dataclass(frozen=True)
class Result:
    """What one training came to; ``key`` tells all that it follows from."""

    key: str
    recipe: str
    labels: int
    seed: int
    mean_dice: float
    dice: dict[str, float]
    cpu_seconds: float


def config_of(
    dataset: Dataset, training: dict[str, Any], options: argparse.Namespace, seed: int
) -> TrajectoryConfig:
    """A trajectory of one loop."""
    return TrajectoryConfig.model_validate(
        {
            "dataset": dataset.path,
            "starting_budget": {"strategy": options.start},
            "query": {"patches": options.patches, "patch_size": options.patch, "loops": 1},
            "training": training,
            "seed": seed,
        }
    )


def train(config: TrajectoryConfig, labels: TrajectoryConfig, dataset: Dataset) -> dict[str, Any]:
    """Train one member on the start of ``labels``, and judge it."""
    patches = [queried.patch for queried in draw_start(labels, dataset)]
    with TemporaryDirectory() as models:
        steps = Steps.make(config, dataset, Path(models), ResourcesConfig(cpus=1), "small", None)
        began = time.process_time()
        members = steps.train(0, patches, ())
        seconds = time.process_time() - began
        scores = steps.evaluate(0, members).validation
    dice = {name: value for name, value in scores.dice.items() if value is not None}
    return {"mean_dice": scores.mean_dice, "dice": dice, "cpu_seconds": seconds}


def results_of(
    dataset: Dataset, recipe: tuple[str, dict[str, Any]], options: argparse.Namespace
) -> list[Result]:
    """A recipe's trainings, those that are missing made."""
    log = options.out / "results.jsonl"
    known = [Result(**json.loads(line)) for line in log.open()] if log.exists() else []
    found = {result.key: result for result in known}
    name, fields = recipe
    results = []
    for labels in options.labels:
        start = config_of(dataset, COMMON | fields, options, labels)
        for seed in range(options.seeds):
            config = config_of(dataset, COMMON | fields, options, seed)
            key = fingerprint([config.identity_on(dataset.fingerprint), labels])
            if key not in found:
                made = train(config, start, dataset)
                found[key] = Result(key=key, recipe=name, labels=labels, seed=seed, **made)
                with log.open("a") as file:
                    file.write(json.dumps(asdict(found[key])) + "\n")
            results.append(found[key])
    return results


def line(
    name: str, results: Sequence[Result], first: Sequence[Result], options: argparse.Namespace
) -> str:
    """A recipe's line of the table."""
    learned = [min(result.dice.values()) > options.threshold for result in results]
    share = stats.binomtest(sum(learned), len(learned)).proportion_ci(method="wilson")
    dice = np.array([r.mean_dice for r in results]).reshape(len(options.labels), -1)
    lead = (dice - np.array([r.mean_dice for r in first]).reshape(dice.shape)).ravel()
    free = dice.shape[0] * (dice.shape[1] - 1)
    variance = dice.var(axis=1, ddof=1).mean()
    low, high = np.sqrt(variance * free / stats.chi2.ppf([0.975, 0.025], free))
    classes = list(results[0].dice)
    each = " ".join(f"{c} {np.mean([r.dice[c] for r in results]):.3f}" for c in classes)
    seconds = np.mean([r.cpu_seconds for r in results])
    return (
        f"{name:16} learned {sum(learned):2}/{len(learned)} [{share.low:.2f}, {share.high:.2f}]  "
        f"Dice {dice.mean():.3f}  sd {np.sqrt(variance):.3f} [{low:.3f}, {high:.3f}]  "
        f"lead {lead.mean():+.3f} +- {half_width(lead):.3f}  CPU {seconds:5.1f} s  {each}"
    )


def half_width(values: np.ndarray) -> float:
    """Half the 95 % interval of the mean."""
    return float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--recipe", nargs="+", action="append", required=True, metavar="NAME FIELD")
    parser.add_argument("--labels", type=int, nargs="+", default=[0], help="seeds of the start")
    parser.add_argument("--start", default="random_fg33_all_classes", help="strategy of the start")
    parser.add_argument("--patches", type=int, default=12)
    parser.add_argument("--patch", type=int, nargs=3, default=[16, 16, 16])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--threshold", type=float, default=0.5)
    parser.add_argument("--out", type=Path, default=Path("runs/small"))
    options = parser.parse_args()
    yaml = YAML(typ="safe")
    pairs = [(name, [f.partition("=") for f in fields]) for name, *fields in options.recipe]
    options.recipe = {name: {k: yaml.load(v) for k, _, v in fields} for name, fields in pairs}
    return options


def main() -> None:
    """Train what is missing, recipe by recipe, and report each."""
    options = parse()
    dataset = Dataset.open(options.dataset)
    options.out.mkdir(parents=True, exist_ok=True)
    first: list[Result] = []
    for recipe in options.recipe.items():
        results = results_of(dataset, recipe, options)
        first = first or results
        print(line(recipe[0], results, first, options), flush=True)


if __name__ == "__main__":
    main()
