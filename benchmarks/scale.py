"""What a thousand cases and a thousand trajectories cost beside voxels and training.

    python benchmarks/scale.py [--cases 1000] [--trajectories 1000] [--written 100]

The cases are small (16x16x16), since what is measured does not depend on their voxels: times to
open and to plan, files, handles, and the cost of a window of labels. Run folders of --written
trajectories are made with synthetic records, to measure what it takes to read them.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from alsweep import Dataset, PartialLabels, Patch
from alsweep.config.sweep import SweepConfig
from alsweep.data.annotator import Oracle
from alsweep.data.patches import PatchSampler
from alsweep.data.phantom import write_phantom
from alsweep.geometry import QueriedPatch
from alsweep.layout import query_path
from alsweep.results.loops import read_query, write_query
from alsweep.results.records import read_run
from alsweep.results.table import collect
from alsweep.rng import stream
from alsweep.sweep.plan import make_plan
from alsweep.testing.runs import write_run
from alsweep.trajectory.budget import draw_start

LOOPS, PATCHES, SEEDS = 5, 100, 20
NAMES = ("background", "organ", "lesion")


@contextmanager
def clock(what: str) -> Iterator[None]:
    """Print how long it took."""
    began = time.perf_counter()
    yield
    print(f"{what:64} {time.perf_counter() - began:10.3f} s")


def tell(what: str, value: float, unit: str) -> None:
    """Print one figure."""
    print(f"{what:64} {value:10,.1f} {unit}")


def entries(folder: Path) -> int:
    """Files and folders below it, which is what a file system counts."""
    return sum(1 for _ in folder.rglob("*"))


def size_of(folder: Path) -> int:
    """Bytes of all files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def handles() -> int:
    """Open files of this process; each memory map holds one."""
    return len(list(Path("/proc/self/fd").iterdir()))


def of_dataset(dataset: Dataset) -> None:
    """What the Dataset folder costs beside voxels."""
    cases = len(dataset.cases)
    voxels = sum(5 * case.voxels for case in dataset.cases.values())
    with clock(f"Dataset.open, {cases} cases"):
        Dataset.open(dataset.path)
    tell("files and folders a case", entries(dataset.path) / cases, "")
    tell("bytes a case beside voxels", (size_of(dataset.path) - voxels) / cases, "B")


def of_plan(dataset: Dataset, count: int) -> None:
    """Planning, as each run, resume and dry run does it."""
    sizes = [[a, b, c] for a in (4, 5, 6) for b in (4, 5, 6) for c in (4, 5, 6)]
    strategies = ["random", "random_fg33", "random_fg66", "predictive_entropy"]
    sweep = SweepConfig(
        name="scale",
        dataset=dataset.path,
        base={"query": {"patches": PATCHES, "loops": LOOPS, "patch_size": [4, 4, 4]}},
        seeds=tuple(range(SEEDS)),
        grid={
            "strategy": tuple(strategies),
            "query.patch_size": tuple(sizes[: -(-count // (SEEDS * len(strategies)))]),
        },
    )
    with clock(f"plan of about {count} trajectories on {len(dataset.cases)} cases"):
        plan = make_plan(sweep, dataset)
    with clock("starting budget of one trajectory"):
        draw_start(plan.trajectories[0].config, dataset)


def of_labels(dataset: Dataset, folder: Path) -> None:
    """One trajectory's query log and labels, replayed, viewed and trained on."""
    rng = stream(0, "scale")
    starts = rng.integers(0, 12, (LOOPS * PATCHES, 3)).tolist()
    cases = rng.choice(dataset.pool, LOOPS * PATCHES).tolist()
    patches = [Patch(c, (z, y, x), (4, 4, 4)) for c, (z, y, x) in zip(cases, starts, strict=True)]
    for loop in range(LOOPS):
        new = [QueriedPatch(p, 0.5) for p in patches[loop * PATCHES : (loop + 1) * PATCHES]]
        write_query(query_path(folder, loop), loop, new)
    shapes = {case: dataset.cases[case].shape for case in dataset.pool}
    with clock(f"replay of the query log, {len(patches)} patches"):
        read = [q.patch for k in range(LOOPS) for q in read_query(query_path(folder, k))]
        labels = PartialLabels(shapes, 3, Oracle(dataset), read)
    before = handles()
    with clock(f"sampler over {len(labels.cases)} annotated cases"):
        sampler = PatchSampler(dataset, labels, labels.cases, (8, 8, 8), 0.33)
    with clock("1,000 training patches"):
        sampler.batch(rng, 1000)
    tell("open files of the training", handles() - before, "")
    with clock(f"labels.zarr, {len(labels.cases)} cases"):
        labels.write_zarr(folder / "labels.zarr", NAMES, (1.0, 1.0, 1.0))
    tell("files and folders of labels.zarr", entries(folder / "labels.zarr"), "")
    tell("bytes of labels.zarr", size_of(folder / "labels.zarr"), "B")
    tell("bytes of the query log", size_of(folder / "queries"), "B")


def of_windows() -> None:
    """A window of labels, with few and with many boxes in other cases."""
    shapes = {str(case): (300, 512, 512) for case in range(1000)}

    class Background:
        def reveal(self, case: str, start: object, size: tuple[int, int, int]) -> np.ndarray:
            return np.zeros(size, np.uint8)

    few = [Patch("0", (0, 0, 64 * i), (32, 64, 64)) for i in range(5)]
    many = [Patch(str(1 + i % 999), (0, 0, 0), (32, 64, 64)) for i in range(10_000)]
    for name, boxes in (("", []), (", 10,000 boxes in other cases", many)):
        labels = PartialLabels(shapes, 2, Background(), [*few, *boxes])
        seconds = per_call(lambda labels=labels: labels.window("0", (0, 0, 0), (64, 64, 64)))
        tell(f"window of 64x64x64{name}", 1e6 * seconds, "us")


def per_call(function: Callable[[], object]) -> float:
    """Median seconds."""
    seconds = []
    for _ in range(300):
        began = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds))


def of_run(folder: Path, count: int) -> None:
    """What reading a run takes, as status, resume and results do it."""
    write_run(folder, strategies={"random": 0.4}, seeds=range(count), loops=LOOPS)
    with clock(f"read {count} trajectories of {LOOPS} loops"):
        read_run(folder)
    with clock(f"collect the table of {count} trajectories"):
        collect(folder)
    each = folder / "trajectories"
    tell("files and folders a trajectory, without labels.zarr", entries(each) / count, "")
    tell("bytes a trajectory, without labels.zarr", size_of(each) / count, "B")


def main() -> None:
    """Print a line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--trajectories", type=int, default=1000)
    parser.add_argument("--written", type=int, default=100)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        dataset = write_phantom(folder / "dataset", cases=chosen.cases, shape=(16, 16, 16))
        of_dataset(dataset)
        of_plan(dataset, chosen.trajectories)
        of_labels(dataset, folder / "one")
        of_windows()
        of_run(folder / "run", chosen.written)


if __name__ == "__main__":
    main()
