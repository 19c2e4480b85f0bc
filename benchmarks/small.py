"""Does a recipe of small trainings lose classes? Its trainings with many seeds on equal labels.

    python benchmarks/small.py DATASET --table preset [--sets 5] [--seeds 4] [--out runs/small]
    python benchmarks/small.py DATASET --recipe small --recipe slow learning_rate=1e-3 epochs=6
        [--epochs 2] [--patches 12] [--patch 16 16 16] [--queries 0] [--strategy random_fg66]

A recipe is a name and fields of `training`; what it does not say is as the preset `small` has it,
with one member. --table takes the recipes of a table of docs/training.md. Labels are drawn anew for
each of --sets: a starting budget of --patches patches, then as many queries as --queries says, by
--strategy, which must need no network. On each set a recipe is trained with --seeds seeds of its
own and judged on the validation cases. A line gives the share of trainings that learned every class
(Dice of each above --threshold; Wilson's interval), mean Dice, its standard deviation over the
seeds of a set, pooled over the sets (interval of chi squared; of one seed a set over all), the lead
over the first recipe, paired by set and seed (interval of Student's t over the sets, or over the
seeds of a single one; all 95 %), seconds of CPU time a training, so that it can run on a busy
machine, and of each class Dice and, in brackets, the share of what was predicted that is background
in truth. Trainings lie in FOLDER: a second call goes on where the first was stopped. With --shares
nothing is trained: printed are, set by set, the shares of the classes among the labelled voxels of
the windows.
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

from alsweep import Dataset, Patch, TrajectoryConfig
from alsweep.config.base import fingerprint
from alsweep.config.sweep import ResourcesConfig
from alsweep.config.trajectory import FIRST_PRESETS, PRESETS, InferenceConfig
from alsweep.data.annotator import ReferenceLabels
from alsweep.data.patches import PatchSampler
from alsweep.model.evaluation import case_dice, mean_over_cases
from alsweep.model.outputs import label_map
from alsweep.trajectory.budget import draw_start
from alsweep.trajectory.members import Member
from alsweep.trajectory.steps import Steps

COMMON: dict[str, Any] = {"members": 1, "ensemble": "seeds"}
FIRST = {
    "batch_size": 2,
    "foreground_sampling": "case_first",
    "foreground_place": "centre",
} | FIRST_PRESETS["small"]
CHANGED = {key for key, value in PRESETS["small"].items() if FIRST.get(key) != value}
WINDOWS = {"patch_size", "batch_size"}
CHANGES = {"windows": WINDOWS} | {key: {key} for key in sorted(CHANGED - WINDOWS)}
"""What ``small`` differs in from its first version: fields that belong together."""


def fields_of(recipe: dict[str, Any], keys: set[str]) -> dict[str, Any]:
    """Some fields of a recipe."""
    return {key: value for key, value in recipe.items() if key in keys}


TABLES: dict[str, dict[str, dict[str, Any]]] = {
    "preset": {"before": FIRST, "now": {}},
    "ablation": {
        "before": FIRST,
        "now": {},
        **{f"without {name}": fields_of(FIRST, keys) for name, keys in CHANGES.items()},
        **{
            f"{name} alone": FIRST | fields_of(PRESETS["small"], keys)
            for name, keys in CHANGES.items()
        },
    },
}
BATCHES = 60
"""Enough for shares of classes."""
SEEDS_APART = 1000
"""Between the first seeds of two sets of labels: more seeds a set leave the others as they are."""


@dataclass(frozen=True)
class Result:
    """What one training came to; ``key`` tells all that it follows from."""

    key: str
    recipe: str
    labels: int
    queries: int
    seed: int
    mean_dice: float
    dice: dict[str, float]
    outside: dict[str, float]
    cpu_seconds: float


@dataclass(frozen=True)
class Labelled:
    """A set of labels: the seed that it was drawn with, and how many queries follow the start."""

    labels: int
    queries: int
    patches: tuple[Patch, ...]


def config_of(
    dataset: Dataset, training: dict[str, Any], options: argparse.Namespace, seed: int
) -> TrajectoryConfig:
    """What is trained, or labelled, with a seed."""
    return TrajectoryConfig.model_validate(
        {
            "dataset": dataset.path,
            "strategy": options.strategy,
            "starting_budget": {"strategy": options.start},
            "query": {"patches": options.patches, "patch_size": options.patch, "loops": 9},
            "training": COMMON | {"epochs": options.epochs} | training,
            "seed": seed,
        }
    )


def steps_of(config: TrajectoryConfig, dataset: Dataset, models: Path) -> Steps:
    """Of one thread."""
    return Steps.make(config, dataset, models, ResourcesConfig(cpus=1), "small", None)


def labelled(dataset: Dataset, options: argparse.Namespace) -> list[Labelled]:
    """All sets of labels, one of which holds those of fewer queries and the same seed."""
    found = []
    for labels in range(options.sets):
        config = config_of(dataset, {}, options, labels)
        steps = steps_of(config, dataset, Path())
        patches = [one.patch for one in draw_start(config, dataset)]
        for queries in range(max(options.queries) + 1):
            if queries:
                patches += [one.patch for one in steps.query(queries - 1, (), patches)]
            if queries in options.queries:
                found.append(Labelled(labels, queries, tuple(patches)))
    return sorted(found, key=lambda one: one.queries)


def train(config: TrajectoryConfig, labels: Labelled, dataset: Dataset) -> dict[str, Any]:
    """Train one member, and judge it."""
    with TemporaryDirectory() as models:
        steps = steps_of(config, dataset, Path(models))
        began = time.process_time()
        members = steps.train(0, labels.patches, ())
        seconds = time.process_time() - began
        return {**judged(steps, members), "cpu_seconds": seconds}


def judged(steps: Steps, members: Sequence[Member]) -> dict[str, Any]:
    """Dice, and the share of each class's predicted voxels that are background in truth."""
    dataset, names = steps.dataset, steps.dataset.classes[1:]
    reference, dice, there = ReferenceLabels(dataset), {}, [False] * len(names)
    found, wrong = np.zeros(len(names)), np.zeros(len(names))
    for case in dataset.validation:
        probs = steps.predict(members, case, InferenceConfig(step=0.5)).mean_probs
        predicted = label_map(probs, dataset.manifest.regions_class_order)
        true = reference.volume(case)
        dice[case], here = case_dice(predicted, true, dataset.targets)
        there = [a or b for a, b in zip(there, here, strict=True)]
        for place in range(len(names)):
            found[place] += (predicted == place + 1).sum()
            wrong[place] += ((predicted == place + 1) & (true == 0)).sum()
    mean, each = mean_over_cases(dice, there)
    outside = wrong / np.maximum(found, 1)
    return {
        "mean_dice": mean,
        "dice": {name: one for name, one in zip(names, each, strict=True) if one is not None},
        "outside": dict(zip(names, outside.tolist(), strict=True)),
    }


def results_of(
    dataset: Dataset,
    recipe: tuple[str, dict[str, Any]],
    sets: Sequence[Labelled],
    options: argparse.Namespace,
) -> list[Result]:
    """A recipe's trainings, those that are missing made."""
    log = options.out / "results.jsonl"
    known = [Result(**json.loads(line)) for line in log.open()] if log.exists() else []
    found = {result.key: result for result in known}
    name, fields = recipe
    results = []
    for labels in sets:
        first = labels.labels * SEEDS_APART
        for seed in range(first, first + options.seeds):
            config = config_of(dataset, fields, options, seed)
            said = (config.training.identity(), seed, dataset.fingerprint, str(labels.patches))
            key = fingerprint(said)
            if key not in found:
                made = train(config, labels, dataset)
                place = {"labels": labels.labels, "queries": labels.queries, "seed": seed}
                found[key] = Result(key=key, recipe=name, **place, **made)
                with log.open("a") as file:
                    file.write(json.dumps(asdict(found[key])) + "\n")
            results.append(found[key])
    return results


def shares(
    dataset: Dataset, fields: dict[str, Any], labels: Labelled, options: argparse.Namespace
) -> np.ndarray:
    """Of each class among the annotated voxels that a training's windows hold, background first."""
    config = config_of(dataset, fields, options, labels.labels)
    training, steps = config.training, steps_of(config, dataset, Path())
    sampler = PatchSampler(
        dataset,
        steps.labels(sorted(labels.patches)),
        dataset.pool,
        steps.members.setup.topology.window,
        training.foreground_share,
        case_sampling=training.case_sampling,
        foreground_sampling=training.foreground_sampling,
        foreground_place=training.foreground_place,
    )
    rng = np.random.default_rng(0)
    drawn = [sampler.batch(rng, training.batch_size)[1] for _ in range(BATCHES)]
    counts = np.bincount(np.stack(drawn).ravel(), minlength=256)[: len(dataset.classes)]
    return np.asarray(counts / counts.sum())


def line(
    name: str, results: Sequence[Result], first: Sequence[Result], options: argparse.Namespace
) -> str:
    """A recipe's line of the table."""
    learned = [min(result.dice.values()) > options.threshold for result in results]
    share = stats.binomtest(sum(learned), len(learned)).proportion_ci(method="wilson")
    dice = np.array([r.mean_dice for r in results]).reshape(options.sets, -1)
    lead = dice - np.array([r.mean_dice for r in first]).reshape(dice.shape)
    each = " ".join(
        f"{c} {np.mean([r.dice[c] for r in results]):.3f}"
        f" ({np.mean([r.outside[c] for r in results]):.2f})"
        for c in results[0].dice
    )
    seconds = np.mean([r.cpu_seconds for r in results])
    return (
        f"{name:28} learned {sum(learned):2}/{len(learned)} [{share.low:.2f}, {share.high:.2f}]  "
        f"Dice {dice.mean():.3f}  {deviation(dice)}  {interval(lead)}  CPU {seconds:5.1f} s  {each}"
    )


def deviation(dice: np.ndarray) -> str:
    """Over the seeds of a set, pooled over the sets, which are the rows; or over all."""
    free = dice.size - len(dice)
    if dice.size < 2:
        return "sd -"
    if not free:
        return "of sets and seeds together " + deviation(dice.reshape(1, -1))
    variance = dice.var(axis=1, ddof=1).mean()
    low, high = np.sqrt(variance * free / stats.chi2.ppf([0.975, 0.025], free))
    return f"sd {np.sqrt(variance):.3f} [{low:.3f}, {high:.3f}]"


def interval(lead: np.ndarray) -> str:
    """Mean lead and half its interval. Seeds of one set are alike, so that sets are what counts."""
    values = lead.mean(axis=1) if len(lead) > 1 else lead.ravel()
    if len(values) < 2:
        return f"lead {values.mean():+.3f}"
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return f"lead {values.mean():+.3f} +- {half:.3f}"


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--table", choices=TABLES, help="recipes of docs/training.md")
    parser.add_argument("--recipe", nargs="+", action="append", default=[], metavar="NAME FIELD")
    parser.add_argument("--start", default="random_fg33_all_classes", help="strategy of the start")
    parser.add_argument("--patches", type=int, default=12, help="of the start, and of each query")
    parser.add_argument("--patch", type=int, nargs=3, default=[16, 16, 16])
    parser.add_argument("--queries", type=int, nargs="+", default=[0])
    parser.add_argument("--strategy", default="random_fg66", help="of the queries")
    parser.add_argument("--sets", type=int, default=5, help="sets of labels")
    parser.add_argument("--seeds", type=int, default=4, help="trainings on each")
    parser.add_argument("--epochs", type=int, default=2, help="of 50 iterations")
    parser.add_argument("--threshold", type=float, default=0.5)
    parser.add_argument("--shares", action="store_true", help="of classes in windows; no training")
    parser.add_argument("--out", type=Path, default=Path("runs/small"))
    options = parser.parse_args()
    yaml = YAML(typ="safe")
    pairs = [(name, [f.partition("=") for f in fields]) for name, *fields in options.recipe]
    named = {name: {k: yaml.load(v) for k, _, v in fields} for name, fields in pairs}
    options.recipe = TABLES.get(options.table, {}) | named
    if not options.recipe:
        parser.error("give --table or --recipe")
    return options


def main() -> None:
    """Train what is missing, recipe by recipe, and report each after so many queries."""
    options = parse()
    dataset = Dataset.open(options.dataset)
    options.out.mkdir(parents=True, exist_ok=True)
    sets = labelled(dataset, options)
    for queries in options.queries:
        first: list[Result] = []
        mine = [one for one in sets if one.queries == queries]
        print(f"{queries} queries after the start:")
        for recipe in options.recipe.items():
            if options.shares:
                each = [shares(dataset, recipe[1], labels, options).round(3) for labels in mine]
                print(recipe[0], *each)
                continue
            results = results_of(dataset, recipe, mine, options)
            first = first or results
            print(line(recipe[0], results, first, options), flush=True)


if __name__ == "__main__":
    main()
