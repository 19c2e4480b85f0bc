"""Learning curves over what they cost: any column that grows, in place of annotated patches."""

from collections.abc import Collection

import numpy as np
import pandas as pd

from alsweep.results.cube import DONE, Floats, select

_KEYS = ["setting", "strategy", "seed"]


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
    for setting, group in rows.groupby("setting", sort=True):
        curves = _curves(group, cost, metric)
        low, high = ranges[str(setting)] = shared_range([x for x, _ in curves.values()])
        found += [(setting, *key, _area(x, y, low, high)) for key, (x, y) in curves.items()]
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
    for setting, group in rows.groupby("setting", sort=True):
        curves = _curves(group, cost, metric)
        low, high = shared_range([x for x, _ in curves.values()])
        if high > low:
            grid = np.linspace(low, high, points)
            values = pd.DataFrame({key: np.interp(grid, x, y) for key, (x, y) in curves.items()})
            for strategy, own in values.T.groupby(level=0, sort=True):
                columns = {"cost": grid, "mean": own.mean(), "std": own.std(ddof=1)}
                names = {"setting": setting, "strategy": strategy}
                frames.append(pd.DataFrame({**names, **columns, "seeds": len(own)}))
    columns = ["setting", "strategy", "cost", "mean", "std", "seeds"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def shared_range(costs: Collection[Floats]) -> tuple[float, float]:
    """Return the dearest start and the cheapest end; NaN without a curve."""
    if not costs:
        return np.nan, np.nan
    return float(max(x[0] for x in costs)), float(min(x[-1] for x in costs))


def _curves(
    group: pd.DataFrame, cost: str, metric: str
) -> dict[tuple[str, int], tuple[Floats, Floats]]:
    """(strategy, seed) to costs and values, in the order of the loops."""
    return {
        (str(strategy), int(seed)): (
            rows[cost].to_numpy(dtype=np.float64),
            rows[metric].to_numpy(dtype=np.float64),
        )
        for (strategy, seed), rows in group.groupby(["strategy", "seed"], sort=True)  # type: ignore[misc]
    }


def _area(x: Floats, y: Floats, low: float, high: float) -> float:
    if not high > low or not np.isfinite(x).all() or not np.isfinite(y).all():
        return float("nan")
    inside = (x > low) & (x < high)
    across = np.concatenate([[low], x[inside], [high]])
    ends = np.interp([low, high], x, y)
    values = np.concatenate([ends[:1], y[inside], ends[1:]])
    return float(np.trapezoid(values, across) / (high - low))
