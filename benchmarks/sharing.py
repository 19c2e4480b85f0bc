"""Many trajectories on one card: trainings per hour and memory, with more and more of them at once.

    python benchmarks/sharing.py [--device cuda] [--at-once 1 2 4 8 16] [--features 8 16 32]

For each number a sweep of as many trajectories runs through the installed command, each with its
fraction of the card (on a CPU: with one core each). They train real networks on a phantom. The rate
is that of the trainings while all of them train: trainings over mean seconds in training, times how
many there are at once. Beside it the wall's seconds of the whole sweep, Ray's start included, and
the most memory that the card held.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import torch

from alsweep.data.phantom import write_phantom
from alsweep.files import read_json

LOOPS, MEMBERS, PATCH = 2, 2, 32


def space(dataset: Path, at_once: int, given: argparse.Namespace) -> dict[str, object]:
    """A sweep of as many trajectories, which differ in their seeds alone."""
    card = given.device != "cpu"
    return {
        "name": f"sharing-{at_once}",
        "dataset": str(dataset),
        "base": {
            "strategy": "predictive_entropy",
            "query": {"patches": 8, "loops": LOOPS, "patch_size": [16, 16, 16], "stride": 4},
            "training": {
                "members": MEMBERS,
                "ensemble": "seeds",
                "epochs": given.epochs,
                "iterations_per_epoch": given.iterations,
                "patch_size": [PATCH] * 3,
                "features": given.features,
            },
        },
        "seeds": list(range(at_once)),
        "resources": {
            "cpus": 1,
            "gpus": 1 / at_once if card else 0,
            "device": given.device,
            "loaders": 0,
        },
        "wandb": {"mode": "disabled"},
    }


def run(folder: Path, dataset: Path, at_once: int, given: argparse.Namespace) -> tuple[float, int]:
    """Seconds of the wall, and the most bytes that the card held above those before."""
    path = folder / f"{at_once}.yaml"
    path.write_text(json.dumps(space(dataset, at_once, given)))
    watch = Watch()
    command = [sys.executable, "-m", "alsweep", "run", path, "--out", folder / f"run-{at_once}"]
    began = time.perf_counter()
    with watch:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began, watch.most


class Watch:
    """The most memory that the card holds; nothing on a CPU."""

    def __init__(self) -> None:
        self.most = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        held = self._held()
        while not self._stop.wait(0.2):
            self.most = max(self.most, self._held() - held)

    def _held(self) -> int:
        if not torch.cuda.is_available():
            return 0
        free, total = torch.cuda.mem_get_info()
        return total - free


def trainings_per_hour(run_folder: Path, at_once: int) -> float:
    """Rate while all train, from what the records say of seconds in training."""
    records = [read_json(p) for p in run_folder.glob("trajectories/*/records/loop_001.json")]
    seconds = sum(record["train_seconds"] for record in records) / (MEMBERS * len(records))
    return 3600 * at_once / seconds


def main() -> None:
    """Print a line for each number."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--features", type=int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--iterations", type=int, default=50)
    given = parser.parse_args()
    if given.device != "cpu":
        print(torch.cuda.get_device_name())
    features = "-".join(map(str, given.features))
    print(
        f"features {features}, {PATCH}^3, {given.iterations * given.epochs} iterations a training"
    )
    print(f"{'at once':>8} {'trainings/h':>12} {'sweep [s]':>10} {'card [MiB]':>11}")
    folder = Path(tempfile.mkdtemp())
    try:
        dataset = write_phantom(folder / "data", cases=12, shape=(48, 48, 48)).path
        for at_once in given.at_once:
            wall, held = run(folder, dataset, at_once, given)
            rate = trainings_per_hour(folder / f"run-{at_once}", at_once)
            print(f"{at_once:8} {rate:12.0f} {wall:10.1f} {held / (1 << 20):11.0f}", flush=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
