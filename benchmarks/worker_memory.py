"""Memory of a worker, and what a second trajectory beside it adds; watched from outside.

    python benchmarks/worker_memory.py

RSS counts shared pages in every process; PSS divides them among those that share them, so that
the sum over workers is what the machine really holds. Driver and Ray itself are not counted.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

SPACE = """
name: memory
dataset: {dataset}
base:
  query: {{patches: 6, loops: 3, patch_size: [16, 16, 16], stride: 4}}
  training: {{epochs: 1, iterations_per_epoch: 100, members: 1, ensemble: seeds}}
seeds: [{seeds}]
grid: {{strategy: [predictive_entropy]}}
wandb: {{mode: disabled}}
"""
MIB = 1 << 20


def peak_of_workers(command: list[str]) -> tuple[float, float, int]:
    """Run a command; return peak RSS of one worker, peak PSS of all, most workers at once."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    rss, pss, most = 0.0, 0.0, 0
    while process.poll() is None:
        found = [memory for child in _children(process.pid) if (memory := _memory(child))]
        if found:
            rss = max(rss, *(memory.rss / MIB for memory in found))
            pss = max(pss, sum(memory.pss for memory in found) / MIB)
            most = max(most, len(found))
        time.sleep(0.25)
    if process.returncode:
        sys.exit(f"the sweep ended with {process.returncode}")
    return rss, pss, most


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _memory(process: psutil.Process) -> "psutil._common.pfullmem | None":
    """Memory of a process that is a worker of a trajectory; None for others."""
    try:
        if "Trainable.train" not in " ".join(process.cmdline()):
            return None
        return process.memory_full_info()
    except psutil.Error:
        return None


def main() -> None:
    """Watch one trajectory, then two at once."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        alsweep = [sys.executable, "-m", "alsweep"]
        subprocess.run([*alsweep, "phantom", "--out", root / "data"], check=True)
        print(
            f"{'trajectories':>12} {'at once':>8} {'peak RSS of one':>16} {'peak PSS of all':>16}"
        )
        for seeds in ("0", "0, 1"):
            space = root / f"space-{len(seeds)}.yaml"
            space.write_text(SPACE.format(dataset=root / "data", seeds=seeds))
            out = root / f"run-{len(seeds)}"
            rss, pss, most = peak_of_workers([*alsweep, "run", str(space), "--out", str(out)])
            print(f"{seeds.count(',') + 1:12} {most:8} {rss:12.0f} MiB {pss:12.0f} MiB")


if __name__ == "__main__":
    main()
