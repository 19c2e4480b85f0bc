"""Seconds and memory per case of ``alsweep ingest`` on synthetic CT, by number of processes.

    python benchmarks/ingest.py [--cases 4] [--shape 160 384 384] [--out FOLDER]

Half of the cases have thicker slices than the others, so that they are resampled.
"""

import argparse
import gzip
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np


def write(path: Path, array: np.ndarray, spacing: tuple[float, float, float]) -> None:
    """Write a volume ``(z, y, x)`` as .nii.gz."""
    image = nib.Nifti1Image(array.T, np.diag([*spacing[::-1], 1.0]))
    # As scanners' exports are packed; nibabel's own level 1 would make larger files.
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(image.to_bytes(), 4))


def make_raw(root: Path, cases: int, shape: tuple[int, int, int]) -> None:
    """Write an nnU-Net raw dataset: noisy bodies with a kidney and a tumour."""
    rng = np.random.default_rng(0)
    description = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "kidney": 1, "tumor": 2},
        "numTraining": cases,
        "file_ending": ".nii.gz",
    }
    root.mkdir(parents=True)
    (root / "dataset.json").write_text(json.dumps(description))
    for index in range(cases):
        thick = index % 2 == 0
        size = (shape[0] // (2 if thick else 1), *shape[1:])
        spacing = (4.0 if thick else 2.0, 0.8, 0.8)
        grid = np.meshgrid(*[np.linspace(-1, 1, n) for n in size], indexing="ij", sparse=True)
        labels = np.zeros(size, dtype=np.uint8)
        labels[sum(((g - 0.3) / 0.25) ** 2 for g in grid) < 1] = 1
        labels[sum(((g - 0.35) / 0.08) ** 2 for g in grid) < 1] = 2
        body = sum((g / 0.9) ** 2 for g in grid) < 1
        image = rng.normal(0, 12, size).astype(np.float32) + np.where(body, 40, -1000)
        image += 60 * labels
        write(root / f"imagesTr/case_{index}_0000.nii.gz", image.astype(np.int16), spacing)
        write(root / f"labelsTr/case_{index}.nii.gz", labels, spacing)


CODE = """
import resource, sys
from pathlib import Path
from alsweep.data.ingest.conversion import IngestOptions, ingest
if __name__ == "__main__":
    ingest(Path(sys.argv[1]), Path(sys.argv[2]), IngestOptions(workers=int(sys.argv[3])))
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
"""


def main() -> None:
    """Print one line per number of processes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=4)
    parser.add_argument("--shape", type=int, nargs=3, default=(160, 384, 384))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--workers", type=int, nargs="+", default=(1, 2))
    options = parser.parse_args()
    place = Path(tempfile.mkdtemp(dir=options.out))
    make_raw(place / "raw", options.cases, tuple(options.shape))
    script = place / "one.py"
    script.write_text(CODE)
    voxels = np.prod(options.shape)
    for workers in options.workers:
        out = place / f"out{workers}"
        begun = time.perf_counter()
        command = [sys.executable, script, place / "raw", out, str(workers)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds = time.perf_counter() - begun
        peak = int(done.stdout) * 1024
        print(
            f"{workers} processes: {seconds:.1f} s, {seconds / options.cases:.1f} s a case, "
            f"peak {peak / 1e9:.2f} GB a process, {peak / voxels:.0f} bytes a voxel"
        )
        shutil.rmtree(out)
    shutil.rmtree(place)


if __name__ == "__main__":
    main()
