"""What a study took of machines: time by phase, what was saved of it, and Dice for it."""

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from alsweep.errors import RecordError
from alsweep.results.cube import DONE, Floats, select

PHASES = ("train_seconds", "evaluate_seconds", "query_seconds")
_COUNTS = ("members", "cached_members")
_HOUR = 3600
EVERY = ("done", "running", "truncated", "failed")
"""All states: what was spent was spent."""


def phase_hours(table: pd.DataFrame, *, statuses: Collection[str] = DONE) -> pd.DataFrame:
    """Hours of a trajectory by phase, mean over seeds, and what it would have taken alone.

    Args:
        table: The tidy table.
        statuses: Which trajectories enter.

    Returns:
        One row a (setting, strategy), sorted: ``train``, ``evaluate`` and ``query``, hours that
        were spent; ``shared``, hours that members found stored would have taken, each as long as
        those of the setting that were trained at that loop; ``alone``, the sum of all four: compare
        strategies by it, since which of them trains what they share is chance. NaN where a
        setting trained none. ``trajectories``: how many.

    Raises:
        RecordError: A column is missing, or a loop is there twice.
    """
    rows = _priced(table, statuses)
    hours = ["train", "evaluate", "query", "shared"]
    keys = ["setting", "strategy"]
    totals = rows.groupby([*keys, "seed"])[hours].sum(min_count=1)
    each = totals.groupby(keys, sort=True)
    frame = each.mean().assign(trajectories=each.size()).reset_index()
    frame.insert(6, "alone", frame[hours].sum(axis="columns", skipna=False))
    return frame


def pretrained(table: pd.DataFrame) -> pd.DataFrame:
    """Hours of what members began with, each counted once, however many trajectories share it.

    Args:
        table: The tidy table.

    Returns:
        One row each: ``pretraining``, its name; ``hours``; ``trajectories``, which share it. They
        are in no other sum of hours.
    """
    if "pretraining" not in table:
        return pd.DataFrame(columns=["pretraining", "hours", "trajectories"])
    each = table.dropna(subset="pretraining").groupby("pretraining", sort=True)
    hours = each["pretrain_seconds"].max() / _HOUR
    return pd.DataFrame(
        {"hours": hours, "trajectories": each["trajectory"].nunique()}
    ).reset_index()


def _priced(table: pd.DataFrame, statuses: Collection[str]) -> pd.DataFrame:
    """Rows with hours by phase, and those that stored members saved."""
    rows = select(table, (*PHASES, *_COUNTS), statuses)
    trained = rows["members"] - rows["cached_members"]
    own = pd.DataFrame({"setting": rows["setting"], "loop": rows["loop"], "made": trained}).assign(
        seconds=rows["train_seconds"].where(trained > 0, 0.0)
    )
    at_loop = own.groupby(["setting", "loop"])[["seconds", "made"]].transform("sum")
    anywhere = own.groupby("setting")[["seconds", "made"]].transform("sum")
    rate = _rate(at_loop).fillna(_rate(anywhere))
    shared = (rows["cached_members"] * rate).where(rows["cached_members"] > 0, 0.0)
    phases = {name.removesuffix("_seconds"): rows[name] / _HOUR for name in PHASES}
    return rows.assign(**phases, shared=shared / _HOUR)


def _rate(sums: pd.DataFrame) -> "pd.Series[float]":
    return (sums["seconds"] / sums["made"]).where(sums["made"] > 0)


def savings(table: pd.DataFrame, *, statuses: Collection[str] = EVERY) -> pd.DataFrame:
    """Hours that each setting took, and what it was spared by sharing and by stopping early.

    Args:
        table: The tidy table, trajectories of all states.
        statuses: Which trajectories enter.

    Returns:
        One row a setting, sorted: ``spent`` hours; ``sharing``, what members found stored would
        have taken; ``stopping``, what the loops would have taken that truncated trajectories were
        spared, each as long as the setting's finished ones took for that loop on the mean (not
        those that were never begun, of which a table knows nothing; NaN where none is finished);
        ``saved``, the share of the whole that was spared, 0..1.

    Raises:
        RecordError: A column is missing, or a loop is there twice.
    """
    rows = _priced(table, statuses)
    rows = rows.assign(spent=rows["train"] + rows["evaluate"] + rows["query"])
    found = []
    for setting, group in rows.groupby("setting", sort=True):
        spent, sharing = float(group["spent"].sum()), float(group["shared"].sum(skipna=False))
        stopping = _spared(group)
        saved = (sharing + stopping) / max(spent + sharing + stopping, 1e-12)
        found.append((setting, spent, sharing, stopping, saved))
    return pd.DataFrame(found, columns=["setting", "spent", "sharing", "stopping", "saved"])


def _spared(group: pd.DataFrame) -> float:
    stopped = group[group["status"] == "truncated"]
    if stopped.empty:
        return 0.0
    each = group[group["status"] == "done"].groupby("loop")["spent"].mean()
    if each.empty:
        return float("nan")
    last = stopped.groupby(["strategy", "seed"])["loop"].max()
    return float(sum(each[each.index > loop].sum() for loop in last))


def with_hours(table: pd.DataFrame, *, statuses: Collection[str] = DONE) -> pd.DataFrame:
    """Return rows with ``hours``: cumulative, what members found stored would have taken included.

    Args:
        table: The tidy table.
        statuses: Which trajectories enter; rows of others are left out.

    Raises:
        RecordError: A column is missing, or a loop is there twice.
    """
    rows = _priced(table, statuses)
    spent = rows[["train", "evaluate", "query", "shared"]].sum(axis="columns", skipna=False)
    owners = [rows[key] for key in ("setting", "strategy", "seed")]
    hours = spent.groupby(owners).cumsum()
    return rows.drop(columns=["train", "evaluate", "query", "shared"]).assign(hours=hours)


def front(
    table: pd.DataFrame, metric: str = "mean_dice", *, statuses: Collection[str] = DONE
) -> pd.DataFrame:
    """Dice for machine hours: where each strategy stands after each loop, and which are the front.

    Args:
        table: The tidy table.
        metric: Column to read; higher is better.
        statuses: Which trajectories enter.

    Returns:
        One row a (setting, strategy, loop), sorted: ``hours``, cumulative, what members found
        stored would have taken included; ``value``; both mean over seeds; ``on_front``: nothing in
        the setting is at least as good for at most these hours and better in one.

    Raises:
        RecordError: A column is missing, or a loop is there twice.
    """
    rows = with_hours(select(table, (metric,), statuses), statuses=statuses)
    rows = rows.assign(value=rows[metric])
    frame = rows.groupby(["setting", "strategy", "loop"], sort=True)[["hours", "value"]].mean()
    frame = frame.reset_index()
    settings = frame.groupby("setting", sort=True)
    best = [_front(g["hours"].to_numpy(), g["value"].to_numpy()) for _, g in settings]
    return frame.assign(on_front=np.concatenate(best) if best else np.empty(0, dtype=bool))


def _front(hours: Floats, values: Floats) -> np.ndarray:
    """Which points no other dominates; undefined ones are never among them."""
    cheaper = (hours[:, None] <= hours) & (values[:, None] >= values)
    strictly = (hours[:, None] < hours) | (values[:, None] > values)
    known = np.isfinite(hours) & np.isfinite(values)
    return known & ~(cheaper & strictly & known[:, None]).any(axis=0)


def hypervolume(points: pd.DataFrame) -> pd.DataFrame:
    """Share of the box that strategies dominate: hours from 0 to the setting's most, Dice 0 to 1.

    Args:
        points: From :func:`front`.

    Returns:
        One row a (setting, strategy), sorted, and one a setting whose ``strategy`` is null, for the
        front of all together: ``hypervolume`` in 0..1, higher is better.
    """
    found: list[tuple[str, str | None, float]] = []
    for setting, group in points.groupby("setting", sort=True):
        hours, values = (group[c].to_numpy(dtype=np.float64) for c in ("hours", "value"))
        names, place = np.unique(group["strategy"].to_numpy(), return_inverse=True)
        most = float(np.nanmax(hours, initial=0))
        for k, name in enumerate(names):
            own = _volume(hours[place == k], values[place == k], most)
            found.append((str(setting), str(name), own))
        found.append((str(setting), None, _volume(hours, values, most)))
    frame = pd.DataFrame(found, columns=["setting", "strategy", "hypervolume"])
    return frame.astype({"setting": "str", "strategy": "str"})


def _volume(hours: Floats, values: Floats, most: float) -> float:
    known = np.isfinite(hours) & np.isfinite(values)
    if not known.any() or not most > 0:
        return float("nan")
    order = np.argsort(hours[known], kind="stable")
    steps = np.diff(np.append(hours[known][order], most))
    reached = np.maximum.accumulate(np.clip(values[known][order], 0, 1))
    return float((steps * reached).sum() / most)


def money(
    table: pd.DataFrame,
    per_hour: float,
    per_unit: Mapping[str, float],
    *,
    statuses: Collection[str] = DONE,
) -> pd.DataFrame:
    """What a trajectory costs in money, mean over seeds, in whatever currency the prices are.

    Args:
        table: The tidy table, with cost columns where prices are of them.
        per_hour: Price of a machine hour.
        per_unit: Column to the price of one of it, such as ``{"cost_slices": 0.5}``.
        statuses: Which trajectories enter.

    Returns:
        One row a (setting, strategy), sorted: ``compute``, of the hours that it would take alone;
        ``annotation``, of all columns at the last loop; ``total``.

    Raises:
        RecordError: A column is missing, a loop is there twice, or a price is negative.
    """
    for name, price in (("per_hour", per_hour), *per_unit.items()):
        if not price >= 0:
            raise RecordError(f"{name}: expected a price >= 0, got {price}")
    rows = select(table, tuple(per_unit), statuses)
    keys = ["setting", "strategy"]
    last = rows.groupby([*keys, "seed"], sort=True)[list(per_unit)].last() if per_unit else None
    frame = phase_hours(table, statuses=statuses)[[*keys, "alone"]]
    frame = frame.assign(compute=frame["alone"] * per_hour, annotation=0.0).drop(columns="alone")
    if last is not None:
        prices = pd.Series(dict(per_unit), dtype=np.float64)
        paid = last.astype(np.float64).mul(prices).sum(axis="columns", skipna=False)
        frame["annotation"] = paid.groupby(keys, sort=True).mean().to_numpy()
    return frame.assign(total=frame["compute"] + frame["annotation"])
