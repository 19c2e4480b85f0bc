"""Where the seconds of a trajectory go, and how much of them a card has nothing to do.

    python benchmarks/loop.py [--device cpu|cuda] [--epochs 8] [--size 48] [--features 8 16 32]

One trajectory on a phantom in this process, without Ray: until the first loop can begin
(interpreter and imports), training, evaluation and query, each with the part in which the
networks predict, the record of a loop, and its commit with labels.zarr.
Seconds are the clock's, those of the CPU beside them: where both are equal, on one thread, nothing
waits. On a card the share of looks at the driver, five a second, in which it computed nothing.
"""

import argparse
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
import torch

from alsweep import Trajectory
from alsweep.config.sweep import ResourcesConfig
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.data.phantom import write_phantom
from alsweep.sweep.fraction import Probe
from alsweep.trajectory.evaluation import Evaluator
from alsweep.trajectory.steps import Steps

PARTS = {
    "train": (Steps, "train"),
    "evaluate": (Steps, "evaluate"),
    "evaluate: label maps": (Evaluator, "_labels"),
    "query": (Steps, "query"),
    "predict, of both": (Steps, "predict"),
    "record": (Trajectory, "_record"),
    "commit": (Trajectory, "_submit"),
    "labels.zarr": (Trajectory, "_show_labels"),
}
INSIDE = ("evaluate: label maps", "predict, of both")
"""Parts of other parts."""


class Spent:
    """Seconds by part, of the clock and of the CPU."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = defaultdict(float)
        self.cpu: dict[str, float] = defaultdict(float)

    @contextmanager
    def on(self, name: str) -> Iterator[None]:
        """Count what is done meanwhile; a card is waited for."""
        began = self._now()
        try:
            yield
        finally:
            ended = self._now()
            self.wall[name] += ended[0] - began[0]
            self.cpu[name] += ended[1] - began[1]

    def _now(self) -> tuple[float, float]:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter(), time.process_time()

    def around(self, owner: Any, attribute: str, name: str) -> Callable[..., Any]:
        """A function that is counted."""
        original = getattr(owner, attribute)

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.on(name):
                return original(*args, **kwargs)

        return timed


def config(dataset: Path, given: argparse.Namespace) -> TrajectoryConfig:
    """BALD with two members, so that a query has something to do."""
    edge = given.size // 4
    return TrajectoryConfig.model_validate(
        {
            "dataset": str(dataset),
            "strategy": "mutual_information",
            "query": {"patches": 8, "loops": 3, "patch_size": [edge] * 3, "stride": 4},
            "training": {
                "members": 2,
                "ensemble": "seeds",
                "epochs": given.epochs,
                "iterations_per_epoch": given.iterations,
                "patch_size": [32, 32, 32],
                "features": given.features,
            },
        }
    )


def run(folder: Path, given: argparse.Namespace, spent: Spent) -> float:
    """All loops and the report; gives the share of looks at which the card was idle."""
    shape = (given.size, given.size, given.size)
    dataset = write_phantom(folder / "data", cases=given.cases, shape=shape).path
    trajectory = Trajectory(
        config(dataset, given),
        folder / "run",
        resources=ResourcesConfig(device=given.device, cpus=given.cpus),
    )
    with ExitStack() as stack:
        shares = stack.enter_context(Probe(seconds=0.2).watching())
        for name, (owner, attribute) in PARTS.items():
            timed = spent.around(owner, attribute, name)
            stack.enter_context(patch.object(owner, attribute, timed))
        with spent.on("loops"):
            trajectory.run()
    trajectory.close()
    return sum(share == 0 for share in shares) / max(1, len(shares))


def main() -> None:
    """Print a line for each part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", choices=["cpu", "cuda"])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--iterations", type=int, default=50)
    parser.add_argument("--cases", type=int, default=12)
    parser.add_argument("--size", type=int, default=48)
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--features", type=int, nargs="+", default=[8, 16, 32])
    given = parser.parse_args()
    spent = Spent()
    spent.wall["start: interpreter, imports"] = time.time() - psutil.Process().create_time()
    spent.cpu["start: interpreter, imports"] = time.process_time()
    folder = Path(tempfile.mkdtemp())
    try:
        idle = run(folder, given, spent)
    finally:
        shutil.rmtree(folder)
    told = sum(spent.wall[name] for name in PARTS if name not in INSIDE)
    spent.wall["rest of the loops"] = spent.wall["loops"] - told
    print(f"{'part':30} {'seconds':>8} {'of loops':>9} {'CPU s':>8}")
    for name, seconds in spent.wall.items():
        share = 100 * seconds / spent.wall["loops"]
        print(f"{name:30} {seconds:8.2f} {share:7.1f} % {spent.cpu[name]:8.2f}")
    looked = ""
    if given.device == "cuda":
        looked = f"; the card computed nothing at {100 * idle:.1f} % of looks"
    shares = {name: 100 * spent.wall[name] / spent.wall["loops"] for name in spent.wall}
    outside = 100 - shares["train"] - shares["evaluate"] - shares["query"]
    waits = shares["evaluate"] + shares["query"] - shares["predict, of both"]
    print(
        f"summary: of {spent.wall['loops']:.0f} s in loops {shares['train']:.1f} % train, "
        f"{shares['predict, of both']:.1f} % predict, {waits:.1f} % judge and choose, "
        f"{outside:.1f} % all else; start {spent.wall['start: interpreter, imports']:.0f} s{looked}"
    )


if __name__ == "__main__":
    main()
