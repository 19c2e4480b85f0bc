"""Many trajectories on one card: trainings per hour and memory, with more and more of them at once.

    python benchmarks/sharing.py [--device cuda] [--at-once 1 2 4 8 16] [--features 8 16 32]
                                 [--window 32] [--size 48] [--cases 12]

As many processes come up as are ever wanted at once, each as a worker of a sweep is: one thread,
what CUDA takes in a process, and its fraction of the card. For each number so many of them run a
trajectory at the same time, which train real networks on a phantom and differ in their seeds. The
rate is that of the trainings of the second loop, when all is warm: trainings over mean seconds in
training, times how many there are at once. Beside it what share that is of as many cards with one
each, the seconds of the wall until all are done, and the most memory that the card held above what
it held before, with CUDA's own of all processes that have come up so far.
"""

import argparse
import gc
import multiprocessing
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from alsweep import Trajectory
from alsweep.config.sweep import ResourcesConfig
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.data.phantom import write_phantom

MEMBERS = 2
NEAR_BEST = 0.9
"""Of the highest rate: from there on more at once add little."""

_SPAWN = multiprocessing.get_context("spawn")


def config(dataset: Path, seed: int, given: argparse.Namespace) -> TrajectoryConfig:
    """A trajectory of two loops."""
    edge = given.window // 4
    return TrajectoryConfig.model_validate(
        {
            "dataset": str(dataset),
            "strategy": "predictive_entropy",
            "query": {"patches": 8, "loops": 2, "patch_size": [edge] * 3, "stride": 4},
            "training": {
                "members": MEMBERS,
                "ensemble": "seeds",
                "epochs": given.epochs,
                "iterations_per_epoch": given.iterations,
                "patch_size": [given.window] * 3,
                "features": given.features,
            },
            "seed": seed,
        }
    )


def work(pipe: Connection) -> None:
    """Run what comes in, and say how long a training of the last loop took."""
    torch.set_num_threads(1)
    pipe.send("ready")
    while True:
        try:
            asked = pipe.recv()
        except EOFError:
            return
        trajectory = Trajectory(asked.config, asked.folder, resources=asked.resources)
        record = trajectory.run()[-1]
        trajectory.close()
        del trajectory
        gc.collect()
        torch.cuda.empty_cache()
        pipe.send(record.train_seconds / MEMBERS)


@dataclass(frozen=True)
class Asked:
    """A trajectory, and its share of the card."""

    config: TrajectoryConfig
    folder: Path
    resources: ResourcesConfig


@dataclass
class Workers:
    """Processes that have imported all that they need."""

    pipes: list[Connection]

    @classmethod
    def start(cls, count: int) -> "Workers":
        """Wait until all are there."""
        pipes = []
        for _ in range(count):
            ours, theirs = _SPAWN.Pipe()
            _SPAWN.Process(target=work, args=(theirs,), daemon=True).start()
            theirs.close()
            pipes.append(ours)
        for pipe in pipes:
            pipe.recv()
        return cls(pipes)

    def run(self, asked: list[Asked]) -> list[float]:
        """Seconds of a training, of each."""
        busy = self.pipes[: len(asked)]
        for pipe, one in zip(busy, asked, strict=True):
            pipe.send(one)
        return [pipe.recv() for pipe in busy]


class Watch:
    """The most memory that the card held above what it holds now; nothing on a CPU."""

    def __init__(self) -> None:
        self.most, self._before = 0, held()
        self._stop = threading.Event()
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while not self._stop.wait(0.2):
            self.most = max(self.most, held() - self._before)


def held() -> int:
    """Bytes of the card that are in use, whoever uses them."""
    if not torch.cuda.is_available():
        return 0
    free, total = torch.cuda.mem_get_info()
    return total - free


@dataclass(frozen=True)
class Rate:
    """Trainings per hour, and MiB of the card."""

    per_hour: float
    mib: float


def measure(folder: Path, given: argparse.Namespace) -> dict[int, Rate]:
    """Print a line for each number."""
    shape = (given.size, given.size, given.size)
    dataset = write_phantom(folder / "data", cases=given.cases, shape=shape).path
    watch, workers = Watch(), Workers.start(max(given.at_once))
    rates: dict[int, Rate] = {}
    for at_once in sorted(given.at_once):
        gpus = 1 / at_once if given.device != "cpu" else 0.0
        resources = ResourcesConfig(cpus=1, gpus=gpus, device=given.device, loaders=0)
        asked = [
            Asked(config(dataset, seed, given), folder / f"{at_once}-{seed}", resources)
            for seed in range(at_once)
        ]
        watch.most, began = 0, time.perf_counter()
        try:
            seconds = workers.run(asked)
        except EOFError:
            print(f"summary: {at_once} at once: a worker died, see above")
            break
        wall = time.perf_counter() - began
        rate = Rate(3600 * at_once * at_once / sum(seconds), watch.most / (1 << 20))
        rates[at_once] = rate
        least = min(rates)
        share = rate.per_hour / at_once * least / rates[least].per_hour
        print(
            f"{at_once:8} {rate.per_hour:12.0f} {share:8.2f} {wall:8.1f} {rate.mib:11.0f}",
            flush=True,
        )
    return rates


def main() -> None:
    """Print a line for each number."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--features", type=int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--window", type=int, default=32)
    parser.add_argument("--size", type=int, default=48)
    parser.add_argument("--cases", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--iterations", type=int, default=50)
    given = parser.parse_args()
    if given.device != "cpu":
        print(torch.cuda.get_device_name())
    features = "-".join(map(str, given.features))
    steps = given.iterations * given.epochs
    print(f"features {features}, windows of {given.window}^3, {steps} iterations a training")
    print(f"{'at once':>8} {'trainings/h':>12} {'of alone':>8} {'all [s]':>8} {'card [MiB]':>11}")
    folder = Path(tempfile.mkdtemp())
    try:
        rates = measure(folder, given)
    finally:
        shutil.rmtree(folder)
    if not rates:
        raise SystemExit(1)
    most = NEAR_BEST * max(rate.per_hour for rate in rates.values())
    enough = next(n for n, rate in rates.items() if rate.per_hour >= most)
    told = ", ".join(f"{n}: {rate.per_hour:.0f} ({rate.mib:.0f} MiB)" for n, rate in rates.items())
    print(f"summary: trainings/h by how many at once {told}; nearly the most from {enough} on")


if __name__ == "__main__":
    main()
