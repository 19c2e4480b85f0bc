"""A training step on the CPU: which ways to compute it are faster, and where its time goes.

    python benchmarks/training.py [--rounds N] [--skip-compile]

First ratios: networks of 8 and 16 base features, windows of 32x32x32, batch 2, the same step in
fp32, bf16 (where the CPU has it), channels_last_3d (which training uses) and torch.compile, taking
turns in one process, so that a busy machine slows all of them. Below 1 is faster than fp32. Then
the share of a real training, 16 base features too, that is not in forward, backward or optimizer,
with and without augmentation. One thread; seconds are the process's own, without those in which
others had the core.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
from torch import nn

from alsweep import Dataset, PartialLabels, Patch
from alsweep.config.trajectory import TrainingConfig
from alsweep.data.annotator import Oracle
from alsweep.data.patches import PatchSampler
from alsweep.data.phantom import write_phantom
from alsweep.model import trainer
from alsweep.model.augment import Augmentation
from alsweep.model.device import Compute, _cpu_has_bf16, set_threads
from alsweep.model.learner import Lesson, Setup
from alsweep.model.monai_learner import MonaiLearner
from alsweep.model.resuming import TrainingFile
from alsweep.rng import stream

FP32 = Compute(torch.device("cpu"), "fp32")
BF16 = Compute(torch.device("cpu"), "bf16")
STEPS = 3


def make_setup(dataset: Dataset, base: int, **training: Any) -> Setup:
    """A three-level network with so many features at full resolution."""
    features = [base, 2 * base, 4 * base]
    config = TrainingConfig.model_validate({"features": features, **training})
    return Setup.make(dataset, config, FP32, 0)


def step_with(
    setup: Setup, compute: Compute, batch: tuple[torch.Tensor, torch.Tensor], way: str
) -> Callable[[], object]:
    """One training step, computed in one way."""
    network = MonaiLearner().network(setup, 0).train()
    images, targets = batch
    if way == "channels_last_3d":
        trainer._set_layout(network, torch.channels_last_3d)
    optimizer, _, _ = trainer._optimizer(network, setup.training)
    scaler = torch.GradScaler("cpu", enabled=False)
    ran: nn.Module = torch.compile(network) if way == "compile" else network
    return partial(
        trainer._step,
        ran,
        images,
        targets,
        optimizer,
        scaler,
        setup.training,
        compute,
        trainer.deep_supervision_loss,
    )


def compare(
    setup: Setup, batch: tuple[torch.Tensor, torch.Tensor], args: argparse.Namespace
) -> None:
    """Print the seconds of a step in fp32 and the ratios of the other ways."""
    ways = {"fp32": FP32, "bf16": BF16, "channels_last_3d": FP32, "compile": FP32}
    if args.skip_compile:
        del ways["compile"]
    if not _cpu_has_bf16():
        del ways["bf16"]
    steps = {way: step_with(setup, compute, batch, way) for way, compute in ways.items()}
    for step in steps.values():
        step()
    rounds = [{way: seconds(step) for way, step in steps.items()} for _ in range(args.rounds)]
    base = setup.training.features[0]
    print(
        f"base {base:3}: fp32 {median(one['fp32'] for one in rounds) * 1000:6.0f} ms a step", end=""
    )
    for way in list(ways)[1:]:
        ratios = sorted(one[way] / one["fp32"] for one in rounds)
        print(f"; {way} {median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})", end="")
    print(flush=True)


def seconds(step: Callable[[], object]) -> float:
    """Mean of a few steps."""
    began = time.process_time()
    for _ in range(STEPS):
        step()
    return (time.process_time() - began) / STEPS


@contextmanager
def timers(parts: dict[str, float]) -> Iterator[None]:
    """Add up the seconds that the parts of a training take."""
    timed = [
        ("draw", PatchSampler, "batch"),
        ("augment", Augmentation, "__call__"),
        ("forward", nn.Module, "__call__"),
        ("loss", trainer, "deep_supervision_loss"),
        ("backward", torch.Tensor, "backward"),
        ("clip", nn.utils, "clip_grad_norm_"),
        ("optimizer", torch.GradScaler, "step"),
    ]
    with ExitStack() as stack:
        for name, owner, attribute in timed:
            stack.enter_context(
                patch.object(owner, attribute, _timed(owner, attribute, name, parts))
            )
        yield


def _timed(owner: Any, attribute: str, name: str, parts: dict[str, float]) -> Callable[..., Any]:
    original, depth = getattr(owner, attribute), [0]

    def timed(*args: Any, **kwargs: Any) -> Any:
        depth[0] += 1
        began = time.process_time()
        try:
            return original(*args, **kwargs)
        finally:
            depth[0] -= 1
            if depth[0] == 0:  # a network's modules call one another
                parts[name] += time.process_time() - began

    return timed


def profile(setup: Setup, lesson: Lesson, title: str) -> None:
    """Print where the time of a real training goes."""
    parts: dict[str, float] = defaultdict(float)
    learner = MonaiLearner()
    network = learner.network(setup, 0)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = TrainingFile(Path(folder) / "k.pt", 5)
        learner.fit(network, _short(setup, 3), lesson, lambda epoch: None, checkpoint)  # warm
        began = time.process_time()
        with timers(parts):
            learner.fit(network, setup, lesson, lambda epoch: None, checkpoint)
        total = time.process_time() - began
    parts["rest"] = total - sum(parts.values())
    inside = sum(parts[name] for name in ("forward", "backward", "optimizer"))
    print(
        f"{title}: {100 * (1 - inside / total):.1f} % outside forward, backward, optimizer; ",
        end="",
    )
    print(", ".join(f"{name} {100 * spent / total:.1f} %" for name, spent in parts.items()))


def _short(setup: Setup, iterations: int) -> Setup:
    update = {"iterations_per_epoch": iterations, "epochs": 1}
    return Setup.make(setup.dataset, setup.training.model_copy(update=update), FP32, 0)


def main() -> None:
    """Print the ratios, then the shares."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--skip-compile", action="store_true")
    args = parser.parse_args()
    set_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        dataset = write_phantom(Path(scratch) / "data", cases=8, shape=(48, 48, 48), seed=0)
        lesson = annotate(dataset)
        for base in (8, 16):
            setup = make_setup(dataset, base)
            sampler = PatchSampler(dataset, lesson.labels, lesson.cases, (32, 32, 32), 0.5)
            images, targets = sampler.batch(stream(0, "batch"), 2)
            compare(setup, (torch.from_numpy(images), torch.from_numpy(targets)), args)
        for augmentation in ("none", "nnunet"):
            long = {"epochs": 1, "iterations_per_epoch": 40, "augmentation": augmentation}
            profile(make_setup(dataset, 16, **long), lesson, f"augmentation {augmentation}")


def annotate(dataset: Dataset) -> Lesson:
    """One box a case."""
    shapes = {case: dataset.cases[case].shape for case in dataset.pool}
    patches = [Patch(case, (14, 14, 14), (20, 20, 20)) for case in dataset.pool]
    labels = PartialLabels(shapes, len(dataset.classes), Oracle(dataset), patches)
    return Lesson(0, labels, dataset.pool)


if __name__ == "__main__":
    main()
