"""How long a report on a thousand trajectories takes, and how large its page is.

    python benchmarks/report.py [TRAJECTORIES]

Synthetic records of 24 settings, 9 strategies and 5 loops; CPU seconds, which a busy machine leaves
alone.
"""

import sys
import tempfile
import time
from pathlib import Path

from alsweep.report import write_report
from alsweep.testing.runs import write_run

STRATEGIES = {
    "random": 0.35,
    "random_fg33": 0.45,
    "random_fg66": 0.6,
    "predictive_entropy": 0.5,
    "bald": 0.48,
    "power_bald": 0.55,
    "power_pe": 0.56,
    "clasp_pe": 0.62,
    "softrank_bald": 0.5,
}
SETTINGS, LOOPS = 24, 5


def main() -> None:
    """Print CPU seconds and sizes; exit 1 where a bound is passed."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    seeds = range(max(1, round(wanted / SETTINGS / len(STRATEGIES))))
    sizes = [(8 + i % 6, 8 + i // 6, 8) for i in range(SETTINGS)]
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        ids = write_run(run, strategies=STRATEGIES, seeds=seeds, loops=LOOPS, patch_sizes=sizes)
        start = time.process_time()
        page = write_report([run])
        seconds = time.process_time() - start
        size = page.stat().st_size / 2**20
        beside = sum(path.stat().st_size for path in page.parent.iterdir()) / 2**20 - size
    print(f"{len(ids)} trajectories: {seconds:.1f} s CPU, page {size:.1f} MiB, {beside:.1f} beside")
    if wanted <= 1000 and (seconds > 60 or size > 30):
        sys.exit("more than 60 s or 30 MiB")


if __name__ == "__main__":
    main()
