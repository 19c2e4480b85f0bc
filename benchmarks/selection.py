"""Time and memory of the strategies of related work, beside predictive entropy.

    python benchmarks/selection.py [--only NAME ...] [--candidates 5000] [--query 500]

Two tables. "selection" is the choice among the candidates of all cases, once a query: 5,000 of
them in 100 cases, 500 to be chosen, 2,000 patches annotated, 1,600 features (five members of 320),
gradients of four classes by 32 features. "case" is what a case of KiTS' size, 160x320x320 voxels of
four classes in patches of 64x64x64 at stride 8, costs from the members' mean probability on: map,
windows, and what is measured of its candidates. What a network takes to predict is in neither; for
gradients one member goes over each case once more.

Seconds are the process's, of one thread; MiB are the highest above what was there before.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from alsweep.geometry import Patch
from alsweep.query import PoolCase, Prediction, Request, make_strategy
from alsweep.query.base import Embedding
from alsweep.query.candidates import Annotated, Candidate, ordered
from alsweep.query.clusters import nearest_to_centres, representative_uncertain, typical
from alsweep.query.engine import Engine
from alsweep.rng import stream
from benchmarks.query import CASES, Answer, Clock, extra_mib, folded, members_of

CPU = torch.device("cpu")
STRATEGIES: tuple[str | dict[str, str | int], ...] = (
    "predictive_entropy",
    "kmeans_bald",
    "core_set",
    "stochastic_batches",
    {"name": "stochastic_batches", "n_groups": 1000},
    "badge",
    {"name": "kecor", "kernel": "linear"},
    {"name": "kecor", "kernel": "laplace"},
    {"name": "kecor", "kernel": "last_layer"},
    "kecor",
    "crb",
    "openpath",
    {"stages": {"map": "predictive_entropy", "select": "kmeans"}},  # type: ignore[dict-item]
)
FEATURES, GRADIENT, CLASSES, ANNOTATED, IN_CASES = 1600, 128, 3, 2000, 100


def candidates(count: int) -> list[Candidate]:
    """Candidates with everything that a selection may need, best first."""
    rng = stream(0, "candidates")
    features = rng.standard_normal((count, FEATURES), dtype=np.float32)
    gradients = rng.standard_normal((count, GRADIENT), dtype=np.float32)
    volumes = rng.integers(0, 4000, (count, CLASSES)) * (rng.random((count, CLASSES)) < 0.6)
    made = (
        Candidate(
            Patch(f"case_{i % IN_CASES:03d}", (i // IN_CASES * 64, 0, 0), (64, 64, 64)),
            float(rng.lognormal()),
            worth=float(rng.random()),
            features=features[i],
            gradient=gradients[i],
            soft_gradient=gradients[i],
            volumes=volumes[i],
            probs=np.full(CLASSES + 1, 0.25),
        )
        for i in range(count)
    )
    return ordered(made)


def annotated() -> Annotated:
    """Patches of earlier loops."""
    rng = stream(0, "annotated")
    return Annotated(
        rng.standard_normal((ANNOTATED, FEATURES), dtype=np.float32),
        rng.integers(0, 2, (ANNOTATED, CLASSES + 1)),
        rng.integers(0, 4000, (ANNOTATED, CLASSES)),
        rng.dirichlet(np.ones(CLASSES + 1), ANNOTATED),
    )


def engine(spec: object, patches: int) -> Engine:
    """Of a strategy, with the request of KiTS."""
    composition = make_strategy(spec).composition  # type: ignore[arg-type]
    assert composition is not None
    request = Request(patches, (64, 64, 64), (8, 8, 8), 0.0, patches, 1, 5)
    return Engine(composition, request, CLASSES, partial(stream, 0, "query", 0))


def select(made: Engine, found: list[Candidate], known: Annotated) -> Answer:
    """Choose among the candidates of all cases."""
    clock = Clock(CPU)
    chosen = made.select(found, known)
    assert len(chosen) == made.request.patches
    clock.lap("select")
    return clock.seconds, []


def start(rule: Callable[..., object], count: int, patches: int) -> Answer:
    """Cluster tiles by 15 features of their images."""
    points = stream(0, "tiles").standard_normal((count, 15))
    clock = Clock(CPU)
    list(rule(points, patches, stream(1)))  # type: ignore[call-overload]
    clock.lap("select")
    return clock.seconds, []


def _urds(points: np.ndarray, k: int, rng: np.random.Generator) -> object:
    return representative_uncertain(points, points[:, 0], k, 3, rng)


def one_case(made: Engine, prediction: Prediction) -> Answer:
    """Reduce one case to its candidates."""
    case = next(case for case in CASES if case.name == "KiTS")
    clock = Clock(CPU)
    made.case_result(PoolCase(case.name, case.shape, case.taken), prediction)
    clock.lap("case")
    return clock.seconds, []


def predicted() -> Prediction:
    """What is said of the case, with all that stages may need."""
    case = next(case for case in CASES if case.name == "KiTS")
    prediction = folded(members_of(case, 2, CPU), ("probs", "mean_entropy"))
    generator = torch.Generator().manual_seed(0)

    def grid(features: int, cell: int) -> Embedding:
        size = [n // cell for n in case.shape]
        return Embedding(torch.randn(features, *size, generator=generator), (cell, cell, cell))

    gradient = grid(GRADIENT, 4)
    return replace(
        prediction, embedding=grid(FEATURES, 16), gradient=gradient, soft_gradient=gradient
    )


def report(name: str, way: Callable[[], Answer]) -> None:
    """Print seconds and memory of one way."""
    seconds, _ = way()
    print(f"  {name:48} {sum(seconds.values()):8.2f} {extra_mib(way, CPU):8.0f}", flush=True)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", help="names of strategies")
    parser.add_argument("--candidates", type=int, default=5000)
    parser.add_argument("--query", type=int, default=500)
    given = parser.parse_args()
    torch.set_num_threads(1)
    named = {make_strategy(s).told or s: s for s in STRATEGIES}  # type: ignore[arg-type]
    shown = {
        f"{s['name']}[{told}]" if isinstance(s, dict) and "name" in s else str(told): s
        for told, s in named.items()
    }
    wanted = {n: s for n, s in shown.items() if given.only is None or n in given.only}
    print(f"selection of {given.query} of {given.candidates}: CPU seconds, MiB")
    found, known = candidates(given.candidates), annotated()
    for name, spec in wanted.items():
        report(name, partial(select, engine(spec, given.query), found, known))
    starts = {"kmeans_start": nearest_to_centres, "typiclust_start": typical, "urds_start": _urds}
    for name, rule in starts.items():
        if given.only is None or name in given.only:
            report(name, partial(start, rule, given.candidates, given.query))
    del found, known
    print("a case of KiTS' size, 20 patches: CPU seconds, MiB")
    prediction = predicted()
    for name, spec in wanted.items():
        report(name, partial(one_case, engine(spec, 20), prediction))


if __name__ == "__main__":
    main()
