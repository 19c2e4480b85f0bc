"""What of a plan's next trainings is in the model store already; nothing is trained or written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import xor
from pathlib import Path
from typing import TYPE_CHECKING

from alsweep.data.case import Dataset
from alsweep.files import read_json
from alsweep.layout import (
    meta_path,
    models_folder,
    query_path,
    trajectory_folder,
    weights_path,
)
from alsweep.results.loops import read_query
from alsweep.results.records import read_records
from alsweep.sweep.missing import Snapshot, loops_done, missing_starts, unfinished
from alsweep.sweep.plan import opened
from alsweep.sweep.taking_over import looked_ahead
from alsweep.trajectory.annotator import annotated, make_annotator
from alsweep.trajectory.budget import draw_start, is_encoded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alsweep.data.label_store import PartialLabels
    from alsweep.geometry import Patch
    from alsweep.results.loops import LoopRecord
    from alsweep.sweep.plan import Plan, Planned

_NextTraining = tuple["Planned", "Sequence[Patch]", "Sequence[str]"]

_NO_TRAJECTORIES = ("start-", "fulldata-")
"""How the owners of members begin that no later loop can be based on."""


def stored_members(run: Path | Snapshot, plan: Plan) -> Counter[str]:
    """Count the members of the next missing loops that no run has to train any more.

    Of later loops nothing can be said: which patches they learn from is not decided yet.

    Returns:
        By trajectory; those of a start under the first trajectory that waits for it.
    """
    made = looked_ahead(run, plan)
    models, found = models_folder(made.run), Counter[str]()
    stored = {f.name for f in models.glob("*") if weights_path(f).exists()}
    datasets = {dataset.path: dataset for dataset in opened(plan)} if stored else {}
    coming = list(_next_trainings(made, plan, datasets, stored)) if stored else []
    if not coming:
        return found
    # Torch comes along with them; a new run need not wait for it.
    from alsweep.model.device import resolve_compute
    from alsweep.model.learner import Setup
    from alsweep.trajectory.members import Members

    # Many may have the same patches, and labels have to be read.
    known: dict[object, PartialLabels] = {}
    for planned, patches, parents in coming:
        config, dataset = planned.config, datasets[planned.config.dataset]
        compute = resolve_compute(plan.sweep.resources.device, config.training.precision)
        setup = Setup.make(dataset, config.training, compute, config.seed)
        members = Members.looked_up(setup, models)
        whose = _whose_labels(planned)
        same = config.dataset, whose, tuple(sorted(patches))
        if same not in known:
            annotator = make_annotator(config, dataset, trajectory_folder(made.run, planned.id))
            known[same] = annotated(dataset, annotator, same[-1])
        keys = members.keys(known[same], parents)
        found[planned.id] += sum(members.store.holds(key) for key in keys)
    return found


def _whose_labels(planned: Planned) -> str:
    """Equal where two trajectories have the same labels in the same patches."""
    annotator = planned.config.annotator
    if annotator.kind == "human":
        return planned.id
    seed = planned.config.seed if annotator.kind == "noisy_oracle" else ""
    return f"{annotator.model_dump_json()} {seed}"


def _next_trainings(
    made: Snapshot, plan: Plan, datasets: Mapping[Path, Dataset], stored: set[str]
) -> Iterator[_NextTraining]:
    """Who trains, patches and the loop before's members, for each distinct training to come.

    Left out are those that nobody can have begun, since to look members up takes their labels, and
    starts that it takes a pretraining to know.
    """
    for start in missing_starts(made, plan):
        config = start.example.config
        if is_encoded(config):
            continue
        drawn = draw_start(config, datasets[config.dataset])
        yield start.example, [queried.patch for queried in drawn], ()
    rest = {planned.id for planned in unfinished(made, plan)}
    begun = (one for one in plan.trajectories if loops_done(made, one))
    # What takes loops over goes on where nobody has been yet.
    courses = [_Course.read(made.run, one) for one in begun if one.id not in made.sources]
    owners = _owners(
        models_folder(made.run), stored - {key for one in courses for key in one.members}
    )
    strangers = {o for o in owners - set(plan.ids) if not o.startswith(_NO_TRAJECTORIES)}
    trained = Counter(digest for course in courses for digest in course.digests)
    for course in courses:
        id_, next_ = course.planned.id, course.digests[-1]
        if id_ in rest and (strangers or id_ in owners or trained[next_] > 1):
            yield course.planned, course.patches, course.records[-1].members


def _owners(models: Path, keys: set[str]) -> set[str]:
    """Who trained some members; where that cannot be read it is nobody who is known."""
    owners = set()
    for key in keys:
        try:
            owners.add(str(read_json(meta_path(models / key)).get("owner")))
        except (OSError, ValueError, AttributeError):
            owners.add("")
    return owners


@dataclass(frozen=True)
class _Course:
    """A trajectory that has begun.

    Attributes:
        records: Of its finished loops.
        patches: That its next loop is based on, or its last one where it is finished.
        digests: For each loop, and the next, a number that is equal where the patches are.
    """

    planned: Planned
    records: tuple[LoopRecord, ...]
    patches: tuple[Patch, ...]
    digests: tuple[int, ...]

    @classmethod
    def read(cls, run: Path, planned: Planned) -> _Course:
        """Read records and queries."""
        folder = trajectory_folder(run, planned.id)
        records = read_records(folder, loops=planned.config.query.loops)
        loops = min(len(records) + 1, planned.config.query.loops)
        digest, digests, patches = hash(planned.dataset_fingerprint), [], []
        for loop in range(loops):
            queried = [one.patch for one in read_query(query_path(folder, loop))]
            # The order of patches does not matter to a training.
            digest = reduce(xor, map(hash, queried), digest)
            digests.append(digest)
            patches += queried
        return cls(planned, records, tuple(patches), tuple(digests))

    @property
    def members(self) -> Iterator[str]:
        """Keys of all members that its loops had."""
        return (key for record in self.records for key in record.members)
