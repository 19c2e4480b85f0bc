"""What every strategy must keep, as checks to run in a test; for ours and for those of others.

In a test module::

    import pytest
    from alsweep.query import make_strategy
    from alsweep.testing.strategy_contract import CHECKS

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_my_strategy_keeps_the_contract(check):
        check(make_strategy("my_strategy"))

Each check raises an AssertionError that says what is wrong.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from alsweep.errors import AlsweepError
from alsweep.geometry import Patch, QueriedPatch, clip_size
from alsweep.query.base import Request, Strategy
from alsweep.query.parameters import reads_predictions
from alsweep.testing.pools import ArrayPool, make_pool, make_request, make_streams

_SHAPE = (20, 18, 16)
_PATCHES = 7


def _pool(strategy: Strategy, taken: Sequence[Patch] = ()) -> ArrayPool:
    """Four cases; labels only for who declares that they are read."""
    pool = make_pool(4, _SHAPE, taken=taken)
    labels = "annotated_labels" in strategy.needs
    images = "images" in strategy.needs
    encoder = "pretrained" in strategy.needs
    pool = replace(pool, oracle=strategy.uses_oracle, labels=labels, images=images, encoder=encoder)
    # Something to replay that fits beside the annotated patches.
    places = [(case.case, z, y) for case in pool.cases for z in (12, 6) for y in (12, 6)]
    queried = [QueriedPatch(Patch(case, (z, y, 8), (5, 5, 5)), None) for case, z, y in places]
    return replace(pool, queried=queried)


def _ask(
    strategy: Strategy, pool: ArrayPool, request: Request, seed: int = 0
) -> list[QueriedPatch]:
    return strategy.query(pool, request, make_streams(seed, request.loop))


def _request(patches: int = _PATCHES, *, per_case: int | None = None, loop: int = 0) -> Request:
    return make_request(patches, (5, 5, 5), strides=(2, 1, 1), per_case=per_case, loop=loop)


def gives_the_exact_count(strategy: Strategy) -> None:
    """As many patches as were asked for, where there is room for them."""
    for patches in (1, 3, _PATCHES):
        found = len(_ask(strategy, _pool(strategy), _request(patches)))
        assert found == patches, f"{patches} patches were asked for, and {found} came"


def stays_inside_the_image(strategy: Strategy) -> None:
    """Every patch lies in its case and has the size asked for, cut to the case."""
    pool = _pool(strategy)
    shapes = {case.case: case.shape for case in pool.cases}
    for choice in _ask(strategy, pool, _request()):
        patch = choice.patch
        assert patch.case in shapes, f"case '{patch.case}' is not in the pool"
        assert patch.inside(shapes[patch.case]), f"{patch} leaves its case"
        size = clip_size((5, 5, 5), shapes[patch.case])
        assert patch.size == size, f"{patch} should have the size {size}"


def never_overlaps(strategy: Strategy) -> None:
    """No patch touches another, nor one that is annotated."""
    taken = [Patch(f"case_{i}", (0, 0, 0), (6, 18, 8)) for i in range(4)]
    patches = [c.patch for c in _ask(strategy, _pool(strategy, taken), _request())]
    for index, patch in enumerate(patches):
        for other in [*taken, *patches[:index]]:
            assert not patch.intersects(other), f"{patch} overlaps {other}"


def is_deterministic(strategy: Strategy) -> None:
    """The same streams give the same query; nothing else is drawn from."""
    first = _ask(strategy, _pool(strategy), _request())
    again = _ask(strategy, _pool(strategy), _request())
    assert first == again, "two queries with the same streams differ"


def ignores_the_number_of_workers(strategy: Strategy) -> None:
    """One, two or five workers give the same query."""
    pool = _pool(strategy)
    alone = _ask(strategy, pool, _request())
    for workers in (2, 5):
        found = _ask(strategy, pool.with_workers(workers), _request())
        assert found == alone, f"{workers} workers give another query than one"


def reads_labels_only_if_declared(strategy: Strategy) -> None:
    """Labels, images and a pretrained encoder are asked for by who declares it alone.

    Ground truth by those with ``uses_oracle = True``, the classes of annotated patches by those
    whose ``needs`` name ``annotated_labels``, images by those whose name ``images``, an encoder by
    those whose name ``pretrained``.
    """
    taken = [Patch(f"case_{i}", (0, 0, 0), (6, 6, 8)) for i in range(4)]
    pool = replace(_pool(strategy, taken), oracle=True, labels=True, images=True, encoder=True)
    _ask(strategy, pool, _request())
    declared = strategy.uses_oracle
    assert declared or not pool.reference_reads, "labels were read; declare uses_oracle = True"
    declared = "annotated_labels" in strategy.needs
    assert declared or not pool.label_reads, (
        "labels of annotated patches were read; let needs name 'annotated_labels'"
    )
    declared = "images" in strategy.needs
    assert declared or not pool.image_reads, "images were read; let needs name 'images'"
    declared = "pretrained" in strategy.needs
    assert declared or not pool.encoder_reads, (
        "a pretrained encoder was asked; let needs name 'pretrained'"
    )


def reads_only_what_it_needs(strategy: Strategy) -> None:
    """What ``needs`` does not name is not there, and is not missed."""
    pool = _pool(strategy)
    needs = strategy.needs
    given = {
        case: replace(
            prediction,
            mean_entropy=prediction.mean_entropy if "mean_entropy" in needs else None,
            embedding=prediction.embedding if "embedding" in needs else None,
            members=prediction.members if "members" in needs else (),
            gradient=prediction.gradient if "gradient" in needs else None,
            soft_gradient=prediction.soft_gradient if "soft_gradient" in needs else None,
        )
        for case, prediction in pool.given.items()
    }
    lean = replace(pool, given=given if reads_predictions(needs) else {})
    try:
        found = _ask(strategy, lean, _request())
    except (KeyError, AttributeError, TypeError, AlsweepError) as error:
        raise AssertionError(
            f"needs {list(needs)} does not name all that is read: {error}"
        ) from error
    assert found == _ask(strategy, pool, _request()), "what needs does not name was read"


def an_exhausted_pool_ends_clearly(strategy: Strategy) -> None:
    """Where not all fit, the query is shorter, or an AlsweepError says so; never wrong patches."""
    taken = [Patch(f"case_{i}", (0, 0, 0), (20, 18, 10)) for i in range(4)]
    pool = replace(_pool(strategy, taken), queried=())
    request = _request(200)
    try:
        patches = [choice.patch for choice in _ask(strategy, pool, request)]
    except AlsweepError:
        return
    assert len(patches) < request.patches, "more patches came than there is room for"
    for index, patch in enumerate(patches):
        for other in [*taken, *patches[:index]]:
            assert not patch.intersects(other), f"{patch} overlaps {other}"


def keeps_the_limit_per_case(strategy: Strategy) -> None:
    """No case gets more patches than ``per_case``."""
    pool = _pool(strategy)
    if not pool.given or not reads_predictions(strategy.needs):
        pool = replace(pool, queried=pool.queried[::3])
    patches = [c.patch for c in _ask(strategy, pool, _request(6, per_case=2))]
    for case in pool.cases:
        found = sum(patch.case == case.case for patch in patches)
        assert found <= 2, f"{case.case} got {found} patches, but per_case is 2"


def works_in_every_loop(strategy: Strategy) -> None:
    """The first and the last query give the exact count."""
    for loop in (0, 3):
        found = len(_ask(strategy, _pool(strategy), _request(loop=loop)))
        assert found == _PATCHES, f"in loop {loop} {found} patches came instead of {_PATCHES}"


CHECKS: tuple[Callable[[Strategy], None], ...] = (
    gives_the_exact_count,
    stays_inside_the_image,
    never_overlaps,
    is_deterministic,
    ignores_the_number_of_workers,
    reads_labels_only_if_declared,
    reads_only_what_it_needs,
    an_exhausted_pool_ends_clearly,
    keeps_the_limit_per_case,
    works_in_every_loop,
)
"""All checks; each takes a strategy and raises AssertionError."""
