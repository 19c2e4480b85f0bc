"""A trajectory with another number of loops begins with those that it has in common with one here.

Loops follow from seed, dataset, strategy and whatever was annotated before them. How many of them
there are enters a trajectory's id, and nothing else, unless its strategy says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsweep.config.base import fingerprint
from alsweep.files import read_json, write_bytes, write_json
from alsweep.layout import (
    config_path,
    log_path,
    query_path,
    record_path,
    trajectories_folder,
    trajectory_folder,
)
from alsweep.query.base import make_strategy
from alsweep.results.records import read_config
from alsweep.sweep.missing import Snapshot, loops_done
from alsweep.trajectory.numerics import NUMERICS

if TYPE_CHECKING:
    from alsweep.config.trajectory import TrajectoryConfig
    from alsweep.sweep.plan import Plan, Planned

_DIGITS = 6
"""Of the setting's hash, with which a record's ``setting`` ends."""


@dataclass(frozen=True)
class TakenOver:
    """What a trajectory begins with.

    Attributes:
        planned: The trajectory; it has not begun.
        source: Folder of the other.
        loops: Its first loops, as many as are the same.
    """

    planned: Planned
    source: Path
    loops: int

    @property
    def told(self) -> str:
        """For the trajectory's log."""
        loops = "loop 1" if self.loops == 1 else f"loops 1 to {self.loops}"
        return f"{loops} taken over from {self.source.name}, which differs in query.loops alone"


def take_over(run: Path, found: Iterable[TakenOver]) -> None:
    """Copy what trajectories that have not begun have in common with others of the run folder.

    Queries are copied byte for byte. Records name the setting, which the number of loops is part
    of: that is written anew. What the loops took stands in the other's records, so that these have
    0 seconds, and all members found stored. The config comes last, and marks a trajectory as begun,
    so that what a crash left half copied is copied again.
    """
    for one in found:
        _copy(one, trajectory_folder(run, one.planned.id))


def to_take_over(run: Path, plan: Plan) -> Iterator[TakenOver]:
    """What :func:`take_over` would copy; writes nothing."""
    waiting = [one for one in plan.trajectories if _may_take_over(run, one)]
    if not waiting or not trajectories_folder(run).is_dir():
        return
    begun = _begun(run)
    for planned in waiting:
        sources = begun.get(_science(planned.config), ())
        ready = [(_ready(folder, planned), folder) for folder in sources]
        loops, source = max(ready, default=(0, run), key=lambda one: (one[0], one[1].name))
        if loops:
            yield TakenOver(planned, source, loops)


def looked_ahead(run: Path | Snapshot, plan: Plan) -> Snapshot:
    """How far the trajectories of a plan are once :func:`take_over` was here; writes nothing.

    Args:
        run: The run folder, absolute; or what was looked up already, which stays as it is.
        plan: Whose trajectories.
    """
    if isinstance(run, Snapshot):
        return run
    taken = {one.planned.id: one for one in to_take_over(run, plan)}
    loops = {
        one.id: taken[one.id].loops if one.id in taken else loops_done(run, one)
        for one in plan.trajectories
    }
    return Snapshot(run, loops, {id_: one.source for id_, one in taken.items()})


def of(made: Snapshot, plan: Plan) -> list[TakenOver]:
    """What a snapshot says that trajectories of a plan are going to take over."""
    return [
        TakenOver(one, made.sources[one.id], made.loops[one.id])
        for one in plan.trajectories
        if one.id in made.sources
    ]


def _may_take_over(run: Path, planned: Planned) -> bool:
    """Not where a person labels: whoever that is has labelled for the other."""
    config = planned.config
    return (
        not config_path(trajectory_folder(run, planned.id)).exists()
        and config.annotator.kind != "human"
        and not make_strategy(config.strategy).reads_loops
        and not make_strategy(config.starting_budget.strategy).reads_loops
    )


def _science(config: TrajectoryConfig) -> str:
    """Of a config without its number of loops; the dataset is looked at elsewhere."""
    identity = config.identity_on("")
    query = {key: value for key, value in identity["query"].items() if key != "loops"}
    return fingerprint({**identity, "query": query})


def _begun(run: Path) -> Mapping[str, list[Path]]:
    """Folders of all trajectories that have begun, also of those that are in no plan any more."""
    found: dict[str, list[Path]] = {}
    for path in sorted(trajectories_folder(run).glob("*/config.json")):
        found.setdefault(_science(read_config(path.parent)), []).append(path.parent)
    return found


def _ready(source: Path, planned: Planned) -> int:
    """How many loops of another trajectory stand for those of a planned one."""
    theirs = read_config(source)
    if theirs.trajectory_id(planned.dataset_fingerprint) != source.name:
        return 0  # of another dataset
    setting = theirs.setting_hash(planned.dataset_fingerprint)[:_DIGITS]
    loops = 0
    while loops < planned.config.query.loops and _same(source, loops, planned, setting):
        loops += 1
    return loops


def _same(source: Path, loop: int, planned: Planned, setting: str) -> bool:
    """Whether a loop is finished, with the query that the planned trajectory has after it."""
    last = loop + 1 == planned.config.query.loops
    if not record_path(source, loop).exists():
        return False
    if not last and not query_path(source, loop + 1).exists():
        return False
    record = read_json(record_path(source, loop))
    return record.get("numerics") == NUMERICS and str(record["setting"]).endswith(setting)


def _copy(one: TakenOver, folder: Path) -> None:
    planned = one.planned
    setting = planned.config.setting_hash(planned.dataset_fingerprint)[:_DIGITS]
    for loop in range(min(one.loops + 1, planned.config.query.loops)):
        write_bytes(query_path(folder, loop), query_path(one.source, loop).read_bytes())
    for loop in range(one.loops):
        record = read_json(record_path(one.source, loop))
        write_json(record_path(folder, loop), {**record, **_anew(record, setting)})
    stamp = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
    with log_path(folder).open("a", encoding="utf-8") as log:
        log.write(f"{stamp} {planned.id} INFO {one.told}\n")
    write_json(config_path(folder), planned.config.plain())


def _anew(record: dict[str, Any], setting: str) -> dict[str, Any]:
    """What a copied record says otherwise."""
    took = dict.fromkeys(("train_seconds", "evaluate_seconds", "query_seconds"), 0.0)
    named = {"setting": record["setting"][:-_DIGITS] + setting}
    return {**named, **took, "cached_members": len(record["members"])}


def summary(taken: Sequence[TakenOver]) -> Iterator[str]:
    """What to tell people: one line for all."""
    if taken:
        first = taken[0]
        more = f", and {len(taken) - 1} more alike; see each log.txt" if taken[1:] else ""
        yield f"{first.planned.id}: {first.told}{more}"
