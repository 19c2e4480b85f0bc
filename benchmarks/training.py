"""A training step: which ways to compute it are faster, and where its time goes.

    python benchmarks/training.py [--rounds N] [--iterations N] [--skip-compile]
                                  [--only cpu|cuda|options]

On a CPU, first ratios: networks of 8 and 16 base features, windows of 32x32x32, batch 2, the same
step in fp32, bf16 (where the CPU has it), channels_last_3d (which training uses there), with an
optimizer that takes all tensors at once ("foreach") or in one kernel ("fused"), and torch.compile,
taking turns in one process, so that a busy machine slows all of them. Below 1 is faster than fp32;
"=" where the weights have the same bits. Then the shares of a real training's parts, with and
without augmentation, which bound what can be gained outside forward and backward, and what a window
takes in inference, one, two and four at a time. One thread; seconds are the process's own, without
those in which others had the core.

With `--only options` instead: the CPU seconds of a whole training with each option at its defaults,
divided by those without any, the trainings taking turns; and of a step of pretraining.

Where there is a CUDA device the same ratios on it, of a small network and of nnU-Net's features and
windows of 128x128x128, also for cuDNN's own choice of algorithms, which would not repeat itself bit
for bit; all others are deterministic, compiled steps too. Then the milliseconds that a step of a
real training takes in fp16 with processes that make batches beside it (`resources.loaders`), as
they are and compiled, and the shares of its parts, each of which is waited for.

Lines that begin with "summary:" are those for a table.
"""

import argparse
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
from torch import nn

from alsweep import Dataset, PartialLabels, Patch
from alsweep.config.augmentation import AUGMENTATIONS, AugmentationConfig
from alsweep.config.trajectory import TrainingConfig
from alsweep.data.annotator import Oracle
from alsweep.data.patches import PatchSampler
from alsweep.data.phantom import write_phantom
from alsweep.geometry import Triple
from alsweep.model import loading, trainer
from alsweep.model.augment import Augmentation
from alsweep.model.compiling import compile_network
from alsweep.model.device import Compute, _cpu_has_bf16, set_threads
from alsweep.model.inference import Tiling, predict
from alsweep.model.learner import Setup, TrainingData
from alsweep.model.monai_learner import MonaiLearner
from alsweep.model.objective import Objective
from alsweep.model.options.base import kinds as options
from alsweep.model.options.learner import OwnLearner
from alsweep.model.options.positional_contrastive import PositionalContrastive
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


Step = Callable[[], dict[str, torch.Tensor]]


def step_with(
    setup: Setup, compute: Compute, batch: tuple[torch.Tensor, torch.Tensor], way: str
) -> Step:
    """One training step, computed in one way; gives the weights after it."""
    network = MonaiLearner().network(setup, 0).train()
    if way.endswith("channels_last_3d"):
        trainer._set_layout(network, torch.channels_last_3d)
    optimizer, schedule, _ = trainer._optimizer(network, setup.training)
    for group in optimizer.param_groups:
        # None is torch's own choice, which is "foreach" on a card.
        group |= {name: way.endswith(name) or None for name in ("fused", "foreach")}
    scaler = torch.GradScaler(compute.device.type, enabled=compute.scales_loss)
    objective = Objective(replace(setup, compute=compute))
    course = trainer._TrainingState(network, optimizer, schedule, scaler, objective)
    # As in trainings: its algorithms are none that the clock chose.
    ran = compile_network(network) if way.endswith("compile") else network

    def step() -> dict[str, torch.Tensor]:
        torch.backends.cudnn.benchmark = way.endswith("cuDNN's choice")
        torch.backends.cudnn.deterministic = not torch.backends.cudnn.benchmark
        trainer._step(ran, batch, course, setup.training.gradient_clip)
        return network.state_dict()

    return step


def ways_on(device: torch.device, args: argparse.Namespace) -> dict[str, Compute]:
    """What is compared; the first is what all others are divided by."""
    if device.type == "cpu":
        others = ("channels_last_3d", "foreach", "fused", "compile")
        ways = {"fp32": FP32, "bf16": BF16} | dict.fromkeys(others, FP32)
        if not _cpu_has_bf16():
            del ways["bf16"]
    else:
        fp32, fp16, bf16 = (Compute(device, p) for p in ("fp32", "fp16", "bf16"))
        others = ("channels_last_3d", "compile", "cuDNN's choice", "fused")
        ways = {"fp32": fp32, "fp16": fp16, "bf16": bf16}
        ways |= {f"fp16 {w}": fp16 for w in others}
    return {w: c for w, c in ways.items() if not (args.skip_compile and w.endswith("compile"))}


def compare(
    setup: Setup, batch: tuple[torch.Tensor, torch.Tensor], args: argparse.Namespace
) -> None:
    """Print the seconds of a step in fp32 and the ratios of the other ways."""
    ways = ways_on(setup.compute.device, args)
    steps = {way: step_with(setup, compute, batch, way) for way, compute in ways.items()}
    for way, step in steps.items():
        began = time.perf_counter()
        step()
        if way.endswith("compile"):
            print(f"{way}: {time.perf_counter() - began:.0f} s for the first step", flush=True)
    clock = time.process_time if setup.compute.device.type == "cpu" else synchronised
    rounds = [
        {way: seconds(step, clock) for way, step in steps.items()} for _ in range(args.rounds)
    ]
    # All have done as many steps: those with equal bits have equal weights.
    weights = {way: step() for way, step in steps.items()}
    base = setup.training.features[0]
    each = median(one["fp32"] for one in rounds) * 1000
    print(f"summary: {base} features: fp32 {each:.1f} ms a step", end="")
    for way in list(ways)[1:]:
        ratios = sorted(one[way] / one["fp32"] for one in rounds)
        same = "=" * _same(weights[way], weights["fp16" if way.startswith("fp16 ") else "fp32"])
        print(f"; {way} {median(ratios):.2f}{same} ({ratios[0]:.2f} to {ratios[-1]:.2f})", end="")
    print(flush=True)


def _same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def synchronised() -> float:
    """The time when the card has done all that it was given."""
    torch.cuda.synchronize()
    return time.perf_counter()


def seconds(step: Step, clock: Callable[[], float]) -> float:
    """Mean of a few steps."""
    began = clock()
    for _ in range(STEPS):
        step()
    return (clock() - began) / STEPS


def load_beside(setup: Setup, training_data: TrainingData, counts: Sequence[int]) -> None:
    """Print the milliseconds of a step with so many processes that make batches beside it."""
    how = ", compiled" * setup.training.compile
    how += ", nnU-Net's augmentations" * (setup.training.augmentation.rotation > 0)
    print(
        f"summary: {setup.training.features[0]} features in {setup.compute.precision}{how}, "
        "ms a step with so many loaders:",
        end="",
    )
    for loaders in counts:
        compute = replace(setup.compute, loaders=loaders)
        began: list[float] = []
        MonaiLearner().fit(
            MonaiLearner().network(setup, 0),
            replace(setup, compute=compute),
            training_data,
            lambda epoch, began=began: began.append(time.perf_counter()),  # type: ignore[misc]
            TrainingFile(Path("never"), 1e9),
        )
        # The first epoch holds the start of the processes.
        spent = (began[-1] - began[0]) / (len(began) - 1) / setup.training.iterations_per_epoch
        print(f" {loaders}: {spent * 1000:.0f}", end="", flush=True)
    print()


@contextmanager
def timers(parts: dict[str, float], clock: Callable[[], float]) -> Iterator[None]:
    """Add up the seconds that the parts of a training take, each without what is inside another.

    Processes that make batches are forks, which must not ask a card for the time: what they do is
    not counted, but that the training waits for them, and copies.
    """
    timed = [
        ("draw", PatchSampler, "batch"),
        ("augment", Augmentation, "__call__"),
        ("wait and copy", loading._Loader, "next"),
        ("forward and loss", nn.Module, "__call__"),
        ("backward", torch.Tensor, "backward"),
        ("clip", nn.utils, "clip_grad_norm_"),
        ("optimizer", torch.GradScaler, "step"),
    ]
    begun = _Begun(os.getpid(), clock)
    with ExitStack() as stack:
        for name, owner, attribute in timed:
            counted = begun.around(getattr(owner, attribute), parts, name)
            stack.enter_context(patch.object(owner, attribute, counted))
        yield


@dataclass
class _Begun:
    """Whether something is being counted; a network's modules call one another."""

    process: int
    clock: Callable[[], float]
    depth: int = 0

    def around(
        self, original: Callable[..., Any], parts: dict[str, float], name: str
    ) -> Callable[..., Any]:
        """The same function, counted."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            if self.depth or os.getpid() != self.process:
                return original(*args, **kwargs)
            self.depth += 1
            began = self.clock()
            try:
                return original(*args, **kwargs)
            finally:
                self.depth -= 1
                parts[name] += self.clock() - began

        return timed


def profile(setup: Setup, training_data: TrainingData, title: str) -> None:
    """Print where the time of a real training goes, its first epoch apart."""
    parts: dict[str, float] = defaultdict(float)
    clock = time.process_time if setup.compute.device.type == "cpu" else synchronised
    ended: list[float] = []

    def on_epoch(epochs: int) -> None:
        if epochs == 1:
            # All is warm, and who makes batches has come up.
            parts.clear()
        ended.append(clock())

    learner = MonaiLearner()
    with timers(parts, clock):
        network = learner.network(setup, 0)
        learner.fit(network, setup, training_data, on_epoch, TrainingFile(Path("never"), 1e9))
    total = ended[-1] - ended[0]
    parts["rest"] = total - sum(parts.values())
    inside = sum(parts[name] for name in ("forward and loss", "backward", "optimizer"))
    shares = ", ".join(f"{name} {100 * spent / total:.1f} %" for name, spent in parts.items())
    outside = 100 * (1 - inside / total)
    print(f"summary: {title}: {outside:.1f} % outside forward, backward, optimizer; {shares}")


def infer(setup: Setup, dataset: Dataset) -> None:
    """Print what a window takes in inference, by how many are computed at a time."""
    clock = time.process_time if setup.compute.device.type == "cpu" else synchronised
    network, case = MonaiLearner().network(setup, 0).eval(), dataset.pool[0]
    tiling = Tiling(setup.topology.window, 0.5, (), setup.compute, outputs=setup.outputs)
    windows = tiling.lattice(dataset.cases[case].shape).windows
    told = []
    for at_once in (1, 2, 4):
        with patch.object(Tiling, "windows_at_once", lambda self, shape, n=at_once: n):
            predict([network], dataset.image(case), tiling)  # warm
            began = clock()
            predict([network], dataset.image(case), tiling)
            told.append(f"{at_once}: {1000 * (clock() - began) / windows:.1f}")
    usual = tiling.windows_at_once(dataset.cases[case].shape)
    print(
        f"summary: {setup.training.features[0]} features, ms a window in inference by how many at "
        f"a time {', '.join(told)}; {usual} is ours",
        flush=True,
    )


def recipe_of(setup: Setup, **changes: Any) -> Setup:
    """With some fields of the training changed."""
    return replace(setup, training=setup.training.model_copy(update=changes))


def on_cpu(scratch: Path, args: argparse.Namespace) -> None:
    """Ratios, then shares."""
    set_threads(1)
    dataset = write_phantom(scratch / "data", cases=8, shape=(48, 48, 48), seed=0)
    training_data = annotate(dataset, (14, 14, 14))
    for base in (8, 16):
        setup = make_setup(dataset, base)
        sampler = PatchSampler(
            dataset, training_data.labels, training_data.cases, (32, 32, 32), 0.5
        )
        images, targets = sampler.batch(stream(0, "batch"), 2)
        compare(setup, (torch.from_numpy(images), torch.from_numpy(targets)), args)
    for base, augmentation in ((8, "none"), (16, "none"), (16, "nnunet")):
        long = {
            "epochs": 2,
            "iterations_per_epoch": args.iterations,
            "augmentation": augmentation,
        }
        title = f"{base} features, augmentation {augmentation}"
        setup = make_setup(dataset, base, **long)
        profile(setup, training_data, title)
    beside = replace(setup, compute=replace(FP32, loaders=1))
    profile(beside, training_data, f"{title}, made by another process")
    infer(make_setup(dataset, 8), dataset)


def on_cuda(scratch: Path, args: argparse.Namespace) -> None:
    """Ratios, then loaders."""
    cpus = len(os.sched_getaffinity(0))
    set_threads(cpus)
    device = torch.device("cuda")
    print(torch.cuda.get_device_name(device), f"torch {torch.__version__}, {cpus} CPUs", flush=True)
    dataset = write_phantom(scratch / "large", cases=4, shape=(160, 160, 160), seed=0)
    training_data = annotate(dataset, (60, 60, 60))
    recipe: dict[str, Any] = {
        "preset": "nnunet",
        "patch_size": [128, 128, 128],
        "features": [32, 64, 128, 256, 320, 320],
        "epochs": 2,
        "iterations_per_epoch": 10,
        "augmentation": "none",
    }
    config = TrainingConfig.model_validate(recipe)
    setup = Setup.make(dataset, config, Compute(device, "fp16"), 0)
    sampler = PatchSampler(
        dataset, training_data.labels, training_data.cases, setup.topology.window, 0.33
    )
    images, targets = sampler.batch(stream(0, "batch"), 2)
    batch = torch.from_numpy(images).to(device), torch.from_numpy(targets).to(device)
    small = replace(make_setup(dataset, 8), compute=setup.compute)
    some = min(4, cpus)
    load_beside(setup, training_data, (0, some, cpus))
    nnunet = AugmentationConfig.model_validate(AUGMENTATIONS["nnunet"])
    load_beside(recipe_of(setup, augmentation=nnunet), training_data, (cpus,))
    loaded = replace(setup.compute, loaders=some)
    for base in (8, 16):
        long = make_setup(dataset, base, epochs=2, iterations_per_epoch=args.iterations)
        profile(replace(long, compute=loaded), training_data, f"{base} features")
    profile(replace(setup, compute=loaded), training_data, "nnU-Net's features")
    infer(setup, dataset)
    # What is compiled comes last: it may take a minute each.
    compare(small, tuple(one[..., :32, :32, :32].contiguous() for one in batch), args)  # type: ignore[arg-type]
    compare(setup, batch, args)
    set_threads(cpus)
    if not args.skip_compile:
        load_beside(recipe_of(setup, compile=True), training_data, (some,))


def with_options(scratch: Path, rounds: int) -> None:
    """Print what learning without labels adds to a training of the demo's size."""
    set_threads(1)
    dataset = write_phantom(scratch / "data", cases=16, shape=(28, 28, 28), seed=0)
    training_data = annotate(dataset, (4, 4, 4))
    recipe = {"epochs": 1, "iterations_per_epoch": 30, "patch_size": (24, 24, 24), "batch_size": 3}
    kinds = ("none", *(kind for kind in options("semi_supervised") if kind != "none"))
    setups = {
        kind: Setup.make(
            dataset, TrainingConfig.model_validate({**recipe, "semi_supervised": kind}), FP32, 0
        )
        for kind in kinds
    }
    spent = [{kind: _spent(setups[kind], training_data) for kind in kinds} for _ in range(rounds)]
    print(f"none: {median(one['none'] for one in spent) / 30 * 1000:.0f} ms an iteration", end="")
    for kind in kinds[1:]:
        ratios = sorted(one[kind] / one["none"] for one in spent)
        print(f"; {kind} {median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})", end="")
    began = time.process_time()
    part = PositionalContrastive(epochs=1)
    network = OwnLearner().network(setups["none"], 0)
    part.fit(network, setups["none"], lambda epoch: None, TrainingFile(scratch / "p.pt", 1e9))
    each = (time.process_time() - began) / part.steps
    print(f"; a step of positional_contrastive on {len(dataset.pool)} cases {each * 1000:.0f} ms")


def _spent(setup: Setup, training_data: TrainingData) -> float:
    learner, began = OwnLearner(), time.process_time()
    checkpoint = TrainingFile(Path("never"), 1e9)
    learner.fit(learner.network(setup, 0), setup, training_data, lambda epoch: None, checkpoint)
    return time.process_time() - began


def main() -> None:
    """Print what there is a device for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--skip-compile", action="store_true")
    parser.add_argument("--iterations", type=int, default=40, help="of the training that is timed")
    parser.add_argument("--only", choices=["cpu", "cuda", "options"])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if args.only == "options":
            with_options(Path(scratch), args.rounds)
            return
        if args.only != "cuda":
            on_cpu(Path(scratch), args)
        if args.only != "cpu" and torch.cuda.is_available():
            on_cuda(Path(scratch), args)


def annotate(dataset: Dataset, corner: Triple) -> TrainingData:
    """One box a case."""
    shapes = {case: dataset.cases[case].shape for case in dataset.pool}
    patches = [Patch(case, corner, (20, 20, 20)) for case in dataset.pool]
    labels = PartialLabels(shapes, len(dataset.classes), Oracle(dataset), patches)
    return TrainingData(0, labels, dataset.pool)


if __name__ == "__main__":
    main()
