"""Members one after the other, as inference takes them, or all of them on each batch of windows.

    python benchmarks/members.py [--members 5] [--base 8]

The second way reads each window once while it is hot; but the entropy of a member is that of its
stitched probabilities, so that it has to keep a volume of logits for each member. Both ways take
turns in one process on one thread, the fastest run of each counts, and their probabilities are
compared. Memory is the highest above that before a run (Linux only).
"""

import argparse
import ctypes
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from monai.inferers.utils import sliding_window_inference
from torch import nn

from alsweep.config.trajectory import TrainingConfig
from alsweep.model.device import Compute, set_threads
from alsweep.model.ensemble_mean import EnsembleMean
from alsweep.model.inference import Tiling, predict
from alsweep.model.network import build_network
from alsweep.model.sliding import _WINDOWS
from alsweep.model.topology import Topology
from alsweep.query import Prediction

SHAPE, WINDOW, CLASSES, STEP = (96, 96, 96), (32, 32, 32), 4, 0.75
ROUNDS = 3


def networks(count: int, base: int) -> list[nn.Module]:
    """Untrained members of three levels."""
    features = (base, 2 * base, 4 * base)
    strides = ((1, 1, 1), (2, 2, 2), (2, 2, 2))
    topology = Topology(WINDOW, strides, ((3, 3, 3),) * 3, features)
    training = TrainingConfig.model_validate({"features": features})
    return [build_network(training, topology, 1, CLASSES, seed).eval() for seed in range(count)]


def in_turn(members: Sequence[nn.Module], image: np.ndarray) -> Prediction:
    """Ours."""
    tiling = Tiling(WINDOW, STEP, (), Compute(torch.device("cpu"), "fp32"))
    return predict(members, image, tiling, ("probs", "mean_entropy"))


@torch.no_grad()
def side_by_side(members: Sequence[nn.Module], image: np.ndarray) -> Prediction:
    """All members on each batch of windows; their logits lie one behind the other."""
    logits = sliding_window_inference(
        torch.from_numpy(image)[None],
        roi_size=WINDOW,
        sw_batch_size=_WINDOWS,
        predictor=lambda windows: torch.cat([member(windows) for member in members], dim=1),
        overlap=1 - STEP,
        mode="gaussian",
        sigma_scale=0.125,
    )
    fold = EnsembleMean(len(members), ("probs", "mean_entropy"))
    for own in logits[0].chunk(len(members)):
        fold.add_logits(own)
    return fold.means()


def measured(way: Callable[[], Prediction]) -> tuple[float, float, Prediction]:
    """CPU seconds, MiB and what came out."""
    ctypes.CDLL(None).malloc_trim(0)
    before = _kib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    began = time.process_time()
    found = way()
    return time.process_time() - began, (_kib("VmHWM") - before) / 1024, found


def _kib(key: str) -> int:
    found = re.search(rf"{key}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1])


def main() -> None:
    """Print both ways and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=5)
    parser.add_argument("--base", type=int, default=8, help="features at full resolution")
    given = parser.parse_args()
    set_threads(1)
    members = networks(given.members, given.base)
    image = np.random.default_rng(0).normal(size=(1, *SHAPE)).astype(np.float32)
    ways = {"one by one": in_turn, "side by side": side_by_side}
    runs = [
        {n: measured(lambda w=w: w(members, image)) for n, w in ways.items()} for _ in range(ROUNDS)
    ]
    for name in ways:
        seconds, mib, _ = min((run[name] for run in runs), key=lambda run: run[0])
        print(f"{name:14} {seconds:7.2f} CPU s  {mib:7.0f} MiB")
    ratios = sorted(run["one by one"][0] / run["side by side"][0] for run in runs)
    first, second = (runs[0][name][2].mean_probs for name in ways)
    print(
        f"one by one takes {ratios[len(ratios) // 2]:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) of "
        f"the other's time; probabilities differ by {float((first - second).abs().max()):.1e}"
    )


if __name__ == "__main__":
    main()
