"""How long `alsweep sync` takes for a run of hundreds of trajectories.

    python benchmarks/wandb_sync.py [TRAJECTORIES]

Against a server on loopback that answers at once: what is left is the client's own time, which a
real network only adds to. First all is new; then one loop of one trajectory is; then nothing.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
STRATEGIES = {"random": 0.35, "random_fg66": 0.6, "predictive_entropy": 0.5, "power_bald": 0.55}


def main() -> None:
    """Print seconds of each sync."""
    sys.path.insert(0, str(ROOT))  # the server is that of the tests
    from alsweep.testing.runs import write_run
    from tests.tracking.wandb_server import KEY, serve

    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as folder, serve() as server:
        for name in ("CONFIG", "CACHE", "DATA"):
            os.environ[f"WANDB_{name}_DIR"] = f"{folder}/home"
        os.environ |= {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY, "WANDB_SILENT": "true"}
        run = Path(folder) / "run"
        ids = write_run(run, strategies=STRATEGIES, seeds=range(max(1, wanted // 4)), loops=5)
        record = run / "trajectories" / ids[0] / "records" / "loop_004.json"
        held = record.read_bytes()
        record.unlink()
        timed(run, f"{len(ids)} new trajectories")
        record.write_bytes(held)
        timed(run, "one loop more")
        timed(run, "nothing new")
        mine = [one for one in server.runs.values() if one.fields["jobType"] == "trajectory"]
        if any(one.steps != [0, 1, 2, 3, 4] for one in mine) or len(mine) != len(ids):
            sys.exit("some steps are missing, or there twice")


def timed(run: Path, what: str) -> None:
    """Sync once and say how long it took."""
    from alsweep.config.sweep import WandbConfig
    from alsweep.sweep.syncing import sync_run

    wall, cpu = time.perf_counter(), time.process_time()
    done = sync_run(run, WandbConfig(project="al"), lambda _: None)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{what}: {done.sent} sent, {wall:.1f} s, {cpu:.1f} s CPU of this process", flush=True)


if __name__ == "__main__":
    main()
