"""What a cost model is, and how one is found by its name."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from alsweep.registry import Registry

if TYPE_CHECKING:
    from alsweep.config.reveal import Reveal

OfPatch = Callable[..., float]
"""Cost of a patch with labels, uint8 ``(z, y, x)``; what shall not be labelled is 0."""

GROUP = "alsweep.costs"

_log = logging.getLogger(__name__)
_registry: "Registry[CostModel]" = Registry("cost")


@dataclass(frozen=True)
class CostModel:
    """How much work the labels of patches are.

    Attributes:
        name: Unique; its column in a table is ``cost_<name>``.
        unit: What is counted.
        summary: One sentence.
        of_patch: Cost of one patch.
        per_case: What each case adds that a trajectory opens for the first time.
        column: The column of the tidy table that holds this cost already, where there is one: no
            labels are read.
        version: Raised where the same patch costs another number, so that no stored one is used.
        by_reveal: Whether the cost is another where the annotator tells less than every voxel:
            ``of_patch`` then takes ``annotator.reveal`` as ``reveal``, too.
        measured: Whether it is what people were seen to take, and no count of what they labelled.
    """

    name: str
    unit: str
    summary: str
    of_patch: OfPatch
    per_case: float = 0.0
    column: str | None = None
    version: int = 1
    by_reveal: bool = False
    measured: bool = False

    def where(self, reveal: "Reveal") -> OfPatch:
        """Cost of one patch of which so much is told."""
        return partial(self.of_patch, reveal=reveal) if self.by_reveal else self.of_patch


def cost(
    name: str,
    unit: str,
    *,
    per_case: float = 0.0,
    column: str | None = None,
    version: int = 1,
    by_reveal: bool = False,
    measured: bool = False,
) -> Callable[[OfPatch], OfPatch]:
    """Register a function as a cost model; the first line of its docstring is the summary.

    Raises:
        RegistryError: The name is taken.
    """

    def register(function: OfPatch) -> OfPatch:
        summary = (function.__doc__ or name).strip().splitlines()[0]
        model = CostModel(
            name, unit, summary, function, per_case, column, version, by_reveal, measured
        )
        _registry.add(name, model)
        return function

    return register


def cost_models() -> dict[str, CostModel]:
    """Return all models by name, those of installed plug-ins included."""
    _load()
    return {name: _registry.get(name) for name in _registry}


def cost_model(name: str) -> CostModel:
    """Return the model of that name.

    Raises:
        StrategyError: There is none; suggests the nearest.
    """
    _load()
    return _registry.get(name)


@cache
def _load() -> None:
    """Load our own models and the entry points; a broken one is named and left out."""
    import_module("alsweep.costs.models")
    for point in entry_points(group=GROUP):
        try:
            point.load()
        except Exception as error:  # another package's fault must not stop ours
            _log.warning("warning: cost plug-in '%s' skipped: %s", point.value, error)
