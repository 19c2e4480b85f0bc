"""Full-data references of a sweep: which there are, and making those that are missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from alsweep.errors import ConfigError
from alsweep.layout import reference_path
from alsweep.results.fulldata import read_reference, reference_key
from alsweep.sweep.beside import beside_trajectories, make_beside
from alsweep.sweep.environment import cluster_address
from alsweep.sweep.monitor import Shared

if TYPE_CHECKING:
    from alsweep.sweep.plan import Plan, Planned
    from alsweep.sweep.work import Work
    from alsweep.trajectory.progress import OnProgress

OnEnd = Callable[["Reference", str | None], None]
"""Hears of each reference that is made, or of why it is not."""

WatchReferences = Callable[[Sequence["Reference"]], AbstractContextManager[OnEnd]]

_PARTS = ("training", "evaluation")
"""What of a grid makes a difference to a reference."""


class Reference(Shared):
    """A recipe with a seed, to be trained on the whole pool; its key names its record."""

    @property
    def name(self) -> str:
        """For people: the seed, and what the grid says of training and evaluation."""
        cell, config = self.example.cell, self.example.config
        values = {} if cell is None else cell.values
        parts = [f"{key}={value}" for key, value in values.items() if key.split(".")[0] in _PARTS]
        named = [] if cell is None or cell.dataset is None else [self.example.dataset_name]
        return ", ".join([*named, *parts, f"seed {config.seed}"])

    def record(self, run: Path) -> Path:
        """Where a run folder has it."""
        return reference_path(run, self.key)

    def task(self, work: Work) -> Callable[[OnProgress], None]:
        """What makes it."""
        return partial(work.full_data, self.example.config)


def references(plan: Plan) -> list[Reference]:
    """The distinct references of a plan, in grid order; then those of what may be suggested."""
    sharers: dict[str, list[Planned]] = {}
    for planned in (*plan.trajectories, *_searched(plan)):
        key = reference_key(planned.config, planned.dataset_fingerprint)
        sharers.setdefault(key, []).append(planned)
    return [Reference(key, shared[0], len(shared)) for key, shared in sharers.items()]


def _searched(plan: Plan) -> list[Planned]:
    """What may be suggested with all seeds, where an objective needs references."""
    search = plan.sweep.search
    if search is None or "fg_eff" not in search.objectives:
        return []
    return [
        replace(one, config=one.config.model_copy(update={"seed": seed}))
        for one in plan.examples
        for seed in plan.sweep.seeds
    ]


def refuse_search_without_references(run: Path, plan: Plan) -> None:
    """Refuse to search for FG-Eff where the Dice of full annotation is not known.

    Raises:
        ConfigError: It is not, or the search changes it; says how to make it.
    """
    searched = _searched(plan)
    over = () if plan.sweep.search is None else plan.sweep.search.over
    varied = [key for key in over if key.split(".")[0] in _PARTS]
    if searched and varied:
        raise ConfigError(
            f"search.objectives.fg_eff: search.over.{varied[0]} changes the full-data reference "
            "too; leave one of them out"
        )
    wanted = {reference_key(one.config, one.dataset_fingerprint) for one in searched}
    if any(read_reference(run, key) is None for key in wanted):
        raise ConfigError(
            "search.objectives.fg_eff: needs full-data references; make them first, with "
            f"'alsweep fulldata SPACE.yaml --out {run}', or leave it out"
        )


def missing_references(run: Path, plan: Plan) -> list[Reference]:
    """Those without a record."""
    return [ref for ref in references(plan) if read_reference(run, ref.key) is None]


def run_references(
    plan: Plan,
    run: Path,
    watch: WatchReferences,
    *,
    address: str | None = None,
    work: Work | None = None,
) -> Mapping[str, str]:
    """Make the full-data references that a plan lacks; a report that is there shows them then.

    Args:
        plan: A run that was begun keeps its own: it may hold more than this one asks for.
        run: The run folder, absolute.
        watch: Takes what is missing; yields who hears of each that ends.
        address: As in :func:`~alsweep.sweep.run_sweep`.
        work: Makes them; by training, if left out.

    Returns:
        Name to error of those that failed.

    Raises:
        KeyboardInterrupt: As in :func:`~alsweep.sweep.run_sweep`; trained members are safe.
    """
    address = cluster_address(address)
    with beside_trajectories(run, plan, address, work) as (plan, work):
        if not (missing := missing_references(run, plan)):
            return {}
        with watch(missing) as on_end:
            return make_beside(missing, run, work, plan, on_end, address)
