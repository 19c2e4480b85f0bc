"""Strategies: frozen dataclasses that turn a pool into patches, found by name."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, TypeVar

from alsweep.config.strategy import COMPOSED, StrategySpec
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.errors import StrategyError
from alsweep.geometry import QueriedPatch
from alsweep.query.checks import check_classes, check_map, check_pretrained
from alsweep.query.engine import Engine
from alsweep.query.parameters import (
    adaptation,
    check_declared,
    check_needs,
    checked,
    described,
    doc_parts,
    neutral_values,
    off_default,
    reads_predictions,
    required,
    same_as,
    searchable,
    telling,
)
from alsweep.query.plugin_files import files_of, require_loaded
from alsweep.query.pool import (
    Embedding,
    Facts,
    Pool,
    PoolCase,
    Prediction,
    Request,
    Streams,
)
from alsweep.query.stages import Composition, Stages, compose, parse_stages
from alsweep.registry import Registry

_log = logging.getLogger(__name__)

__all__ = [
    "Embedding",
    "Facts",
    "Pool",
    "PoolCase",
    "Prediction",
    "Request",
    "Stages",
    "Strategy",
    "Streams",
    "label_of",
    "make_strategy",
    "parameters",
    "required",
    "same_as",
    "searchable",
    "strategies",
    "strategy",
    "strategy_name",
]


@dataclass(frozen=True)
class Strategy:
    """The rule that picks patches. Its dataclass fields are its hyper-parameters.

    A subclass says what it is made of in :meth:`stages`; one that is no composition overrides
    :meth:`query`, and :attr:`needs` if it reads more or less than mean probabilities.

    Attributes:
        uses_oracle: Whether it reads ground truth, as no strategy in practice can.
        all_classes: Whether it guarantees patches on every class; a config that leaves no room for
            them is refused.
    """

    uses_oracle: ClassVar[bool] = False
    all_classes: ClassVar[bool] = False

    def stages(self) -> Stages | None:
        """The composition that this strategy stands for; None where it overrides :meth:`query`."""
        return None

    @property
    def composition(self) -> Composition | None:
        """The stages, made and checked; None where the strategy overrides :meth:`query`."""
        try:
            stages = self.stages()
        except TypeError as error:  # of a plug-in: a stage or a parameter that there is not
            raise StrategyError(f"{type(self).__name__}.stages(): {error}") from error
        return None if stages is None else compose(stages)

    @property
    def needs(self) -> tuple[str, ...]:
        """What is read: ``probs``, ``mean_entropy``, ``embedding``, ``members`` of a prediction.

        And ``annotated_labels``: the classes in the patches that are annotated already; ``images``;
        ``pretrained``: what an encoder that no label taught makes of a case.
        """
        composition = self.composition
        return ("probs",) if composition is None else composition.needs

    @property
    def reads_loops(self) -> bool:
        """Whether a query may depend on how many loops there are; see :class:`Stage`.

        A strategy with a :meth:`query` of its own may, unless it says ``reads_loops = False``.
        """
        composition, own = self.composition, type(self).query is not Strategy.query
        return composition is None or own or composition.reads_loops

    def query(self, pool: Pool, request: Request, rng: Streams) -> list[QueriedPatch]:
        """Choose patches, best first; fewer than asked for where nothing more fits.

        Args:
            pool: The pool; predictions are streamed case by case and nothing per voxel outlives its
                case.
            request: How many patches of which size.
            rng: Generators by name; use one per case, so that the number of workers cannot matter.
        """
        composition = self.composition
        if composition is None:
            raise StrategyError(f"{type(self).__name__} must define stages() or override query()")
        return Engine(composition, request, pool.foreground, rng).query(pool)

    @property
    def told(self) -> str:
        """What its label says beside its name: the parameters off their default."""
        return off_default(self)

    def resolved(self) -> "Strategy":
        """Itself, with nothing left that means something else in another working directory."""
        return self

    def check(self, config: TrajectoryConfig, dataset: Facts) -> None:
        """Refuse a config in which it cannot query; called before anything runs.

        Args:
            config: Of the trajectory, whose strategy it is.
            dataset: What is known of the dataset by then.

        Raises:
            ConfigError: Names the key and the mend.
            StrategyError: The fault lies in the strategy's own parameters; its place is told with
                it.
        """
        check_needs(self.needs, f"strategy '{config.strategy.name}'")
        check_pretrained(self.needs, config)
        if self.composition is not None:
            check_map(self.composition.map, config, dataset)

    def check_start(self, config: TrajectoryConfig, dataset: Facts) -> None:
        """Like :meth:`check`, for a strategy that chooses the starting patches."""
        name = config.starting_budget.strategy.name
        if reads_predictions(self.needs):
            raise StrategyError(
                f"{name} needs a trained network; choose a random start, or one of its images"
            )
        check_pretrained(self.needs, config)
        if self.all_classes:
            check_classes(name, config, dataset)


@dataclass(frozen=True)
class Composed(Strategy):
    """Stages spelled out in a search space.

    Attributes:
        spelled: The stages.
    """

    spelled: Stages

    def stages(self) -> Stages:
        """As they are spelled."""
        return self.spelled

    @property
    def told(self) -> str:
        """The map, and whatever is off its default."""
        return compose(self.spelled).label


_STRATEGIES: Registry[type[Strategy]] = Registry("strategy")
_ALIAS_PARAMETERS: dict[str, Mapping[str, Any]] = {}

S = TypeVar("S", bound=type[Strategy])


def strategy(
    name: str, *, aliases: tuple[str, ...] | Mapping[str, Mapping[str, Any]] = ()
) -> Callable[[S], S]:
    """Register a frozen dataclass under a name that search spaces can use.

    Args:
        name: Lower case, words joined by ``_``.
        aliases: Other names, such as the one in the publication's code; as a mapping, with the
            parameters that the name stands for.

    Raises:
        RegistryError: A name is taken.
        StrategyError: A parameter or a need is declared in a way that cannot work.
    """
    presets = aliases if isinstance(aliases, Mapping) else {}

    def register(cls: S) -> S:
        check_declared(
            cls, Strategy, f"strategy '{name}'", reserved=("name", "label", "plugins", "parameters")
        )
        _STRATEGIES.add(name, cls, tuple(aliases))
        for alias in aliases:
            _ALIAS_PARAMETERS.pop(alias, None)  # of an earlier version of the same file
        _ALIAS_PARAMETERS.update(presets)
        return cls

    return register


def forget(module: str) -> None:
    """Drop the strategies that a module has registered."""
    _STRATEGIES.forget(module)


def has_strategies_of(module: str) -> bool:
    """Whether a module has registered strategies."""
    return _STRATEGIES.has_of(module)


def strategy_name(name_or_alias: str) -> str:
    """The registered name of a strategy; that of a composition is ``stages``.

    Raises:
        StrategyError: There is none of that name; the message suggests the nearest.
    """
    _load_presets()
    return COMPOSED if name_or_alias == COMPOSED else _STRATEGIES.name(name_or_alias)


def make_strategy(spec: str | Mapping[str, Any] | StrategySpec) -> Strategy:
    """Make a strategy from its name and parameters, or from stages spelled out.

    Raises:
        StrategyError: A name or a parameter is unknown, or a value is out of its range.
    """
    _load_presets()
    given = spec if isinstance(spec, StrategySpec) else StrategySpec.model_validate(spec)
    if given.name == COMPOSED:
        require_loaded(given.plugins, "a stage")
        return _composed(given.parameters, stored=given.stored)
    require_loaded(given.plugins, f"strategy '{given.name}'")
    cls = _STRATEGIES.get(given.name)
    unwritten = neutral_values(cls) if given.stored else _ALIAS_PARAMETERS.get(given.name, {})
    values = {**unwritten, **given.parameters}
    return cls(**checked(cls, values, f"strategy '{given.name}'"))


def _composed(given: Mapping[str, Any], *, stored: bool) -> Strategy:
    others = [key for key in given if key != COMPOSED]
    if others:
        raise StrategyError(f"unknown key '{others[0]}' beside stages; put it into its stage")
    made = Composed(parse_stages(given.get(COMPOSED), stored=stored))
    compose(made.stages())
    return made


def parameters(chosen: Strategy) -> dict[str, Any]:
    """All parameters of a strategy, defaults written out, but those left out of identities."""
    if isinstance(chosen, Composed):
        return {COMPOSED: compose(chosen.stages()).plain()}
    return telling(chosen)


def plugins_of(chosen: Strategy) -> tuple[str, ...]:
    """Hashes of the plug-in files that a strategy and its stages are from."""
    composition = chosen.composition
    stages = () if composition is None else composition.stages.values()
    return files_of(type(one) for one in (chosen, *stages))


def label_of(spec: StrategySpec) -> str:
    """The strategy's label in tables: its own, or the name and the parameters off their default."""
    if spec.label is not None:
        return spec.label
    chosen = make_strategy(spec)
    changed = chosen.told
    return strategy_name(spec.name) + (f"[{changed}]" if changed else "")


def strategies() -> list[dict[str, Any]]:
    """All strategies with aliases, summary, source and parameters, as JSON values.

    ``needs`` is None where it follows from a parameter that has no default. A strategy whose stages
    do not fit together is named in a warning and left out.
    """
    _load_presets()
    described_ones = (_described_or_none(name) for name in _STRATEGIES)
    return [entry for entry in described_ones if entry is not None]


def adapted(name: str) -> str:
    """How a strategy departs from its source; empty where it does not."""
    _load_presets()
    return adaptation(_STRATEGIES.get(name))


def registered_in(package: str) -> set[str]:
    """Names of the strategies that were defined in a package."""
    _load_presets()
    return {n for n in _STRATEGIES if _STRATEGIES.get(n).__module__.startswith(f"{package}.")}


def _described_or_none(name: str) -> dict[str, Any] | None:
    try:
        return _describe(name)
    except StrategyError as error:  # its author's fault must not hide all others
        _log.warning("warning: strategy '%s' is not listed: %s", name, error)
        return None


def _needs_of(cls: type[Strategy]) -> list[str] | None:
    """What a strategy reads; None where that follows from a parameter without a default."""
    # Who overrides query() declares it on the class; a composition knows once it is made.
    declared: Any = cls.needs
    if not isinstance(declared, property):
        return list(declared)
    return list(cls().needs) if all(f.default is not MISSING for f in fields(cls)) else None


def _describe(name: str) -> dict[str, Any]:
    cls = _STRATEGIES.get(name)
    summary, source = doc_parts(cls)
    return {
        "name": name,
        "aliases": _STRATEGIES.aliases(name),
        "summary": summary,
        "source": source,
        "uses_oracle": cls.uses_oracle,
        "needs": _needs_of(cls),
        "parameters": described(cls),
    }


def _load_presets() -> None:
    """Import the presets and, through entry points, those of other packages; once."""
    import alsweep.query.presets

    alsweep.query.presets.load_plugins()
