"""What decisions left out of runs, trajectory by trajectory, and what that would have taken.

What was stopped before it began is in the table of results nowhere; the log of decisions knows it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from alsweep.config.trajectory import TrajectoryConfig
from alsweep.results.decisions import Decision, decided
from alsweep.results.labels import StrategyKey
from alsweep.results.records import RunFolder, TrajectoryFolder

NEVER = "not_run"
"""State of a trajectory that was stopped before its first loop was finished."""

_KEYS = ["setting", "strategy", "seed"]
_COLUMNS = [*_KEYS, "trajectory", "loops", "planned", "status", "by", "against", "why", "place"]
_SECONDS = ["train_seconds", "evaluate_seconds", "query_seconds"]


def stopping(runs: Iterable[RunFolder]) -> pd.DataFrame:
    """Return what was made of each trajectory that can be told, in the order of the sweeps.

    One that has not begun is told if it was stopped; labels are those of the runs as given.

    Args:
        runs: A trajectory of several is taken from the one that has most of it.

    Returns:
        Columns setting, strategy, seed, trajectory, ``loops`` that are finished of those
        ``planned``, ``status`` (done, running, failed, truncated, not_run), and of what is stopped
        ``by``, ``against`` and ``why`` as the log has it, with the ``place`` of its line, ascending
        with time; null of others.
    """
    runs = tuple(runs)
    words = _Words.of(runs)
    found: dict[str, dict[str, Any]] = {}
    for run in runs:
        for row in _rows(run, words):
            known = found.setdefault(row["trajectory"], row)
            if row["loops"] > known["loops"]:
                found[row["trajectory"]] = row
    table = pd.DataFrame(list(found.values()), columns=_COLUMNS)
    return table.astype({"place": "Int64"})


def overruled(runs: Iterable[RunFolder]) -> int:
    """How many trajectories went on after all, in the end."""
    return sum(
        len({one.trajectory for one in run.decisions if one.action == "overruled"} - stopped)
        for run, stopped in ((run, decided(run.decisions).stopped) for run in runs)
    )


@dataclass(frozen=True)
class _Words:
    """What begun trajectories call strategies and settings, in the table of results too.

    The log keeps the label that a strategy had when it was written.
    """

    strategies: Mapping[StrategyKey, str]
    settings: Mapping[str, str]

    @staticmethod
    def of(runs: Iterable[RunFolder]) -> "_Words":
        begun = [(r, t, t.config) for r in runs for t in r.trajectories if t.config is not None]
        return _Words(
            {StrategyKey.of(c.strategy): c.strategy.shown for _, _, c in begun},
            {_hash(r, t, c): t.records[0].setting for r, t, c in begun if t.records},
        )

    def strategy(self, config: TrajectoryConfig) -> str:
        spec = config.strategy
        return self.strategies.get(StrategyKey.of(spec), spec.shown)


def _hash(run: RunFolder, trajectory: TrajectoryFolder, config: TrajectoryConfig) -> str:
    return config.setting_hash(run.begun.ground(trajectory.id, config).dataset_fingerprint)


def _rows(run: RunFolder, words: _Words) -> Iterator[dict[str, Any]]:
    stops = decided(run.decisions).stops
    places = {one.trajectory: n for n, one in enumerate(run.decisions) if one.action == "stopped"}
    now = {
        one.config.strategy.shown: words.strategy(one.config)
        for one in stops.values()
        if one.config
    }
    for trajectory in run.trajectories:
        stop = stops.get(trajectory.id) if trajectory.status == "truncated" else None
        config = trajectory.config or (None if stop is None else stop.config)
        if config is None:
            continue
        row = _row(trajectory, config) | {"strategy": words.strategy(config)}
        hash_ = _hash(run, trajectory, config)
        row["setting"] = words.settings.get(hash_, hash_)
        if stop is not None:
            row |= _told(stop, now) | {"place": places[trajectory.id]}
        yield row


def _row(trajectory: TrajectoryFolder, config: TrajectoryConfig) -> dict[str, Any]:
    loops, stopped = len(trajectory.records), trajectory.status == "truncated"
    return {
        "seed": config.seed,
        "trajectory": trajectory.id,
        "loops": loops,
        "planned": config.query.loops,
        "status": NEVER if stopped and not loops else trajectory.status,
    }


def _told(stop: Decision, now: Mapping[str, str]) -> dict[str, Any]:
    against = None if stop.against is None else now.get(stop.against, stop.against)
    return {"by": stop.by, "against": against, "why": stop.why}


def seconds_spared(stopped: pd.DataFrame, table: pd.DataFrame) -> pd.Series:
    """Return what the loops that were left out would have taken, a value for each trajectory.

    A loop is worth the mean of that loop's seconds over what is recorded in its setting, or of the
    last loop that is. A start that is shared is in no record, so that it counts nothing.

    Args:
        stopped: Rows of :func:`stopping`.
        table: The tidy table, rows of all states.
    """
    recorded = table.assign(seconds=table[_SECONDS].sum(axis=1))
    means = recorded.groupby(["setting", "loop"])["seconds"].mean()
    values = [_spared(row, means) for row in stopped.itertuples()]
    return pd.Series(values, stopped.index, dtype="float64")


def _spared(row: Any, means: "pd.Series[float]") -> float:
    if row.setting not in means.index.get_level_values("setting"):
        return 0.0
    mine = means.loc[row.setting]
    return float(mine.reindex(range(row.planned)).ffill().iloc[row.loops :].sum())
