"""Training patches: ours against MONAI's cached crop by class, on one core, without augmentation.

    python benchmarks/patches.py [--cases N] [--seconds S]

Volumes of 128x160x160, windows of 64x64x64, 20 annotated boxes of 32x32x32 a case. Both ways give
an image and its labels, a third of the windows centred on foreground, none on a voxel that is not
annotated. MONAI holds all volumes and dense label maps in memory (CacheDataset); ours maps the
image files and makes the labels of a window from the boxes. Two MONAI lines: its transform as it
is, which searches the whole label map for every sample, and with the voxels' indices cached too.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from monai.data import CacheDataset
from monai.transforms import Compose, FgBgToIndicesd, MapTransform, RandCropByPosNegLabeld

from alsweep import Dataset, PartialLabels, Patch
from alsweep.data.annotator import Oracle
from alsweep.data.patches import PatchSampler
from alsweep.data.phantom import write_phantom
from alsweep.label_codes import IGNORE
from alsweep.rng import stream

SHAPE, WINDOW, BOX, BOXES, FOREGROUND = (128, 160, 160), (64, 64, 64), (32, 32, 32), 20, 1 / 3

ROUNDS = 5


def annotate(dataset: Dataset) -> PartialLabels:
    """Boxes at random places, with repeats where they fall so."""
    rng = stream(0, "boxes")
    patches = []
    for case in dataset.pool:
        for _ in range(BOXES):
            start = [int(rng.integers(n - b + 1)) for n, b in zip(SHAPE, BOX, strict=True)]
            patches.append(Patch(case, (start[0], start[1], start[2]), BOX))
    shapes = {case: dataset.cases[case].shape for case in dataset.pool}
    return PartialLabels(shapes, len(dataset.classes), Oracle(dataset), patches)


class Masks(MapTransform):
    """What MONAI's crop needs: foreground, and which of the rest may be a centre."""

    def __call__(self, data: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Background is annotated background alone: the image threshold tells it from ignore."""
        out = dict(data)
        out["foreground"] = ((out["label"] > 0) & (out["label"] != IGNORE)).to(torch.uint8)
        out["annotated"] = (out["label"] != IGNORE).to(torch.float32)
        return out


def monai_way(
    dataset: Dataset, labels: PartialLabels, *, indices: bool
) -> Callable[[int], tuple[torch.Tensor, torch.Tensor]]:
    """One sample at a time from a CacheDataset."""
    items = [
        {
            "image": torch.from_numpy(np.array(dataset.image(case))),
            "label": torch.from_numpy(labels.window(case, (0, 0, 0), SHAPE))[None],
        }
        for case in labels.cases
    ]
    prepare: list[MapTransform] = [Masks(["label"])]
    known = {}
    if indices:
        prepare.append(FgBgToIndicesd("foreground", image_key="annotated"))
        known = {
            "fg_indices_key": "foreground_fg_indices",
            "bg_indices_key": "foreground_bg_indices",
        }
    crop = RandCropByPosNegLabeld(
        ["image", "label"],
        label_key="foreground",
        image_key="annotated",
        spatial_size=WINDOW,
        pos=FOREGROUND,
        neg=1 - FOREGROUND,
        **known,
    )
    crop.set_random_state(0)
    cached = CacheDataset(items, Compose([*prepare, crop]), progress=False)
    rng = stream(0, "cases")

    def sample(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        (one,) = cached[int(rng.integers(len(items)))]
        return one["image"], one["label"]

    return sample


def our_way(
    dataset: Dataset, labels: PartialLabels
) -> Callable[[int], tuple[np.ndarray, np.ndarray]]:
    """One sample at a time from the sampler, as a batch of one."""
    sampler = PatchSampler(dataset, labels, labels.cases, WINDOW, FOREGROUND)
    rng = stream(0, "batches")
    return lambda count: sampler.batch(rng, 2)


def rate(sample: Callable[[int], object], per_call: int, seconds: float) -> float:
    """Samples per second of this process's own time, which other programs do not disturb."""
    began, calls = time.process_time(), 0
    while time.process_time() - began < seconds:
        sample(calls)
        calls += 1
    return per_call * calls / (time.process_time() - began)


def main() -> None:
    """Print a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=5.0)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        dataset = write_phantom(Path(folder) / "phantom", cases=chosen.cases, shape=SHAPE)
        labels = annotate(dataset)
        ways = {
            "MONAI RandCropByPosNegLabeld": (monai_way(dataset, labels, indices=False), 1),
            "the same, indices cached": (monai_way(dataset, labels, indices=True), 1),
            "alsweep": (our_way(dataset, labels), 2),
        }
        # In turns, and the middle one counts, so that a noisy neighbour meets all alike.
        rounds = [
            {name: rate(way, n, chosen.seconds / ROUNDS) for name, (way, n) in ways.items()}
            for _ in range(ROUNDS + 1)
        ][1:]
    rates = {name: float(np.median([one[name] for one in rounds])) for name in ways}
    for name, per_second in rates.items():
        print(
            f"{name:30} {1e3 / per_second:8.3f} ms a sample {per_second:8.0f} a second "
            f"{rates['alsweep'] / per_second:7.1f} times slower than alsweep"
        )


if __name__ == "__main__":
    main()
