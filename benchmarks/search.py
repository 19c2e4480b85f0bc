"""What ending a search early saves and loses, and whether a low rung ranks as a high one does.

Run: python benchmarks/search.py stop [--searches 20]
     python benchmarks/search.py rungs --dataset DATASET --run RUN [--seeds 2]

stop: simulated configurations, a smooth surface over three parameters (one of which only one
strategy has) 5 Dice points high, and the noise of a mean over seeds. What is lost is in true
values, of the configuration that is best by what was told. Optuna's terminator is asked every
fifth trial.
rungs: eight configurations, trained for 2 and for 8 epochs of 15 iterations; beside the tau of the
means between the rungs, that of single seeds, within the high rung and between both.
    alsweep phantom --out DATASET --cases 8 --shape 28 28 28
"""

import argparse
import math
import subprocess
import sys
import warnings
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.samplers import TPESampler
from optuna.terminator import BaseErrorEvaluator, RegretBoundEvaluator, Terminator

from alsweep.results import aubc, load_results
from alsweep.results.ranks import kendall_tau
from alsweep.results.searched import Searched, Tried
from alsweep.rng import stream

MOST, HEIGHT, PATIENCES = 60, 5.0, (5, 10, 15)
STRATEGIES = ("random", "random_fg66", "predictive_entropy", "clasp_pe")


def true_value(trial: optuna.Trial) -> float:
    """In Dice points below the best there is."""
    strategy = trial.suggest_categorical("strategy", ["a", "b", "c"])
    far = (trial.suggest_float("x", 0, 1) - 0.7) ** 2 + {"a": 0.2, "b": 0.1, "c": 0.0}[strategy]
    if strategy == "c":
        far += (trial.suggest_float("c.beta", 0, 1) - 0.3) ** 2
    return -HEIGHT * far


class SeedNoise(BaseErrorEvaluator):  # type: ignore[misc]
    """The standard error, as Optuna's terminator wants it."""

    def __init__(self, noise: float) -> None:
        self._noise = noise

    def evaluate(self, trials: Any, study_direction: Any) -> float:
        """The same for all."""
        return self._noise


def simulate(noise: float, seed: int, ask_terminator: bool) -> dict[str, tuple[int, float]]:
    """Rule to how many configurations were told at its end, and what was lost by it."""
    rng = stream(seed, "search benchmark")
    sampler = TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    terminator = Terminator(RegretBoundEvaluator(seed=0), SeedNoise(noise), min_n_trials=20)
    truths: list[float] = []
    tried: list[Tried] = []
    ended: dict[str, int] = {}
    for n in range(1, MOST + 1):
        trial = study.ask()
        truths.append(true_value(trial))
        value = truths[-1] + float(rng.normal(0, noise))
        study.tell(trial, value)
        tried.append(Tried(n, trial.params, trial.params, (value,), (noise,), 3, True))
        found = Searched("s", {"aubc": "max"}, {}, tuple(tried), 0, ())
        for patience in PATIENCES:
            if found.is_settled(patience):
                ended.setdefault(f"patience {patience}", n)
        if ask_terminator and n >= 20 and not n % 5 and terminator.should_terminate(study):
            ended.setdefault("terminator", n)
    names = [f"patience {p}" for p in PATIENCES] + ["terminator"] * ask_terminator
    values = [one.values[0] for one in tried]
    at_end = truths[int(np.argmax(values))]
    said = {name: ended.get(name, MOST) for name in names}
    return {name: (n, at_end - truths[int(np.argmax(values[:n]))]) for name, n in said.items()}


def stop(searches: int) -> None:
    """Print configurations and true loss, against running to the end."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore")
    print(
        f"{'noise':>6} {'rule':12} {'n':>3} {'told of':>8} {MOST} {'lost: mean':>12} {'worst':>7}"
    )
    for noise in (0.1, 0.5, 1.0):
        found: dict[str, list[tuple[int, float]]] = {}
        for seed in range(searches):
            for name, one in simulate(noise, seed, seed < searches // 4).items():
                found.setdefault(name, []).append(one)
        for name, ones in found.items():
            told, lost = np.mean([n for n, _ in ones]), [one for _, one in ones]
            row = f"{noise:6.1f} {name:12} {len(ones):3d} {told:11.1f}"
            print(f"{row} {np.mean(lost):12.2f} {max(lost):7.2f}", flush=True)


SPACE = """
name: rungs
dataset: {dataset}
base:
  starting_budget: {{strategy: random}}
  query: {{patches: 6, loops: 3, stride: 2}}
  training: {{iterations_per_epoch: 15, members: 1, ensemble: seeds, patch_size: [24, 24, 24],
             batch_size: 3}}
settings:
  - {{name: low, training.epochs: 2}}
  - {{name: high, training.epochs: 8}}
seeds: {seeds}
grid:
  strategy: [{strategies}]
  query.patch_size: [[5, 5, 5], [7, 7, 7]]
wandb: {{mode: disabled}}
"""


def rungs(dataset: Path, run: Path, seeds: int) -> None:
    """Print Kendall's tau between the rungs, of means with a bootstrap interval and of seeds."""
    space = run.with_suffix(".yaml")
    text = SPACE.format(
        dataset=dataset.absolute(), strategies=", ".join(STRATEGIES), seeds=[*range(seeds)]
    )
    space.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "alsweep", "run", str(space), "--out", str(run)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    rows = load_results(run)
    rows["strategy"] += " " + rows["patch_size"]
    rows["setting"] = rows["epochs"].astype(str)
    curves = aubc(rows)
    table = curves.pivot(index="strategy", columns=["setting", "seed"], values="aubc")
    low, high = table["2"].mean(axis=1), table["8"].mean(axis=1)
    both = pd.DataFrame({"2 epochs": low, "8 epochs": high})
    both["standard error"] = table["8"].sem(axis=1)
    print((100 * both.sort_values("8 epochs", ascending=False)).round(1).to_string())
    print(f"tau of the means {kendall_tau(low, high):.2f}, {interval(low, high)}")
    print(f"tau of one seed at 8 epochs to another there {seeds_tau(table['8'], table['8']):.2f}")
    print(f"tau of one seed at 2 epochs to another at 8 {seeds_tau(table['2'], table['8']):.2f}")
    print(f"best third of the low rung: {sorted(low.nlargest(math.ceil(len(low) / 3)).index)}")
    print(f"best of the high rung: {high.idxmax()}")
    for epochs, ones in rows.groupby("epochs"):
        print(f"seconds of training, evaluation, queries at {epochs} epochs: {_seconds(ones):.0f}")


def interval(low: pd.Series, high: pd.Series) -> str:
    """Of tau: configurations drawn with replacement."""
    rng, n = stream(0, "rungs"), len(low)
    draws = (rng.integers(n, size=n) for _ in range(2000))
    pairs = ([one.iloc[draw].reset_index(drop=True) for one in (low, high)] for draw in draws)
    known = [tau for tau in (kendall_tau(*pair) for pair in pairs) if not math.isnan(tau)]
    ends = np.quantile(known, [0.025, 0.975])
    return f"95 % interval {ends[0]:.2f} to {ends[1]:.2f}"


def seeds_tau(one: pd.DataFrame, other: pd.DataFrame) -> float:
    """Mean tau of two different seeds: what their noise leaves of equal ranks."""
    pairs = permutations(one.columns, 2)
    return float(np.mean([kendall_tau(one[a], other[b]) for a, b in pairs]))


def _seconds(rows: Any) -> float:
    return float(rows[["train_seconds", "evaluate_seconds", "query_seconds"]].to_numpy().sum())


def main() -> None:
    """As the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", choices=["stop", "rungs"])
    parser.add_argument("--searches", type=int, default=20)
    parser.add_argument("--dataset", type=Path)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    if given.which == "stop":
        stop(given.searches)
    else:
        rungs(given.dataset, given.run, given.seeds)


if __name__ == "__main__":
    main()
