"""Compositions: which stages a strategy is made of, as written and as checked."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

from alsweep.errors import StrategyError
from alsweep.query import expected_dice  # noqa: F401  registers its map
from alsweep.query.aggregate import AGGREGATES, Aggregate, Mean
from alsweep.query.filters import FILTERS, Filter
from alsweep.query.maps import MAPS, ScoreMapStage, VoxelMap
from alsweep.query.noise import NOISES, Noise
from alsweep.query.parameters import off_default
from alsweep.query.proposing import PROPOSALS, Proposal
from alsweep.query.select import SELECTORS, Select
from alsweep.query.stage import Stage, completed, make_stage
from alsweep.query.stratify import STRATIFIERS, Stratify
from alsweep.registry import Registry

KINDS: dict[str, Registry[Any]] = {
    "map": MAPS,
    "aggregate": AGGREGATES,
    "noise": NOISES,
    "stratify": STRATIFIERS,
    "candidates": PROPOSALS,
    "filter": FILTERS,
    "select": SELECTORS,
}
"""The stages of each kind, in the order in which they act."""

_LATER = {"candidates": "best"}
"""Kinds that came later, and the stage at which all is as it was before: ids leave it out."""


@dataclass(frozen=True)
class Stages:
    """A strategy as a composition; each stage by name, or made with its parameters.

    Attributes:
        map: What a voxel is worth.
        aggregate: What a window is worth.
        noise: Keeps one query from being many copies of one patch.
        stratify: Shares the query out over the predicted classes.
        candidates: Takes windows of a case as candidates.
        filter: Drops candidates.
        select: Chooses among the candidates of all cases.
    """

    map: str | ScoreMapStage
    aggregate: str | Aggregate = "mean"
    noise: str | Noise = "none"
    stratify: str | Stratify = "none"
    candidates: str | Proposal = "best"
    filter: str | Filter = "none"
    select: str | Select = "greedy"


@dataclass(frozen=True)
class Composition:
    """Stages that fit together; attributes as in :class:`Stages`."""

    map: ScoreMapStage
    aggregate: Aggregate
    noise: Noise
    stratify: Stratify
    candidates: Proposal
    filter: Filter
    select: Select

    @property
    def stages(self) -> dict[str, Stage]:
        """The stages by kind, in the order in which they act."""
        return {kind: getattr(self, kind) for kind in KINDS}

    @property
    def needs(self) -> tuple[str, ...]:
        """What the stages read of a prediction, each name once."""
        return tuple(dict.fromkeys(need for s in self.stages.values() for need in s.needs))

    @property
    def reads_loops(self) -> bool:
        """Whether a query may depend on how many loops there are."""
        return any(stage.reads_loops for stage in self.stages.values())

    @property
    def candidates_factor(self) -> int:
        """Candidates kept per case, as a multiple of the most per case."""
        stages = (self.noise, self.filter, self.select)
        return max(stage.candidates_factor for stage in stages)

    @property
    def case_limit(self) -> int:
        """Patches of one case in a query, as a multiple of the most per case."""
        return max(self.noise.case_limit, self.select.case_limit)

    def plain(self) -> dict[str, Any]:
        """All stages with all parameters, as JSON values; without those of :data:`_LATER`."""
        stages = {kind: made.plain() for kind, made in self.stages.items()}
        return {k: plain for k, plain in stages.items() if plain["name"] != _LATER.get(k)}

    @property
    def label(self) -> str:
        """The map and whatever is off its default: ``predictive_entropy+power(beta=5)``."""
        usual = {f.name: f.default for f in fields(Stages)}
        parts = []
        for kind, made in self.stages.items():
            changed = off_default(made)
            if changed or made.name != usual[kind]:
                parts.append(f"{made.name}({changed})" if changed else made.name)
        return "+".join(parts)


def compose(stages: Stages) -> Composition:
    """Make all stages and check that they fit together.

    Raises:
        StrategyError: A stage or a parameter is unknown, or two stages exclude each other.
    """
    given = {f.name: getattr(stages, f.name) for f in fields(Stages)}
    made = {kind: make_stage(KINDS[kind], given[kind], f"stages.{kind}") for kind in KINDS}
    composition = Composition(**made)
    _check_fit(composition)
    return composition


def _check_fit(composition: Composition) -> None:
    if isinstance(composition.map, VoxelMap):
        return
    name = composition.map.name
    if not isinstance(composition.aggregate, Mean):
        raise StrategyError(
            f"stages.aggregate: map '{name}' scores whole windows; write mean, or leave it out"
        )
    if composition.stratify.by_class:
        raise StrategyError(
            f"stages.stratify: map '{name}' scores whole windows, which have no class; write none"
        )


def parse_stages(raw: object, *, stored: bool = False) -> Stages:
    """Stages from plain values, as a search space spells them out.

    Args:
        raw: Kind of stage to its name, or to its name and parameters.
        stored: Whether alsweep wrote them, so that parameters which came later are neutral.

    Raises:
        StrategyError: It is no mapping, has an unknown kind of stage, or no map.
    """
    if not isinstance(raw, Mapping):
        raise StrategyError(f"stages: write a mapping such as {{map: margin}}, not {raw!r}")
    for kind in raw:
        if kind not in KINDS:
            near = get_close_matches(str(kind), list(KINDS), n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(KINDS)}"
            raise StrategyError(f"stages: unknown stage '{kind}'; {hint}")
    if "map" not in raw:
        raise StrategyError(f"stages.map: is required; known: {', '.join(MAPS)}")
    return Stages(**{k: completed(KINDS[k], spec) if stored else spec for k, spec in raw.items()})
