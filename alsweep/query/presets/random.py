"""Random strategies: uniform or partly on foreground, also with every class guaranteed."""

from dataclasses import dataclass
from typing import ClassVar

from alsweep.geometry import QueriedPatch
from alsweep.query.base import Pool, Request, Strategy, Streams, strategy
from alsweep.query.placement import Mode, Placer, guarantee_classes


@dataclass(frozen=True)
class RandomPlacement(Strategy):
    """Patches at random places, one per case visited; how is said by the class variables."""

    needs: ClassVar[tuple[str, ...]] = ()
    reads_loops: ClassVar[bool] = False
    modes: ClassVar[tuple[Mode, ...]] = ("all",)

    def query(self, pool: Pool, request: Request, rng: Streams) -> list[QueriedPatch]:
        """Place the patches; the order is that of placement, and there are no scores."""
        draws = rng("placement")
        placer = Placer(pool.cases, pool.classes, pool.reference, request)
        if self.all_classes:
            guarantee_classes(placer, pool, range(len(pool.classes)), draws)
        placer.fill(request.patches - len(placer.placed), self.modes, draws)
        return [QueriedPatch(patch, None) for patch in placer.placed[: request.patches]]


@strategy("random")
@dataclass(frozen=True)
class Random(RandomPlacement):
    """Patches drawn uniformly over all places.

    Source: Luth et al. 2025 (nnActive, TMLR), Random.
    """


@strategy("random_fg33", aliases=("random-label2",))
@dataclass(frozen=True)
class RandomFg33(RandomPlacement):
    """Random, with a third of the patches centred on foreground or its border.

    Source: Luth et al. 2025 (nnActive, TMLR), Random 33% FG.
    """

    uses_oracle: ClassVar[bool] = True
    modes: ClassVar[tuple[Mode, ...]] = ("all", "all", "all", "all", "seg", "border")


@strategy("random_fg66", aliases=("random-label",))
@dataclass(frozen=True)
class RandomFg66(RandomPlacement):
    """Random, with two thirds of the patches centred on foreground or its border.

    Source: Luth et al. 2025 (nnActive, TMLR), Random 66% FG.
    """

    uses_oracle: ClassVar[bool] = True
    modes: ClassVar[tuple[Mode, ...]] = ("all", "seg", "border")


@strategy("random_all_classes", aliases=("random-all-classes",))
@dataclass(frozen=True)
class RandomAllClasses(Random):
    """Two patches on every class, the others as in random.

    Source: Luth et al. 2025 (nnActive, TMLR), starting budgets.
    """

    uses_oracle: ClassVar[bool] = True
    all_classes: ClassVar[bool] = True


@strategy("random_fg33_all_classes", aliases=("random-label2-all-classes",))
@dataclass(frozen=True)
class RandomFg33AllClasses(RandomFg33):
    """Two patches on every class, the others as in random_fg33.

    Source: Luth et al. 2025 (nnActive, TMLR), starting budgets.
    """

    all_classes: ClassVar[bool] = True


@strategy("random_fg66_all_classes", aliases=("random-label-all-classes",))
@dataclass(frozen=True)
class RandomFg66AllClasses(RandomFg66):
    """Two patches on every class, the others as in random_fg66.

    Source: Luth et al. 2025 (nnActive, TMLR), starting budgets.
    """

    all_classes: ClassVar[bool] = True
