"""Partial labels over five loops: the query log and its Zarr view, against rewriting label maps.

    python benchmarks/labels.py [--cases 50] [--patches 500] [--measured 2]

AMOS-like: 50 volumes of 128x256x256, 15 organs, 500 patches of 32x74x74 over five loops, 100 a loop
at random places. Ours is what a trajectory writes: the query file, then labels.zarr for the cases
that the loop touched. The peer's way, written plainly: the label map of each touched case is
written anew as nii.gz, and the case is preprocessed again (read, crop to nonzero, normalise,
[resample], find the voxels of each class, compress, unpack). The peer's seconds and bytes a case
are measured on the first --measured touched cases of each loop and multiplied by the number of
touched cases; ours are measured whole. Resampling is shown apart, since a peer that resampled
beforehand is spared it.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import nibabel
import numpy as np
from scipy import ndimage

from alsweep import PartialLabels, Patch
from alsweep.geometry import QueriedPatch
from alsweep.layout import query_path
from alsweep.results.loops import write_query
from alsweep.rng import stream

SHAPE, BOX, CLASSES, LOOPS = (128, 256, 256), (32, 74, 74), 16, 5
SPACING, TARGET = (2.0, 0.75, 0.75), (1.8, 0.68, 0.68)
NAMES = ("background", *(f"organ {i}" for i in range(1, CLASSES)))


def organs() -> np.ndarray:
    """Fifteen smooth organs in a body, uint8."""
    rng = stream(0, "organs")
    grid = np.meshgrid(*[np.linspace(-1, 1, n, dtype=np.float32) for n in SHAPE], indexing="ij")
    labels = np.zeros(SHAPE, np.uint8)
    for label in range(1, CLASSES):
        middle, radii = rng.uniform(-0.5, 0.5, 3), rng.uniform(0.08, 0.3, 3)
        distance = sum(((g - m) / r) ** 2 for g, m, r in zip(grid, middle, radii, strict=True))
        labels[distance < 1] = label
    return labels


class Lookup:
    """An annotator with the same labels for every case, turned by the case's number."""

    def __init__(self, labels: np.ndarray) -> None:
        self.labels = labels

    def reveal(self, case: str, start: tuple[int, ...], size: tuple[int, ...]) -> np.ndarray:
        """Labels of the box."""
        box = tuple(slice(a, a + s) for a, s in zip(start, size, strict=True))
        return np.ascontiguousarray(np.roll(self.labels, 7 * int(case), axis=1)[box])


def draw(cases: list[str], count: int) -> list[Patch]:
    """Random patches that do not overlap."""
    rng, chosen = stream(0, "patches"), []
    while len(chosen) < count:
        start = [int(rng.integers(n - b + 1)) for n, b in zip(SHAPE, BOX, strict=True)]
        patch = Patch(str(rng.choice(cases)), (start[0], start[1], start[2]), BOX)
        if not any(patch.intersects(other) for other in chosen):
            chosen.append(patch)
    return chosen


@dataclass
class Cost:
    """Seconds and bytes by what they were spent on."""

    seconds: dict[str, float] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)

    def add(self, what: str, seconds: float, size: int = 0) -> None:
        """Add to what is known."""
        self.seconds[what] = self.seconds.get(what, 0.0) + seconds
        self.bytes[what] = self.bytes.get(what, 0) + size


def ours(folder: Path, loops: list[list[Patch]], labels: np.ndarray) -> Cost:
    """What a trajectory writes."""
    cost, shapes = Cost(), {patch.case: SHAPE for loop in loops for patch in loop}
    store = PartialLabels(shapes, CLASSES, Lookup(labels))
    for index, new in enumerate(loops):
        began = time.perf_counter()
        path = query_path(folder, index)
        write_query(path, index, [QueriedPatch(patch, 0.5) for patch in new])
        cost.add("query log", time.perf_counter() - began, path.stat().st_size)
        store = store.with_patches(new)
        for patch in new:
            store.crop(patch)  # looking up is the oracle's time, not that of the store
        before = {p: p.stat().st_ino for p in folder.rglob("labels.zarr/**/*") if p.is_file()}
        began = time.perf_counter()
        store.write_zarr(folder / "labels.zarr", NAMES, SPACING)
        seconds = time.perf_counter() - began
        files = [p for p in folder.rglob("labels.zarr/**/*") if p.is_file()]
        written = [p for p in files if before.get(p) != p.stat().st_ino]
        cost.add("labels.zarr", seconds, sum(p.stat().st_size for p in written))
    return cost


def timed(cost: Cost, what: str, function: Callable[[], object], *outputs: Path) -> object:
    """Run it, and add its seconds and the bytes of its outputs."""
    began = time.perf_counter()
    answer = function()
    seconds = time.perf_counter() - began
    cost.add(what, seconds, sum(path.stat().st_size for path in outputs))
    return answer


def peer_case(folder: Path, image: Path, labels: np.ndarray) -> Cost:
    """One touched case: its label map, then everything that nnU-Net makes of it."""
    cost, affine = Cost(), np.diag([*SPACING[::-1], 1.0])
    target, packed, unpacked = folder / "label.nii.gz", folder / "case.npz", folder / "case.npy"
    timed(
        cost,
        "label map",
        lambda: nibabel.save(nibabel.Nifti1Image(labels.T, affine), target),
        target,
    )

    def read() -> tuple[np.ndarray, np.ndarray]:
        return tuple(np.asarray(nibabel.load(p).dataobj).T for p in (image, target))

    volume, known = timed(cost, "read", read)

    def normalise() -> np.ndarray:
        inside = ndimage.binary_fill_holes(volume != 0)
        low = [int(a.min()) for a in np.nonzero(inside)]
        high = [int(a.max()) + 1 for a in np.nonzero(inside)]
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        return ((volume[box] - volume[box].mean()) / volume[box].std()).astype(np.float32)

    normal = timed(cost, "crop and normalise", normalise)
    factors = [a / b for a, b in zip(SPACING, TARGET, strict=True)]

    def resample() -> None:
        ndimage.zoom(normal, factors, order=3, mode="nearest", grid_mode=True)
        for label in np.unique(known):
            ndimage.zoom(
                (known == label).astype(np.float32),
                factors,
                order=1,
                mode="nearest",
                grid_mode=True,
            )

    timed(cost, "resample", resample)
    rng = stream(0, "locations")

    def locations() -> None:
        for label in range(CLASSES):
            places = np.argwhere(known == label)
            rng.permutation(places)[:10000]

    timed(cost, "class locations", locations)
    timed(cost, "compress", lambda: np.savez_compressed(packed, data=normal, seg=known), packed)

    def unpack() -> None:
        with np.load(packed) as content:
            np.save(unpacked, content["data"])
            np.save(folder / "seg.npy", content["seg"])

    timed(cost, "unpack", unpack, unpacked)
    cost.add("unpack", 0.0, (folder / "seg.npy").stat().st_size)
    return cost


def peer(folder: Path, loops: list[list[Patch]], labels: np.ndarray, measured: int) -> Cost:
    """The peer's way, scaled from the cases that are measured to those that are touched."""
    rng, total, image = stream(0, "image"), Cost(), folder / "image.nii.gz"
    volume = (rng.normal(size=SHAPE) * 20 + 50 * labels).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(volume.T, np.diag([*SPACING[::-1], 1.0])), image)
    lookup, known = Lookup(labels), {}
    for new in loops:
        touched = sorted({patch.case for patch in new})
        for patch in new:
            known.setdefault(patch.case, []).append(patch)
        for case in touched[:measured]:
            partial = np.full(SHAPE, CLASSES, np.uint8)
            for patch in known[case]:
                partial[patch.slices] = lookup.reveal(case, patch.start, patch.size)
            one = peer_case(folder, image, partial)
            scale = len(touched) / min(measured, len(touched))
            for what, seconds in one.seconds.items():
                total.add(what, scale * seconds, round(scale * one.bytes[what]))
    return total


def show(title: str, cost: Cost) -> tuple[float, int]:
    """Print what was spent; return the sums."""
    print(title)
    for what, seconds in cost.seconds.items():
        print(f"  {what:20} {seconds:10.3f} s {cost.bytes[what] / 1e6:12.3f} MB")
    return sum(cost.seconds.values()), sum(cost.bytes.values())


def main() -> None:
    """Print both ways and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=50)
    parser.add_argument("--patches", type=int, default=500)
    parser.add_argument("--measured", type=int, default=2)
    chosen = parser.parse_args()
    cases = [str(case) for case in range(chosen.cases)]
    patches = draw(cases, chosen.patches)
    loops = [
        patches[i * len(patches) // LOOPS : (i + 1) * len(patches) // LOOPS] for i in range(LOOPS)
    ]
    labels = organs()
    with tempfile.TemporaryDirectory() as folder:
        # The first call pays for imports.
        ours(Path(folder) / "warm", [patches[:1]], labels)
        mine = ours(Path(folder) / "ours", loops, labels)
        theirs = peer(Path(folder), loops, labels, chosen.measured)
    seconds, size = show(f"alsweep, {chosen.patches} patches in {chosen.cases} cases:", mine)
    whole = show("peer:", theirs)
    spared = whole[0] - theirs.seconds["resample"], whole[1]
    for name, (peer_seconds, peer_bytes) in (("with", whole), ("without", spared)):
        print(
            f"ours of the peer's, {name} resampling: {seconds / peer_seconds:.3%} of "
            f"{peer_seconds:.0f} s, {size / peer_bytes:.3%} of {peer_bytes / 1e9:.2f} GB"
        )
    maps = theirs.seconds["label map"], theirs.bytes["label map"]
    print(
        f"ours of the peer's label maps alone: {seconds / maps[0]:.1%} of the seconds, "
        f"{size / maps[1]:.1%} of the bytes"
    )


if __name__ == "__main__":
    main()
