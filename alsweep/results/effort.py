"""Learning curves over what they cost: any column that grows, in place of annotated patches."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from alsweep.results.cube import DONE, Floats, select
from alsweep.results.metrics import ends

_KEYS = ["setting", "strategy", "seed"]


@dataclass(frozen=True)
class _Curve:
    """Costs and values of a trajectory, in the order of its loops."""

    strategy: str
    seed: int
    x: Floats
    y: Floats


def effort_aubc(
    table: pd.DataFrame,
    cost: str,
    metric: str = "mean_dice",
    *,
    statuses: Collection[str] = DONE,
) -> pd.DataFrame:
    """Area under each trajectory's curve over a cost axis, on the range that a setting shares.

    Trajectories spend unlike amounts: the area is over the range from the dearest start to the
    cheapest end of the setting, linear between loops, and scaled so that a constant curve v has the
    area v.

    Args:
        table: The tidy table.
        cost: A column that grows with the loops, such as ``foreground_voxels``, or ``cost_slices``
            of :func:`alsweep.costs.with_costs`.
        metric: Column to integrate; higher is better.
        statuses: Which trajectories enter.

    Returns:
        One row a (setting, strategy, seed), sorted; column ``aubc``, NaN where a value is undefined
        or a setting shares no range. ``attrs`` holds ``ranges``: setting to (from, to).

    Raises:
        RecordError: A column is missing, or a loop is there twice.
    """
    rows = select(table, (metric, cost), statuses)
    found, ranges = [], {}
    for setting, curves in _curves(rows, cost, metric).items():
        low, high = ranges[setting] = shared_range([curve.x for curve in curves])
        found += [(setting, c.strategy, c.seed, _area(c.x, c.y, low, high)) for c in curves]
    frame = pd.DataFrame(found, columns=[*_KEYS, "aubc"]).astype({"aubc": "float64"})
    frame.attrs = {"ranges": ranges}
    return frame


def effort_curves(
    table: pd.DataFrame,
    cost: str,
    metric: str = "mean_dice",
    points: int = 25,
    *,
    statuses: Collection[str] = DONE,
) -> pd.DataFrame:
    """Mean curves over a cost axis: each trajectory is interpolated onto one grid, then averaged.

    Args:
        table: The tidy table.
        cost: As in :func:`effort_aubc`.
        metric: Column to average.
        points: Of the grid, over the range that a setting shares.
        statuses: Which trajectories enter.

    Returns:
        One row a (setting, strategy, cost): ``mean``, ``std`` (ddof 1, NaN for one seed) and
        ``seeds``. Settings that share no range have no rows.

    Raises:
        RecordError: A column is missing, or a loop is there twice.
    """
    rows = select(table, (metric, cost), statuses).dropna(subset=[metric, cost])
    frames = []
    for setting, curves in _curves(rows, cost, metric).items():
        low, high = shared_range([curve.x for curve in curves])
        if not high > low:
            continue
        grid = np.linspace(low, high, points)
        values = np.array([np.interp(grid, curve.x, curve.y) for curve in curves])
        owner = np.array([curve.strategy for curve in curves])
        for strategy in np.unique(owner):
            own = values[owner == strategy]
            std = own.std(axis=0, ddof=1) if len(own) > 1 else np.full(points, np.nan)
            names = {"setting": setting, "strategy": str(strategy), "cost": grid}
            frames.append({**names, "mean": own.mean(axis=0), "std": std, "seeds": len(own)})
    columns = ["setting", "strategy", "cost", "mean", "std", "seeds"]
    repeated = {
        name: np.concatenate([np.broadcast_to(frame[name], points) for frame in frames])
        for name in (columns if frames else ())
    }
    return pd.DataFrame(repeated, columns=columns)


def shared_range(costs: Collection[Floats]) -> tuple[float, float]:
    """Return the dearest start and the cheapest end; NaN without a curve."""
    if not costs:
        return np.nan, np.nan
    return float(max(x[0] for x in costs)), float(min(x[-1] for x in costs))


def _curves(rows: pd.DataFrame, cost: str, metric: str) -> dict[str, list[_Curve]]:
    """Setting to its trajectories, in the order of selected rows."""
    first, last = ends(rows)
    x, y = (rows[column].to_numpy(dtype=np.float64) for column in (cost, metric))
    keys = rows.iloc[first][_KEYS].itertuples(index=False, name=None)
    found: dict[str, list[_Curve]] = {}
    for (setting, strategy, seed), begin, end in zip(keys, first, last + 1, strict=True):
        curve = _Curve(str(strategy), int(seed), x[begin:end], y[begin:end])
        found.setdefault(str(setting), []).append(curve)
    return found


def _area(x: Floats, y: Floats, low: float, high: float) -> float:
    if not high > low or not np.isfinite(x).all() or not np.isfinite(y).all():
        return float("nan")
    inside = (x > low) & (x < high)
    across = np.concatenate([[low], x[inside], [high]])
    ends = np.interp([low, high], x, y)
    values = np.concatenate([ends[:1], y[inside], ends[1:]])
    return float(np.trapezoid(values, across) / (high - low))
