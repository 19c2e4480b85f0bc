"""What of a plan's next trainings is in the model store already; nothing is trained or written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from alsweep.data.case import Dataset
from alsweep.layout import models_folder, trajectory_folder, weights_path
from alsweep.results.records import read_records
from alsweep.sweep.missing import missing_starts, unfinished
from alsweep.sweep.plan import opened
from alsweep.trajectory.budget import draw_start
from alsweep.trajectory.query_log import QueryLog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alsweep.geometry import Patch
    from alsweep.sweep.plan import Plan, Planned

_NextTraining = tuple["Planned", "Sequence[Patch]", "Sequence[str]"]


def stored_members(run: Path, plan: Plan) -> Counter[str]:
    """Count the members of the next missing loops that no run has to train any more.

    Of later loops nothing can be said: which patches they learn from is not decided yet.

    Returns:
        By trajectory; those of a start under the first trajectory that waits for it.
    """
    models, found = models_folder(run), Counter[str]()
    if not any(weights_path(folder).exists() for folder in models.glob("*")):
        return found
    # Torch and monai come along with it; a new run need not wait for them.
    from alsweep.trajectory.steps import Steps

    resources = plan.sweep.resources
    datasets = {dataset.path: dataset for dataset in opened(plan)}
    for planned, patches, parents in _next_trainings(run, plan, datasets):
        config, dataset = planned.config, datasets[planned.config.dataset]
        steps = Steps.make(config, dataset, models, resources, "dry run", None)
        keys = steps.members.keys(steps.labels(sorted(patches)), parents)
        found[planned.id] += sum(steps.members.store.holds(key) for key in keys)
    return found


def _next_trainings(
    run: Path, plan: Plan, datasets: Mapping[Path, Dataset]
) -> Iterator[_NextTraining]:
    """Who trains, patches and the loop before's members, for each distinct training to come."""
    for start in missing_starts(run, plan):
        config = start.example.config
        drawn = draw_start(config, datasets[config.dataset])
        yield start.example, [queried.patch for queried in drawn], ()
    for planned in unfinished(run, plan):
        folder = trajectory_folder(run, planned.id)
        records = read_records(folder)
        if records:
            patches = QueryLog(folder).patches(len(records))
            yield planned, patches, records[-1].members
