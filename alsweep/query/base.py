"""Strategies: frozen dataclasses that turn a pool into patches, found by name."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from alsweep.config.trajectory import StrategySpec
from alsweep.errors import StrategyError
from alsweep.geometry import Patch, Triple
from alsweep.query.maps import MAPS
from alsweep.query.select import select_patches
from alsweep.registry import Registry

if TYPE_CHECKING:
    import numpy as np

    from jaxtyping import Float
    from torch import Tensor

    from alsweep.types import LabelMap, Probs, ScoreMap

Streams = Callable[..., "np.random.Generator"]
"""Called with what the draws are for (``"noise", case``); returns their generator."""


@dataclass(frozen=True)
class Request:
    """What is asked of a strategy.

    Attributes:
        patches: How many patches.
        patch_size: ``(z, y, x)`` in voxels, before it is clipped to a case.
        strides: Voxels between candidate starts, per axis.
        overlap: Share of a patch that may be annotated already.
        per_case: Most patches of one case.
        loop: The loop whose networks predict, from 0.
        loops: Trainings of the trajectory; it has ``loops - 1`` queries.
    """

    patches: int
    patch_size: Triple
    strides: Triple
    overlap: float
    per_case: int
    loop: int
    loops: int


@dataclass(frozen=True)
class PoolCase:
    """A case of the pool: its shape on the resampled grid and the patches annotated in it."""

    case: str
    shape: Triple
    taken: tuple[Patch, ...]


@dataclass(frozen=True)
class Embedding:
    """What the encoders see of one case: features of their second-deepest stage, on a coarse grid.

    Attributes:
        features: ``(feature, z, y, x)``, float16 or float32; members concatenated over ``feature``.
        cell: Voxels per grid cell, ``(z, y, x)``.
    """

    features: "Float[Tensor, 'feature z y x']"
    cell: tuple[float, float, float]


@dataclass(frozen=True)
class Prediction:
    """What the ensemble says of one case, folded over members; never on disk.

    Attributes:
        mean_probs: Mean softmax, ``(class, z, y, x)``.
        mean_entropy: Mean over members of each member's entropy, ``(z, y, x)``, nats; given to
            strategies that need ``"mean_entropy"``.
        embedding: Encoder features; given to strategies that need ``"embedding"``.
    """

    mean_probs: "Probs"
    mean_entropy: "ScoreMap | None" = None
    embedding: Embedding | None = None


@dataclass(frozen=True)
class Choice:
    """A chosen patch and its score; None where the strategy has no score."""

    patch: Patch
    score: float | None


class Pool(Protocol):
    """What a strategy sees of the dataset."""

    @property
    def cases(self) -> Sequence[PoolCase]:
        """All cases of the pool, by id."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; the index is the label, 0 is background."""

    def predictions(self) -> Iterator[tuple[PoolCase, Prediction]]:
        """The ensemble's prediction of each case, one at a time."""

    def reference(self, case: str) -> "LabelMap":
        """Ground truth of a case; refused unless the strategy declares ``uses_oracle``."""


@dataclass(frozen=True)
class Stages:
    """A strategy as a composition: voxel map, then the mean over each box, then greedy selection.

    Attributes:
        map: Name of a voxel map in :data:`alsweep.query.maps.MAPS`.
    """

    map: str


@dataclass(frozen=True)
class Strategy:
    """The rule that picks patches. Its dataclass fields are its hyper-parameters.

    A subclass says what it is made of in :meth:`stages`; one that is no composition overrides
    :meth:`query`.
    """

    uses_oracle: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("probs",)

    def stages(self) -> Stages:
        """The composition that this strategy stands for.

        Raises:
            StrategyError: The strategy is none, and overrides :meth:`query` instead.
        """
        raise StrategyError(f"{type(self).__name__} must define stages() or override query()")

    def query(self, pool: Pool, request: Request, rng: Streams) -> list[Choice]:
        """Choose patches, best first; fewer than asked for where nothing more fits.

        Args:
            pool: The pool; predictions are streamed case by case and nothing per voxel outlives its
                case.
            request: How many patches of which size.
            rng: Generators by name; use one per case, so that the number of workers cannot matter.
        """
        voxel_map = MAPS[self.stages().map]
        choices: list[Choice] = []
        for case, prediction in pool.predictions():
            boxes = select_patches(
                voxel_map(prediction),
                request.patch_size,
                request.strides,
                case.taken,
                n=min(request.per_case, request.patches),
                overlap=request.overlap,
            )
            choices += [Choice(Patch(case.case, b.start, b.size), b.score) for b in boxes]
        return best_first(choices)[: request.patches]


def best_first(choices: Sequence[Choice]) -> list[Choice]:
    """Sort by score, descending; ties by the lowest start, then the smaller case id."""
    return sorted(
        choices,
        key=lambda c: (-(c.score if c.score is not None else 0.0), c.patch.start, c.patch.case),
    )


def searchable(
    default: float | int | str | bool,
    *,
    low: float | None = None,
    high: float | None = None,
    log: bool = False,
    choices: tuple[Any, ...] | None = None,
    help: str,
) -> Any:
    """A hyper-parameter field: default, range and help in one place for all who ask."""
    metadata = {"low": low, "high": high, "log": log, "choices": choices, "help": help}
    return field(default=default, metadata=metadata)


_STRATEGIES: Registry[type[Strategy]] = Registry("strategy")

S = TypeVar("S", bound=type[Strategy])


def strategy(name: str, *, aliases: tuple[str, ...] = ()) -> Callable[[S], S]:
    """Register a frozen dataclass under a name that search spaces can use.

    Args:
        name: Lower case, words joined by ``_``.
        aliases: Other names, such as the one in the publication's code.

    Raises:
        RegistryError: A name is taken.
    """

    def register(cls: S) -> S:
        _STRATEGIES.add(name, cls, aliases)
        return cls

    return register


def strategy_name(name_or_alias: str) -> str:
    """The registered name of a strategy.

    Raises:
        StrategyError: There is none of that name; the message suggests the nearest.
    """
    _load_presets()
    return _STRATEGIES.name(name_or_alias)


def make_strategy(spec: str | Mapping[str, Any] | StrategySpec) -> Strategy:
    """Make a strategy from its name and parameters.

    Raises:
        StrategyError: The name or a parameter is unknown, or a value is out of its range.
    """
    _load_presets()
    given = spec if isinstance(spec, StrategySpec) else StrategySpec.model_validate(spec)
    cls = _STRATEGIES.get(given.name)
    known = {f.name: f for f in fields(cls)}
    for key, value in given.parameters.items():
        if key not in known:
            raise StrategyError(f"strategy '{given.name}': {_unknown_parameter(key, list(known))}")
        _check_parameter(given.name, known[key], value)
    return cls(**given.parameters)


def _unknown_parameter(key: str, known: list[str]) -> str:
    if not known:
        return f"unknown parameter '{key}'; it takes none"
    near = get_close_matches(key, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
    return f"unknown parameter '{key}'; {hint}"


def _check_parameter(name: str, declared: "Field[Any]", value: object) -> None:
    place = f"strategy '{name}': parameter '{declared.name}'"
    expected = type(declared.default)
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not (isinstance(value, expected) or (expected is float and whole)):
        raise StrategyError(f"{place} must be of type {expected.__name__}, got {value!r}")
    choices, low, high = (declared.metadata.get(k) for k in ("choices", "low", "high"))
    if choices is not None and value not in choices:
        raise StrategyError(f"{place} must be one of {', '.join(map(str, choices))}, got {value!r}")
    if isinstance(value, int | float):
        above, below = low is None or value >= low, high is None or value <= high
        if not (above and below):
            raise StrategyError(f"{place} must lie in [{low}, {high}], got {value!r}")


def parameters(chosen: Strategy) -> dict[str, Any]:
    """All parameters of a strategy, defaults written out."""
    return asdict(chosen)


def label_of(spec: StrategySpec) -> str:
    """The strategy's label in tables: its own, or the name and the parameters off their default."""
    if spec.label is not None:
        return spec.label
    chosen = make_strategy(spec)
    off = {f.name: getattr(chosen, f.name) for f in fields(chosen)}
    changed = [f"{f.name}={off[f.name]}" for f in fields(chosen) if off[f.name] != f.default]
    return strategy_name(spec.name) + (f"[{','.join(changed)}]" if changed else "")


def strategies() -> list[dict[str, Any]]:
    """All strategies with aliases, summary, source and parameters, as JSON values."""
    _load_presets()
    return [_describe(name) for name in _STRATEGIES]


def _describe(name: str) -> dict[str, Any]:
    cls = _STRATEGIES.get(name)
    lines = (cls.__doc__ or "").strip().splitlines()
    text = " ".join(line.strip() for line in lines[1:])
    return {
        "name": name,
        "aliases": _STRATEGIES.aliases(name),
        "summary": lines[0] if lines else "",
        "source": text.partition("Source:")[2].strip(),
        "uses_oracle": cls.uses_oracle,
        "needs": list(cls.needs),
        "parameters": [_describe_parameter(f) for f in fields(cls)],
    }


def _describe_parameter(declared: "Field[Any]") -> dict[str, Any]:
    default = None if declared.default is MISSING else declared.default
    choices = declared.metadata.get("choices")
    return {
        "name": declared.name,
        "type": type(default).__name__,
        "default": default,
        **{key: declared.metadata.get(key) for key in ("low", "high")},
        "log": bool(declared.metadata.get("log", False)),
        "choices": None if choices is None else list(choices),
        "help": declared.metadata.get("help", ""),
    }


def _load_presets() -> None:
    """Import the presets and, through entry points, those of other packages; once."""
    import alsweep.query.presets

    alsweep.query.presets.load_plugins()
