"""What ending a search early saves and loses, and whether a low rung ranks as a high one does.

Run: python benchmarks/search.py stop [--searches 20]
     python benchmarks/search.py rungs --dataset DATASET --run RUN

stop: simulated configurations, a smooth surface over three parameters (one of which only one
strategy has) 5 Dice points high, and the noise of a mean over seeds. What is lost is in true
values, of the configuration that is best by what was told. Optuna's terminator is asked every
fifth trial.
rungs: eight configurations, three seeds, trained for 2 and for 8 epochs.
"""

import argparse
import math
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.samplers import TPESampler
from optuna.terminator import BaseErrorEvaluator, RegretBoundEvaluator, Terminator

from alsweep.results import aubc, load_results
from alsweep.results.ranks import kendall_tau
from alsweep.results.searched import Searched, Tried
from alsweep.rng import stream

MOST, HEIGHT, PATIENCES = 60, 5.0, (5, 10, 15)
STRATEGIES = ("random", "random_fg33", "predictive_entropy", "power_bald")


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
  query: {{patches: 6, loops: 3}}
  training: {{members: 2, iterations_per_epoch: 20, patch_size: [16, 16, 16]}}
settings:
  - {{name: low, training.epochs: 2}}
  - {{name: high, training.epochs: 8}}
seeds: [0, 1, 2]
grid:
  strategy: [{strategies}]
  query.patch_size: [[6, 6, 6], [10, 10, 10]]
wandb: {{mode: disabled}}
"""


def rungs(dataset: Path, run: Path) -> None:
    """Print Kendall's tau of the means at both rungs, with a bootstrap interval."""
    space = run.with_suffix(".yaml")
    text = SPACE.format(dataset=dataset.absolute(), strategies=", ".join(STRATEGIES))
    space.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "alsweep", "run", str(space), "--out", str(run)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    rows = load_results(run)
    rows["strategy"] += " " + rows["patch_size"]
    rows["setting"] = rows["epochs"].astype(str)
    curves = aubc(rows)
    table = curves.pivot(index="strategy", columns=["setting", "seed"], values="aubc")
    low, high = table["2"].mean(axis=1), table["8"].mean(axis=1)
    print((100 * low).round(2).to_frame("2 epochs").assign(high=(100 * high).round(2)))
    rng, n = stream(0, "rungs"), len(table)
    draws = (rng.integers(n, size=n) for _ in range(2000))
    pairs = [[one.iloc[draw].reset_index(drop=True) for one in (low, high)] for draw in draws]
    taus = [kendall_tau(*pair) for pair in pairs]
    known = [tau for tau in taus if not math.isnan(tau)]
    ends = np.quantile(known, [0.025, 0.975])
    print(f"tau {kendall_tau(low, high):.2f}, 95 % interval {ends[0]:.2f} to {ends[1]:.2f}")
    print(f"best third of the low rung: {sorted(low.nlargest(math.ceil(n / 3)).index)}")
    print(f"best of the high rung: {high.idxmax()}")
    print(f"seconds of training, evaluation, queries: {_seconds(rows):.0f}")


def _seconds(rows: Any) -> float:
    return float(rows[["train_seconds", "evaluate_seconds", "query_seconds"]].to_numpy().sum())


def main() -> None:
    """As the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", choices=["stop", "rungs"])
    parser.add_argument("--searches", type=int, default=20)
    parser.add_argument("--dataset", type=Path)
    parser.add_argument("--run", type=Path)
    given = parser.parse_args()
    if given.which == "stop":
        stop(given.searches)
    else:
        rungs(given.dataset, given.run)


if __name__ == "__main__":
    main()
