"""What finished trajectories cost: people, by all cost models that can be had, and machines."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from alsweep.costs import CostModel, cost_models, with_costs
from alsweep.errors import DatasetError, RecordError
from alsweep.layout import costs_path
from alsweep.report.study import Study
from alsweep.results import effort_aubc
from alsweep.results.compute import with_hours
from alsweep.results.records import RunFolder

_log = logging.getLogger(__name__)

HOURS = "hours"
"""Column of machine hours, cumulative."""

_AT_ONCE = 10**8
"""Voxels of labels that are looked at without being asked for, in a minute or so."""


@dataclass(frozen=True, eq=False)
class Costed:
    """Finished rows with their costs.

    Attributes:
        table: With a cumulative column for each model, and ``hours``.
        models: Those whose column has a number, by their order of names.
        lacking: Why others have none; one sentence a reason.
    """

    table: pd.DataFrame
    models: tuple[CostModel, ...]
    lacking: tuple[str, ...]

    @cached_property
    def areas(self) -> pd.DataFrame:
        """AUBC over each cost: the columns of ``effort_aubc``, ``cost`` and ``unit``."""
        each = [
            effort_aubc(self.table, column(model)).assign(cost=model.name, unit=model.unit)
            for model in self.models
        ]
        return pd.concat(each, ignore_index=True) if each else pd.DataFrame()


def column(model: CostModel) -> str:
    """Where a model's costs stand in a table."""
    return f"cost_{model.name}"


def costed(study: Study) -> Costed:
    """Add what each finished loop had cost; what a model cannot see stays without a number."""
    table = with_hours(study.table)
    known = cost_models().values()
    table = with_costs(table, [], [model.name for model in known if model.column is not None])
    unseen = [model for model in known if model.column is None]
    parts, reasons = [], []
    for run, rows in _by_run(study, table):
        found, reason = _seen(run, rows, unseen, every=study.asked.every_cost)
        parts.append(found)
        reasons += [reason] if reason else []
    if parts:
        table = pd.concat(parts).loc[table.index]
    having = [m for m in known if column(m) in table and table[column(m)].notna().any()]
    return Costed(table, tuple(having), tuple(dict.fromkeys(reasons)))


def _by_run(study: Study, table: pd.DataFrame) -> Iterable[tuple[RunFolder, pd.DataFrame]]:
    """The rows of each run's trajectories; what several have counts for the first."""
    left = table
    for run in study.runs:
        own = {t.id for t in run.trajectories if t.records}
        mine = left["trajectory"].isin(own)
        yield run, left[mine]
        left = left[~mine]


def _seen(
    run: RunFolder, rows: pd.DataFrame, models: list[CostModel], *, every: bool
) -> tuple[pd.DataFrame, str]:
    """The rows with the costs of models that have to see labels, or why they have none."""
    blank = rows.assign(**{column(model): np.nan for model in models})
    if rows.empty or not models:
        return blank, ""
    voxels = _unlooked(run, rows)
    if voxels > _AT_ONCE and not every:
        return blank, (
            f"{run.name} has {voxels:,} voxels of queries, which take a while to look at: write "
            "'every_cost: true' under report in the search space to have them looked at once"
        )
    try:
        return with_costs(rows, run.path, [model.name for model in models]), ""
    except (DatasetError, RecordError) as error:
        _log.info("%s: %s", run.path, error)
        return blank, f"the labels of {run.name} are not to be had any more"


def _unlooked(run: RunFolder, rows: pd.DataFrame) -> int:
    """Annotated voxels of trajectories whose costs are not kept."""
    last = rows.groupby("trajectory")["annotated_voxels"].max()
    return int(sum(n for id_, n in last.items() if not costs_path(run.path, str(id_)).exists()))
