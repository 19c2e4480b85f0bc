"""What a stage is: one step of a composition, a small frozen dataclass with a name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from alsweep.errors import StrategyError
from alsweep.query.parameters import check_declared, checked, neutral_values, telling
from alsweep.registry import Registry

T = TypeVar("T", bound="Stage")


@dataclass(frozen=True)
class Stage:
    """One step of a composition; its dataclass fields are its hyper-parameters.

    Attributes:
        needs: What it reads of a prediction: ``probs``, ``mean_entropy``, ``embedding``,
            ``members``; and ``annotated_labels``, the classes of the annotated patches.
        draws: Whether it draws at random; one that says it does not is given no generator.
        name: Set by :func:`stage`.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    draws: ClassVar[bool] = True
    name: ClassVar[str]

    @property
    def reads_loops(self) -> bool:
        """Whether what it does in a loop may depend on how many loops there are.

        A stage of alsweep says so where it does. One of another package may, unless it says no:
        ``reads_loops = False`` lets longer trajectories take over the loops of shorter ones.
        """
        return not type(self).__module__.startswith("alsweep.")

    def plain(self) -> dict[str, Any]:
        """Name and parameters, as JSON values; without those that came later and are neutral."""
        return {"name": self.name, **telling(self)}


def stage(registry: Registry[type[T]], name: str) -> Callable[[type[T]], type[T]]:
    """Register a frozen dataclass as a stage that search spaces can name.

    Raises:
        RegistryError: The name is taken.
        StrategyError: A parameter or a need is declared in a way that cannot work.
    """

    def register(cls: type[T]) -> type[T]:
        check_declared(cls, Stage, f"stage '{name}'", reserved=("name",))
        cls.name = name
        registry.add(name, cls)
        return cls

    return register


def make_stage(registry: Registry[type[T]], spec: object, place: str) -> T:
    """Make a stage from itself, its name, or a mapping of its name and parameters.

    Args:
        registry: Of the stages of one kind.
        spec: ``power``, ``{name: power, beta: 5}`` or a stage.
        place: Key path for messages, ``stages.noise``.

    Raises:
        StrategyError: The name or a parameter is unknown, or a value is out of its range.
    """
    if isinstance(spec, Stage):
        return spec  # type: ignore[return-value]
    given = {"name": spec} if isinstance(spec, str) else spec
    if not isinstance(given, Mapping) or not isinstance(given.get("name"), str):
        raise StrategyError(f"{place}: write a name, or a mapping with a name, not {spec!r}")
    try:
        cls = registry.get(given["name"])
    except StrategyError as error:
        raise StrategyError(f"{place}: {error}") from error
    values = {str(key): value for key, value in given.items() if key != "name"}
    return cls(**checked(cls, values, place))


def completed(registry: Registry[type[T]], spec: Any) -> Any:
    """A stage as it was stored, with the neutral values of parameters that came later."""
    given = {"name": spec} if isinstance(spec, str) else spec
    if not isinstance(given, Mapping) or given.get("name") not in list(registry):
        return spec
    return {**neutral_values(registry.get(given["name"])), **given}
