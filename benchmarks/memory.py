"""Memory of 1, 2 and 4 processes that read all images of a Dataset, mapped and, to compare, copied.

    python benchmarks/memory.py [--cases 16]

USS is what a process has for itself; PSS adds its share of what it shares. Both are the growth
since the process had opened the Dataset, summed over the processes. With mapped images PSS stays
that of one copy, whatever the number of processes, and the kernel may drop it at any time.
"""

import argparse
import multiprocessing
import tempfile
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import psutil

from alsweep import Dataset
from alsweep.data.phantom import write_phantom

SHAPE = (128, 160, 160)
MIB = 2**20


def worker(path: Path, copied: bool, pipe: Connection) -> None:
    """Read all images, tell when done, and measure once all others are done too."""
    dataset = Dataset.open(path)
    before = psutil.Process().memory_full_info()
    take = np.array if copied else np.asarray
    held = [take(dataset.image(case)) for case in dataset.cases]
    total = sum(float(image.sum()) for image in held)
    pipe.send(total)
    pipe.recv()
    after = psutil.Process().memory_full_info()
    pipe.send((after.uss - before.uss, after.pss - before.pss, after.rss - before.rss))
    pipe.recv()


def measure(path: Path, copied: bool, processes: int) -> tuple[float, float, float]:
    """Growth of USS, PSS and RSS in MiB, summed over the processes."""
    context = multiprocessing.get_context("spawn")
    pipes, workers = [], []
    for _ in range(processes):
        ours, theirs = context.Pipe()
        one = context.Process(target=worker, args=(path, copied, theirs))
        one.start()
        pipes.append(ours)
        workers.append(one)

    def all_of(answer: Callable[[Connection], object]) -> list[object]:
        return [answer(pipe) for pipe in pipes]

    all_of(lambda pipe: pipe.recv())
    all_of(lambda pipe: pipe.send("measure"))
    grown = all_of(lambda pipe: pipe.recv())
    all_of(lambda pipe: pipe.send("end"))
    for one in workers:
        one.join()
    uss, pss, rss = np.sum(np.array(grown, dtype=float), axis=0) / MIB
    return float(uss), float(pss), float(rss)


def main() -> None:
    """Print a line for each number of processes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=16)
    cases = parser.parse_args().cases
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "phantom"
        write_phantom(path, cases=cases, shape=SHAPE)
        print(f"images: {cases} of {SHAPE}, {4 * cases * np.prod(SHAPE) / MIB:.0f} MiB")
        print(f"{'':8} {'processes':>9} {'USS MiB':>8} {'PSS MiB':>8} {'RSS MiB':>8}")
        for copied in (False, True):
            for processes in (1, 2, 4):
                grown = measure(path, copied, processes)
                name = "copied" if copied else "mapped"
                print(f"{name:8} {processes:9} " + " ".join(f"{value:8.0f}" for value in grown))


if __name__ == "__main__":
    main()
