"""Racing against ASHA, Optuna's WilcoxonPruner and the fixed design: errors, and hours saved.

Run: python benchmarks/racing.py
     python benchmarks/racing.py --table runs/a/results.parquet ...   # recorded curves, resampled

Errors: tables in which all strategies are equal, with equal noise and with one that has three times
the noise. Savings: simulated settings with the published spread (noise of a loop 0.2 to 1.3 Dice
points, differences 0 to 5), the main study's 12 strategies and 5 loops. Hours are those of all
loops of all trajectories: what is saved counts that loop 0 is shared by all strategies of a seed
(in every design; alone 11 of 60 loops, 14,400 to 11,760 trainings of the main study), and what is
stopped. A replay is a setting; its verdicts are held against the headline test on the full table.
"""

import argparse
import warnings
from dataclasses import dataclass
from itertools import product
from time import perf_counter
from types import SimpleNamespace

import numpy as np
import optuna
import pandas as pd
from ray.tune.schedulers import ASHAScheduler
from scipy.stats import ttest_1samp
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from alsweep.results import simulate_race
from alsweep.results.cube import cube
from alsweep.rng import stream

LOOPS, ALPHA = 5, 0.05
SHARED = "shared loop 0"


@dataclass(frozen=True)
class Design:
    """How simulated tables look; differences and noise in Dice points."""

    strategies: int = 12
    seeds: int = 4
    differences: float = 5.0
    noise: tuple[float, float] = (0.2, 1.3)
    noisy: float = 1.0

    def table(self, settings: int, seed: int) -> pd.DataFrame:
        """Settings with differences of their own; one strategy has ``noisy`` times the noise."""
        rng = stream(seed, "racing", self.strategies, self.seeds)
        sizes = (settings, self.strategies, self.seeds, LOOPS)
        lower = rng.uniform(0, self.differences, sizes[:2])[..., None, None]
        sigma = rng.uniform(*self.noise, (settings, 1, 1, 1)) * np.ones(sizes)
        sigma[:, 1] *= self.noisy
        noise = rng.normal(size=sizes) * sigma
        # The first loop is the same for all strategies of a seed, and a seed helps all of them.
        noise[..., 0] = rng.normal(size=(settings, 1, self.seeds))
        luck = rng.normal(size=(settings, 1, self.seeds, 1))
        values = 60 + luck + noise - np.where(np.arange(LOOPS) > 0, lower, 0)
        keys = product(*map(range, sizes))
        table = pd.DataFrame(keys, columns=["setting", "strategy", "seed", "loop"])
        table["mean_dice"] = values.ravel() / 100
        names = {key: table[key].map(f"{key[0]}{{:03d}}".format) for key in ("setting", "strategy")}
        return table.assign(**names)


def wrong_drops(design: Design, tables: int, **rule: object) -> str:
    """Share of null tables in which any strategy is dropped, with its 95 % interval."""
    found = simulate_race(design.table(tables, seed=1), ALPHA, **rule)
    wrong = found[found["decided_against"].notna()]["setting"].nunique()
    low, high = proportion_confint(wrong, tables, method="wilson")
    held = "" if low <= ALPHA else "  ABOVE ALPHA"
    return f"{wrong / tables:6.1%}  [{low:.1%}, {high:.1%}]{held}"


def race(table: pd.DataFrame, **rule: object) -> pd.DataFrame:
    """The race, as it replays a table."""
    return simulate_race(table, ALPHA, **rule)


def fixed(table: pd.DataFrame) -> pd.DataFrame:
    """Everything is run."""
    counts = table.groupby(["setting", "strategy", "seed"]).size().rename("loops").reset_index()
    return counts.assign(decided_against=None)


def asha(table: pd.DataFrame) -> pd.DataFrame:
    """Ray's ASHA at equal loops over the trajectories of a setting, a seed after another."""
    found = []
    for setting, rows in table.groupby("setting"):
        scheduler = ASHAScheduler("loop", "mean_dice", "max", max_t=LOOPS, reduction_factor=2)
        for seed, group in rows.groupby("seed"):
            curves = group.pivot(index="strategy", columns="loop", values="mean_dice")
            found += _asha_seed(scheduler, curves, {"setting": setting, "seed": seed})
    return pd.DataFrame(found)


def _asha_seed(scheduler: ASHAScheduler, curves: pd.DataFrame, keys: dict) -> list[dict]:
    loops = dict.fromkeys(curves.index, LOOPS)
    trials = {name: SimpleNamespace(trial_id=f"{name}-{keys['seed']}") for name in curves.index}
    values = dict(zip(curves.index, curves.to_numpy(), strict=True))
    for trial in trials.values():
        scheduler.on_trial_add(None, trial)
    for loop in range(1, LOOPS + 1):
        for name, trial in trials.items():
            result = {"loop": loop, "mean_dice": float(values[name][loop - 1])}
            if loops[name] >= loop and scheduler.on_trial_result(None, trial, result) == "STOP":
                loops[name] = loop
    best = curves.mean(axis=1).idxmax()
    return [
        {**keys, "strategy": n, "loops": k, "decided_against": best if k < LOOPS else None}
        for n, k in loops.items()
    ]


def wilcoxon(table: pd.DataFrame) -> pd.DataFrame:
    """Optuna's pruner over paired seeds: strategies one after another, against the best so far."""
    found = []
    for setting, rows in table.groupby("setting"):
        areas = _areas(rows)
        study = optuna.create_study(direction="maximize", pruner=optuna.pruners.WilcoxonPruner())
        for name in stream(0, "order", str(setting)).permutation(areas.index):
            found += _wilcoxon_one(study, areas.loc[name], {"setting": setting, "strategy": name})
    return pd.DataFrame(found)


def _wilcoxon_one(study: optuna.Study, values: pd.Series, keys: dict) -> list[dict]:
    best = study.best_trial.user_attrs["name"] if study.get_trials(states=[_COMPLETE]) else None
    trial, against, made = study.ask(), None, 0
    trial.set_user_attr("name", keys["strategy"])
    for seed, value in values.items():
        trial.report(value, int(seed))
        made += 1
        if trial.should_prune():
            against = best
            break
    study.tell(trial, values.iloc[:made].mean())
    return [
        {**keys, "seed": seed, "loops": LOOPS * (i < made), "decided_against": against}
        for i, seed in enumerate(values.index)
    ]


_COMPLETE = optuna.trial.TrialState.COMPLETE


def _areas(rows: pd.DataFrame) -> pd.DataFrame:
    """AUBC, strategies by seeds."""
    curves = cube(rows, "mean_dice")
    areas = np.trapezoid(curves.values[0], axis=1) / (len(curves.loops) - 1)
    return pd.DataFrame(areas, curves.strategies, curves.seeds)


def contradicted(table: pd.DataFrame, found: pd.DataFrame) -> float:
    """Share of settings where one was dropped that the headline test does not call worse."""
    dropped = found.dropna(subset=["decided_against"])
    dropped = dropped.drop_duplicates(["setting", "strategy"])
    wrong, full = set(), {name: _areas(rows) for name, rows in table.groupby("setting")}
    for (setting, rival), rows in dropped.groupby(["setting", "decided_against"]):
        areas = full[setting]
        lead = areas.loc[rival] - areas.drop(index=rival)
        p = ttest_1samp(lead.to_numpy(), 0, axis=1).pvalue
        worse = multipletests(p, ALPHA, "holm")[0] & (lead.mean(axis=1).to_numpy() > 0)
        if not set(rows["strategy"]) <= set(lead.index[worse]):
            wrong.add(setting)
    return len(wrong) / table["setting"].nunique()


def hours(found: pd.DataFrame) -> pd.Series:
    """Share of all loops of a setting that are made, loop 0 of a seed once for all strategies."""
    begun = found[found["loops"] > 0]
    own = (begun["loops"] - 1).groupby(begun["setting"]).sum()
    shared = begun.groupby("setting")["seed"].nunique()
    return (own + shared) / (LOOPS * found.groupby("setting").size())


def recorded(paths: list[str], settings: int, seeds: int) -> pd.DataFrame:
    """Settings drawn from recorded curves: whole seeds of a recorded setting, with replacement."""
    from alsweep.results import load_results

    table, rng, parts = load_results(paths), stream(0, "recorded"), []
    table = table[table["status"] == "done"]
    names = table["setting"].unique()
    for n in range(settings):
        rows = table[table["setting"] == rng.choice(names)]
        drawn = rng.choice(rows["seed"].unique(), seeds)
        parts += [
            rows[rows["seed"] == seed].assign(setting=f"s{n:03d}", seed=i)
            for i, seed in enumerate(drawn)
        ]
    return pd.concat(parts)[["setting", "strategy", "seed", "loop", "mean_dice"]]


def compare_designs(title: str, table: pd.DataFrame, control: str) -> None:
    """Print a row for each way of spending hours."""
    print(f"\n{title}: {table['setting'].nunique()} replays")
    print(f"{'':34}  loops made  saved, 95 %     replays contradicted by the full table")
    ways = {
        "fixed design, " + SHARED: fixed,
        "race against the leader": race,
        "race, nothing borrowed": lambda rows: race(rows, prior_df=0),
        "race, a look after each loop": lambda rows: race(rows, each_loop=True),
        f"race against {control}": lambda rows: race(rows, control=control),
        "ASHA (Ray), halving": asha,
        "WilcoxonPruner (Optuna)": wilcoxon,
    }
    for name, way in ways.items():
        begin = perf_counter()
        found = way(table)
        each, wrong = hours(found), contradicted(table, found)
        spent, half = each.mean(), 1.96 * each.sem()
        seconds = perf_counter() - begin
        saved = f"{1 - spent:5.1%} +- {half:.1%}"
        print(f"{name:34}  {spent:9.1%}  {saved}  {wrong:6.1%}   ({seconds:.1f} s)", flush=True)


def main() -> None:
    """Print errors, then savings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=int, default=1000, help="null tables for each case")
    parser.add_argument("--replays", type=int, default=200, help="settings for each design")
    parser.add_argument("--table", nargs="*", default=[], help="recorded results instead")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    if arguments.table:
        for seeds in (4, 8):
            table = recorded(arguments.table, arguments.replays, seeds)
            control = sorted(table["strategy"].unique())[0]
            compare_designs(f"recorded curves, {seeds} seeds", table, control)
        return
    print(f"any strategy wrongly dropped, {arguments.tables} null tables, alpha {ALPHA:.0%}")
    for seeds, strategies, noisy in product((4, 8), (6, 12), (1.0, 3.0, 10.0)):
        null = Design(strategies, seeds, 0.0, (1.0, 1.0), noisy)
        label = f"{seeds} seeds, {strategies} strategies, one with {noisy:g} times the noise"
        rules = {"": {}, "each loop": {"each_loop": True}, "nothing borrowed": {"prior_df": 0}}
        told = [f"{name} {wrong_drops(null, arguments.tables, **r)}" for name, r in rules.items()]
        print(f"{label:56} {'   '.join(told)}", flush=True)
    for seeds in (4, 8):
        table = Design(seeds=seeds).table(arguments.replays, seed=2)
        compare_designs(f"published spread, {seeds} seeds", table, "s000")


if __name__ == "__main__":
    main()
