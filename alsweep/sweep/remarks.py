"""What a user should hear before a sweep begins: texts, which others print, log or show."""

from __future__ import annotations

import shlex
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alsweep.layout import space_path
from alsweep.storage.rooms import shown

if TYPE_CHECKING:
    from alsweep.config.sweep import SweepConfig
    from alsweep.data.case import Dataset, Part
    from alsweep.sweep.missing import Snapshot
    from alsweep.sweep.plan import Plan, Planned


def of_data(plan: Plan, dataset: Dataset) -> Iterator[str]:
    """Say what of a dataset a plan may stumble over."""
    yield from small_cases(plan, dataset)
    yield from clipped(plan, dataset)
    yield from unjudged(dataset)
    yield from without_mean(plan, dataset)
    yield from (f"warning: {text}" for text in infeasible(plan, dataset))


def _on(dataset: Dataset, plan: Plan) -> list[Planned]:
    """What of a plan is on a dataset, also what a search may suggest."""
    every = (*plan.trajectories, *plan.examples)
    return [one for one in every if one.dataset_fingerprint == dataset.fingerprint]


def small_cases(plan: Plan, dataset: Dataset) -> Iterator[str]:
    """Name the cases of a pool that a training patch dwarfs, for each size of patch."""
    from alsweep.data.ingest.sizes import dwarfed, dwarfed_text, training_patch

    asked = {planned.config.training.patch_size for planned in _on(dataset, plan)}
    for patch in sorted({training_patch(size, dataset) for size in asked}):
        cases = dwarfed((dataset.cases[case] for case in dataset.pool), patch)
        if cases:
            yield (
                f"warning: {dwarfed_text(cases, patch)}; a smaller training.patch_size trains "
                "more on what they hold"
            )


def clipped(plan: Plan, dataset: Dataset) -> Iterator[str]:
    """Name each patch size that no case of the pool has room for, of an axis by itself."""
    largest = dataset.pool_shapes.max(axis=0)
    queries = {planned.config.query for planned in _on(dataset, plan)}
    sizes = {query.box for query in queries if query.patch_size != "whole"}
    for size in sorted(sizes):
        over = [a for a, n, limit in zip("zyx", size, largest, strict=True) if n > limit]
        if over:
            yield (
                f"warning: patches of {'x'.join(map(str, size))} voxels are longer along "
                f"{' and '.join(over)} than any case of the pool ({'x'.join(map(str, largest))}); "
                "they are clipped to each case"
            )


def without_mean(plan: Plan, dataset: Dataset) -> Iterator[str]:
    """Name the strategies that hold a member against a mean which is nothing but its own."""
    from alsweep.query.base import make_strategy

    alone = {
        planned.config.strategy.shown: planned.config.strategy
        for planned in _on(dataset, plan)
        if planned.config.training.members == 1 and not planned.config.inference.tta
    }
    names = [name for name, one in alone.items() if "soft_gradient" in make_strategy(one).needs]
    if names:
        yield (
            f"warning: {', '.join(sorted(names))}: one member without inference.tta has no mean "
            "probability to be held against but its own, and the likeliest class takes its place; "
            "training.members: 2 gives it one"
        )


def unjudged(dataset: Dataset) -> Iterator[str]:
    """Name the classes that the cases of a part cannot judge."""
    parts: tuple[tuple[Part, tuple[str, ...], str], ...] = (
        ("validation", dataset.validation, "mean Dice"),
        ("test", dataset.test, "test Dice"),
    )
    for part, cases, mean in parts:
        names = dataset.unreferenced(part) if cases else ()
        if names:
            yield (
                f"warning: no {part} case has a voxel of {', '.join(names)}, which {mean} leaves "
                "out, whatever is predicted; ingest again with a split that has some there, or do "
                "not conclude anything of it"
            )


def infeasible(plan: Plan, dataset: Dataset) -> Iterator[str]:
    """Name the queries that cannot be made for want of cases, once for each setting.

    What a pool has no room for whatever a strategy chooses is refused when a plan is made. What
    ``query.per_case`` leaves of the room is not: a run may hold trajectories that failed of it
    beside others that shall go on.
    """
    told = (_too_few_cases(planned, dataset) for planned in _on(dataset, plan))
    yield from dict.fromkeys(text for text in told if text is not None)


def _too_few_cases(planned: Planned, dataset: Dataset) -> str | None:
    query, whole = planned.config.query, planned.config.starting_budget.whole_cases
    if query.per_case is None or query.on_shortfall != "error" or query.loops == 1:
        return None
    shapes, queries = dataset.pool_shapes, query.loops - 1
    # Which cases are annotated whole is drawn later: the smallest, if all goes well.
    room = np.sort((shapes // np.minimum(shapes, query.box)).prod(axis=1))[whole:]
    each = query.per_case * queries
    most = each * len(room) if query.overlap else int(np.minimum(room, each).sum())
    if query.patches * queries <= most:
        return None
    setting = "" if planned.setting is None else f"setting '{planned.setting}': "
    return (
        f"{setting}query.per_case: {query.per_case} in each of {len(room)} cases leave room for "
        f"{most} patches over {queries} {'query' if queries == 1 else 'queries'}, fewer than the "
        f"{query.patches * queries} of query.patches, so that one is going to fail; raise "
        "query.per_case, lower query.patches, or set query.on_shortfall"
    )


def of_run(run: Path | Snapshot, plan: Plan) -> Iterator[str]:
    """Say where a plan and what its run folder holds already do not go together."""
    from alsweep.sweep.taking_over import looked_ahead

    made = looked_ahead(run, plan)
    run = made.run
    yield from _left_out(run, plan)
    yield from _other_defaults(run, plan)
    yield from _crowded_starts(made, plan)
    yield from _overruled(run, plan)
    yield from _idle_schedule(plan)
    yield from _caps(plan.sweep)
    yield from _unheard(plan.sweep)
    yield from _never_prunes(plan.sweep)
    yield from _repeats_itself(plan.sweep)


def _repeats_itself(sweep: SweepConfig) -> Iterator[str]:
    """Say that a search has less to suggest than it is asked for."""
    if sweep.search is None:
        return
    # Optuna's words for a space come along with it; most sweeps search nothing.
    from alsweep.sweep.search_space import size

    there, asked = size(sweep.search.over), sweep.search.configurations
    if there is not None and there < asked:
        yield (
            f"warning: search.configurations: {asked} are asked for, but search.over has {there} "
            "different ones: the others are repeats, which cost nothing and say nothing; lower it, "
            "or run all as a grid"
        )


def _never_prunes(sweep: SweepConfig) -> Iterator[str]:
    """Say that a search cannot give up what it is asked to."""
    rule = None if sweep.search is None else sweep.search.pruning
    if rule is not None and len(sweep.seeds) < rule.fewest_seeds:
        yield (
            f"warning: search.prune: needs {rule.fewest_seeds} seeds or more at p_threshold "
            f"{rule.p_threshold:g}: with {len(sweep.seeds)} a configuration cannot be told from "
            "the best before its last seed, and none is given up"
        )


def _idle_schedule(plan: Plan) -> Iterator[str]:
    """Say where a schedule cannot stop anything, or not by what it names."""
    from alsweep.results.racing import FEWEST_SEEDS

    schedule, labels, seeds = plan.sweep.schedule, defaultdict(set), defaultdict(set)
    for one in plan.trajectories:
        setting = one.config.setting_hash(one.dataset_fingerprint)
        labels[setting].add(one.label)
        seeds[setting].add(one.config.seed)
    most = max(map(len, seeds.values()), default=0)
    if schedule.kind == "race" and most <= FEWEST_SEEDS:
        yield (
            f"warning: schedule: a race decides after {FEWEST_SEEDS} seeds at the earliest and "
            f"saves those after them, so that with {most} nothing is stopped; add seeds"
        )
    loops = max((one.config.query.loops for one in plan.trajectories), default=0)
    if schedule.kind == "asha" and schedule.grace_loops >= loops:
        yield (
            f"warning: schedule.grace_loops: nothing is cut before {schedule.grace_loops} loops, "
            f"and trajectories have {loops}; lower it"
        )
    lacking = sum(schedule.control not in found for found in labels.values())
    if schedule.control is not None and lacking:
        yield (
            f"warning: schedule.control: {lacking} of {len(labels)} settings have no strategy "
            f"'{schedule.control}'; there the leader is raced against"
        )


def _caps(sweep: SweepConfig) -> Iterator[str]:
    """Say what is counted where there is no GPU to be counted."""
    counted = [name for name in ("gpu_hours", "money") if name in sweep.caps.bounds]
    if counted and not sweep.resources.gpus:
        yield (
            f"warning: caps.{counted[0]}: resources.gpus is 0, so that an hour of a worker counts "
            "as an hour of one GPU"
        )


def _unheard(sweep: SweepConfig) -> Iterator[str]:
    """Say that the command that is to hear of events is not there."""
    if sweep.on_event is not None and shutil.which(sweep.on_event[0]) is None:
        yield (
            f"warning: on_event: there is no program '{sweep.on_event[0]}' here; nobody is told of "
            "events. Write its full path, or install it"
        )


def _left_out(run: Path, plan: Plan) -> Iterator[str]:
    """Name what the run folder holds and the plan has no more."""
    from alsweep.sweep.run_folder import left_out

    gone = left_out(run, plan)
    if not gone:
        return
    names = gone[0] if len(gone) == 1 else f"{gone[0]}, ..."
    yield (
        f"warning: {len(gone)} trajectories of this run are not in the search space any more "
        f"({names}); their folders stay, but results and report leave them out"
    )


def _other_defaults(run: Path, plan: Plan) -> Iterator[str]:
    """Say why a file that nobody changed means other trajectories than it did."""
    from alsweep.sweep.changed_defaults import changed_defaults
    from alsweep.sweep.run_folder import provenance_of, stored_sweep

    if plan.sweep.provenance is not None or not space_path(run).exists():
        return
    stored = stored_sweep(run)
    changed = changed_defaults(stored, plan)
    if not changed:
        return
    version = provenance_of(run, stored).version
    what = ", ".join(f"{key} {then} -> {now}" for key, (then, now) in changed.items())
    yield (
        f"warning: the search space leaves to defaults what was different when this run began "
        f"(alsweep {version}): {what}; new trajectories are made. To go on with the old ones: "
        f"alsweep resume {shlex.quote(str(shown(run)))}"
    )


def _crowded_starts(made: Snapshot, plan: Plan) -> Iterator[str]:
    """Say where a start that is still to be trained has fewer random patches than guaranteed ones.

    What was learned on classes alone asks for whatever is unlike them: the air round a body.
    """
    from alsweep.data.case import Dataset
    from alsweep.query.base import make_strategy
    from alsweep.query.checks import guaranteed
    from alsweep.sweep.missing import missing_starts
    from alsweep.trajectory.pool import DatasetFacts

    starts: dict[Path, set[int]] = defaultdict(set)
    for start in missing_starts(made, plan):
        asked = start.example.config.start
        if asked.patches is not None and make_strategy(asked.strategy).all_classes:
            starts[start.example.config.dataset].add(asked.patches)
    for place, patches in starts.items():
        needed = guaranteed(DatasetFacts(Dataset.open(place)))
        few = ", ".join(str(count) for count in sorted(patches) if count < 2 * needed)
        if few:
            yield (
                f"warning: starting_budget.patches: of {few} patches, {needed} are placed on "
                "classes, so that networks see little of the rest and strategies query it first; "
                f"{2 * needed} leave room for as many random ones"
            )


def _overruled(run: Path, plan: Plan) -> Iterator[str]:
    """Say that trajectories which were stopped go on."""
    from alsweep.sweep.deciding import cut_short

    cut = [] if plan.sweep.decides else [one.id for one in cut_short(run, plan)]
    if cut:
        one = len(cut) == 1
        what = (
            f"trajectory {cut[0]} was" if one else f"{len(cut)} trajectories ({cut[0]}, ...) were"
        )
        yield (
            f"warning: {what} stopped before the last loop; neither a schedule nor search.prune "
            f"decides any more, so that {'it is' if one else 'they are'} finished"
        )


def of_disk(run: Path, plan: Plan, *, private: bool) -> Iterator[str]:
    """Say what is going to be written, before anything is.

    Raises:
        DiskFullError: The disk takes not even one member.
    """
    from alsweep.sweep.forecast import forecast

    expected = forecast(run, plan, private=private)
    if expected is not None:
        yield expected.told
