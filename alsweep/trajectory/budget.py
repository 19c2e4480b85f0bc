"""What a strategy is asked for, what it answered, and the starting budget."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from math import isfinite

from alsweep.config.trajectory import TrajectoryConfig
from alsweep.data.annotator import ReferenceLabels
from alsweep.data.case import Dataset
from alsweep.errors import PoolExhaustedError
from alsweep.geometry import Patch, QueriedPatch, by_case
from alsweep.query.base import Request, Strategy, Streams, make_strategy
from alsweep.query.placement import Placer
from alsweep.rng import stream
from alsweep.trajectory.answers import checked
from alsweep.trajectory.pool import DatasetPool, Encode
from alsweep.trajectory.replay import replayed_start


def request_for(config: TrajectoryConfig, loop: int, patches: int | None = None) -> Request:
    """What the strategy is asked for in ``loop``.

    Args:
        config: Of the trajectory.
        loop: Whose networks predict.
        patches: How many, where that is not what the config says.
    """
    query = config.query
    count = query.patches if patches is None else patches
    return Request(
        patches=count,
        patch_size=query.box,
        strides=query.strides,
        overlap=query.overlap,
        per_case=query.per_case or count,
        loop=loop,
        loops=query.loops,
        free_label_share=query.free_label_share,
    )


def draw_start(
    config: TrajectoryConfig,
    dataset: Dataset,
    patches: int | None = None,
    encode: Encode | None = None,
) -> list[QueriedPatch]:
    """Draw the patches annotated before the first training.

    They follow from seed, dataset, starting budget and patch size alone, so that strategies and
    compute options stay paired; or they are those of the trajectory that a replay names; or follow
    from the pretrained encoder too, which all of a setting share.

    Args:
        config: Of the trajectory.
        dataset: Whose pool.
        patches: How many beside whole cases, where that is not what the config says.
        encode: What the pretrained encoder makes of a case; asked by starts that need it alone.

    Returns:
        The cases that are annotated whole, then the patches in the others.

    Raises:
        PoolExhaustedError: They do not fit.
    """
    start = make_strategy(config.starting_budget.strategy)
    rng: Streams = partial(stream, config.seed, "start")
    whole = _whole_cases(config.starting_budget.whole_cases, dataset, rng)
    request = _start_request(config)
    if patches is not None:
        request = replace(request, patches=patches, per_case=patches)
    if not request.patches:
        return whole
    pool = _pool(start, config, dataset, [one.patch for one in whole], encode)
    name = config.starting_budget.strategy.shown
    chosen = checked(start.query(pool, request, rng), pool.cases, request, name)
    return whole + settle(chosen, pool, request, rng, config.query.on_shortfall)


def is_encoded(config: TrajectoryConfig) -> bool:
    """Whether a pretrained encoder has a say in the start, which is then not known before it is."""
    return "pretrained" in make_strategy(config.starting_budget.strategy).needs


def next_of_start(
    config: TrajectoryConfig,
    dataset: Dataset,
    taken: Sequence[Patch],
    count: int,
    encode: Encode | None = None,
) -> list[QueriedPatch]:
    """Further patches of a starting budget, beside ``taken``; fewer where no more fit."""
    start = make_strategy(config.starting_budget.strategy)
    request = replace(_start_request(config), patches=count, per_case=count)
    # How many were drawn before is part of the key: what replaces what was skipped is drawn anew.
    rng: Streams = partial(stream, config.seed, "start", "beside", len(taken))
    pool = _pool(start, config, dataset, taken, encode)
    return settle(start.query(pool, request, rng), pool, request, rng, "take_all")


def _pool(
    start: Strategy,
    config: TrajectoryConfig,
    dataset: Dataset,
    taken: Sequence[Patch],
    encode: Encode | None,
) -> DatasetPool:
    """What the strategy of a start may see: no prediction, and the rest as it declares."""
    return DatasetPool(
        dataset,
        taken,
        oracle=ReferenceLabels(dataset) if start.uses_oracle else None,
        images=dataset.image if "images" in start.needs else None,
        encode=encode if "pretrained" in start.needs else None,
        replay=partial(replayed_start, config, dataset),
    )


def _start_request(config: TrajectoryConfig) -> Request:
    """What the start's strategy is asked for: nothing that differs between a sweep's queries."""
    start = config.start
    count, share = start.patches, start.free_label_share
    # For the type checker: they are written out.
    assert count is not None
    assert share is not None
    return Request(
        patches=count,
        patch_size=config.query.box,
        strides=(1, 1, 1),
        overlap=0.0,
        per_case=count,
        loop=0,
        loops=config.query.loops,
        free_label_share=share,
    )


def _whole_cases(count: int, dataset: Dataset, rng: Streams) -> list[QueriedPatch]:
    """Cases of the pool drawn to be annotated whole.

    Source: Luth et al. 2025 (nnActive), fully annotated images of a starting budget. There patches
    may be placed in them as well, which would buy nothing.
    """
    order = rng("whole cases").permutation(len(dataset.pool)) if count else ()
    drawn = [dataset.pool[index] for index in order[:count]]
    return [QueriedPatch(Patch(c, (0, 0, 0), dataset.cases[c].shape), None) for c in drawn]


def settle(
    choices: Sequence[QueriedPatch],
    pool: DatasetPool,
    request: Request,
    rng: Streams,
    on_shortfall: str,
) -> list[QueriedPatch]:
    """Turn a strategy's answer into a query, applying ``query.on_shortfall`` once.

    Raises:
        PoolExhaustedError: Fewer patches fit than were asked for, and the config says ``error``.
    """
    found = [replace(choice, score=_finite(choice.score)) for choice in choices]
    missing = request.patches - len(found)
    if missing > 0 and on_shortfall == "fill_random":
        extra = _fill(pool, [q.patch for q in found], replace(request, patches=missing), rng)
        found += [QueriedPatch(patch=patch, score=None) for patch in extra]
    if len(found) < request.patches and on_shortfall != "take_all":
        raise PoolExhaustedError(
            f"loop {request.loop}: {request.patches} patches are wanted, but only {len(found)} "
            f"fit into the unannotated space of {len(pool.cases)} cases; lower query.patches or "
            f"query.patch_size, raise query.per_case, or set query.on_shortfall: take_all"
        )
    return found


def _finite(score: float | None) -> float | None:
    """None for what JSON cannot hold: the logarithm of a score of 0 in power noise."""
    return None if score is None or not isfinite(score) else score


def _fill(
    pool: DatasetPool, chosen: Sequence[Patch], request: Request, rng: Streams
) -> Sequence[Patch]:
    """Uniformly random patches beside those already chosen."""
    own = by_case(chosen)
    cases = [replace(c, taken=(*c.taken, *own.get(c.case, ()))) for c in pool.cases]
    placer = Placer(cases, pool.classes, pool.reference, replace(request, per_case=request.patches))
    placer.fill(request.patches, ("all",), rng("fill"))
    return placer.placed
