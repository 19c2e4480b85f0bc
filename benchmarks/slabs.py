"""A case whose probabilities a device cannot hold, predicted and scored in slabs.

    python benchmarks/slabs.py [--device cpu|cuda] [--gib 0.5 1 4 8] [--classes 32] [--members 2]

Networks that were not trained predict one case of noise, and BALD and ClaSP PE query it: first with
as much memory as there is, then with less and less of it allowed (`resources.gpu_memory_gib`). For
each how many slabs there are, how often a window is predicted, seconds of the clock, on a card the
most memory that was held, and whether the query is the same to the last bit.
"""

import argparse
import math
import time
from dataclasses import replace

import numpy as np
import torch

from alsweep.config.trajectory import TrainingConfig
from alsweep.geometry import QueriedPatch, triple
from alsweep.model.device import Compute, set_threads
from alsweep.model.inference import Tiling, predict
from alsweep.model.memory import GIB
from alsweep.model.network import build_network
from alsweep.model.topology import Topology
from alsweep.query import make_strategy
from alsweep.testing.pools import ArrayPool, make_request, make_streams

FEATURES = (8, 16, 32)


def networks(given: argparse.Namespace, device: torch.device) -> list[torch.nn.Module]:
    """Members as they begin, which differ."""
    strides = ((1, 1, 1), (2, 2, 2), (2, 2, 2))
    window = triple((given.window,) * 3)
    training = TrainingConfig(features=FEATURES, patch_size=window)
    topology = Topology(window, strides, ((3, 3, 3),) * 3, FEATURES)
    return [
        build_network(training, topology, 1, given.classes, seed).to(device).eval()
        for seed in range(given.members)
    ]


def ask(
    members: list[torch.nn.Module], image: np.ndarray, tiling: Tiling, strategy: str
) -> tuple[list[QueriedPatch], int]:
    """What is queried, and in how many slabs the case was predicted."""
    made = make_strategy(strategy)
    prediction = predict(members, image, tiling, made.needs)
    classes = tuple(map(str, range(prediction.channels)))
    # The pool asks a prediction for its channels, and need not have the case's ground truth.
    references = {"case": np.broadcast_to(np.uint8(0), prediction.shape)}
    pool = ArrayPool(references, {"case": prediction}, classes=classes)
    box = triple(min(32, n // 2) for n in prediction.shape)
    chosen = made.query(pool, make_request(20, box, strides=(8, 8, 8)), make_streams())
    return list(chosen), len(prediction.slabs)


def main() -> None:
    """Print a line for each strategy and each amount of memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", choices=["cpu", "cuda"])
    parser.add_argument("--shape", type=int, nargs=3, default=[256, 256, 256])
    parser.add_argument("--classes", type=int, default=32)
    parser.add_argument("--members", type=int, default=2)
    parser.add_argument("--window", type=int, default=64)
    parser.add_argument("--gib", type=float, nargs="+", default=[4.0, 2.0])
    given = parser.parse_args()
    set_threads(1)
    device = torch.device(given.device)
    members = networks(given, device)
    image = np.random.default_rng(0).normal(size=(1, *given.shape)).astype(np.float32)
    compute = Compute(device, "fp32" if device.type == "cpu" else "fp16")
    window = triple((given.window,) * 3)
    free = Tiling(window, 0.75, (), compute, outputs=given.classes)
    told = []
    print(
        f"{'strategy':20} {'GiB':>8} {'slabs':>6} {'windows':>8} {'seconds':>8} {'held':>9}  same"
    )
    for strategy in ("mutual_information", "clasp_pe"):
        expected: list[QueriedPatch] | None = None
        alone = 0.0
        for gib in (None, *given.gib):
            allowed = None if gib is None else int(gib * GIB)
            tiling = replace(free, compute=replace(compute, allowed=allowed))
            if device.type == "cuda":
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            began = time.perf_counter()
            found, slabs = ask(members, image, tiling, strategy)
            seconds = time.perf_counter() - began
            expected, alone = expected or found, alone or seconds
            most = -(-given.shape[0] // slabs)
            windows = free.lattice(triple(given.shape)).passes(most)
            held = (
                torch.cuda.max_memory_allocated() / GIB if device.type == "cuda" else float("nan")
            )
            shown = "all" if gib is None else f"{gib:g}"
            print(
                f"{strategy:20} {shown:>8} {slabs:6} {windows:8.2f} {seconds:8.2f} {held:9.2f}  "
                f"{found == expected}",
                flush=True,
            )
            how = "" if math.isnan(held) else f" and {held:.1f} GiB held"
            same = "same query" if found == expected else "ANOTHER QUERY"
            told.append(f"{strategy} {shown}: {seconds / alone:.2f} of the time{how}, {same}")
    print(f"summary: within so many GiB {'; '.join(told)}")


if __name__ == "__main__":
    main()
