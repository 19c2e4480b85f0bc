"""What a sweep costs beside its learner: seconds, memory and files, with numbers from a table.

    python benchmarks/sweep.py [--trajectories 60] [--loops 5]   # and plain Ray actors beside it
    python benchmarks/sweep.py --real 8                          # one and two trajectories at once

The learner looks a Dice up, so that what is left is what Ray, Tune, new processes, the driver and
the files take. Each part runs in a process of its own with all that it starts, of which another
reads the CPU seconds and the driver's memory ten times a second: other work on the machine makes
the wall clock late, and the CPU seconds hardly. Linux only, with psutil.

With --real small networks are trained instead: one trajectory at a time on all CPUs, and one on
each CPU.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from alsweep import Dataset
from alsweep.config.sweep import ResourcesConfig, SweepConfig
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.data.phantom import write_phantom
from alsweep.geometry import Patch, QueriedPatch
from alsweep.layout import trajectory_folder
from alsweep.results.loops import LoopRecord
from alsweep.results.records import read_records
from alsweep.testing.runs import synthetic_record
from alsweep.trajectory.progress import OnProgress, Progress
from alsweep.trajectory.query_log import QueryLog

SECONDS_BETWEEN = 0.1
STRATEGIES = ("random", "random_fg33", "random_fg66", "predictive_entropy")


@dataclass(frozen=True)
class Looked:
    """A trajectory with the files of a real one, and a Dice that is looked up."""

    config: TrajectoryConfig
    folder: Path
    on_progress: OnProgress

    @property
    def records(self) -> Sequence[LoopRecord]:
        """Of the finished loops."""
        return read_records(self.folder)

    @property
    def finished(self) -> bool:
        """Whether every loop is done."""
        return len(self.records) == self.config.query.loops

    def step(self) -> LoopRecord:
        """Write the next loop's files."""
        loop, log = len(self.records), QueryLog(self.folder)
        if not loop:
            log.claim(self.config)
            log.commit(0, queried(0))
        for phase in ("train", "evaluate", "query"):
            self.on_progress(Progress(loop, phase, 0, 1))
        record = synthetic_record(self.config, loop, 0.5)
        record.write(self.folder)
        if loop + 1 < self.config.query.loops:
            log.commit(loop + 1, queried(loop + 1))
        return record

    def close(self) -> None:
        """Nothing is at work."""


def queried(loop: int) -> list[QueriedPatch]:
    """Twenty patches."""
    return [QueriedPatch(Patch("case_000", (loop, i, 0), (4, 4, 4)), i / 20) for i in range(20)]


@dataclass(frozen=True)
class Table:
    """Makes trajectories that look their numbers up."""

    def trajectory(self, config: TrajectoryConfig, folder: Path, tell: OnProgress) -> Looked:
        """See :class:`~alsweep.sweep.work.Work`."""
        return Looked(config, folder, tell)

    def prepare_start(self, config: TrajectoryConfig, on_progress: OnProgress) -> None:
        """Nothing: a table has no networks to share."""

    def full_data(self, config: TrajectoryConfig, on_progress: OnProgress) -> None:
        """Nothing."""


def space(dataset: Path, count: int, loops: int, **changes: Any) -> SweepConfig:
    """A search space of about ``count`` trajectories, as many as there are whole settings."""
    strategies = STRATEGIES[: min(count, len(STRATEGIES))]
    base = {"query": {"patches": 6, "loops": loops, "patch_size": [4, 4, 4]}}
    raw = {
        "name": "overhead",
        "dataset": dataset,
        "base": base,
        "seeds": tuple(range(count // len(strategies))),
        "grid": {"strategy": strategies},
        "wandb": {"mode": "disabled"},
    }
    return SweepConfig.model_validate(raw | changes)


def real_space(dataset: Path, count: int, cpus: float) -> SweepConfig:
    """Small networks, long enough for a start to be little beside them."""
    base = {
        "query": {"patches": 6, "loops": 3, "patch_size": [8, 8, 8], "stride": 2},
        "training": {"members": 2, "folds": 2, "epochs": 2, "iterations_per_epoch": 60},
    }
    return space(dataset, count, 3, base=base, resources={"cpus": cpus})


def sweep_of_tables(dataset: Path, run: Path, count: int, loops: int) -> None:
    """The product's way: Tune, a driver, and all that it writes but the report."""
    from alsweep.sweep import run_sweep

    outcome = run_sweep(space(dataset, count, loops), run, work=Table(), report=False)
    assert not outcome.failed


def plain_actors(dataset: Path, run: Path, count: int, loops: int) -> None:
    """The same trajectories by one plain Ray actor a CPU: no retries, no status, no table."""
    from alsweep.sweep.environment import prepare_environment

    prepare_environment(ResourcesConfig(), private=True)
    import ray
    from ray.util import ActorPool

    from alsweep.sweep.heartbeat import Heartbeat
    from alsweep.sweep.plan import make_plan
    from alsweep.sweep.ray_session import ray_session

    class Actor:
        def run(self, id_: str, config: TrajectoryConfig) -> int:
            folder = trajectory_folder(run, id_)
            looked = Looked(config, folder, Heartbeat(folder))
            while not looked.finished:
                looked.step()
            return len(looked.records)

    plan = make_plan(space(dataset, count, loops), Dataset.open(dataset))
    with ray_session(ResourcesConfig()):
        actors = [ray.remote(num_cpus=1)(Actor).remote() for _ in range(psutil.cpu_count() or 1)]
        pool = ActorPool(actors)
        for planned in plan.trajectories:
            pool.submit(lambda actor, p: actor.run.remote(p.id, p.config), planned)
        while pool.has_next():
            assert pool.get_next_unordered() == loops


def sweep_for_real(dataset: Path, run: Path, count: int, cpus: int) -> None:
    """Training; ``cpus`` for each worker says how many there are, and how many threads each has."""
    from alsweep.sweep import run_sweep

    outcome = run_sweep(real_space(dataset, count, cpus), run, report=False)
    assert not outcome.failed


PARTS: dict[str, Callable[[Path, Path, int, int], None]] = {
    "sweep": sweep_of_tables,
    "actors": plain_actors,
    "real": sweep_for_real,
}


@dataclass
class Cost:
    """What a part took.

    Attributes:
        wall: Seconds.
        cpu: CPU seconds by kind of process.
        peak: Of the driver, MiB.
        processes: How many of each kind there were.
    """

    wall: float
    cpu: dict[str, float]
    peak: float
    processes: dict[str, int]

    @property
    def all_cpu(self) -> float:
        """CPU seconds of all processes."""
        return sum(self.cpu.values())


def cost_of(part: str, *arguments: object) -> Cost:
    """Run a part in a process of its own and watch all that it starts."""
    began = time.monotonic()
    command = [sys.executable, __file__, "--part", json.dumps([part, *map(str, arguments)])]
    process = subprocess.Popen(command)
    driver = psutil.Process(process.pid)
    seen: dict[tuple[int, float], tuple[str, float]] = {}
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, note(driver, seen))
        time.sleep(SECONDS_BETWEEN)
    wall = time.monotonic() - began
    assert process.returncode == 0
    cpu, count = defaultdict(float), defaultdict(int)
    for kind, seconds in seen.values():
        cpu[kind] += seconds
        count[kind] += 1
    return Cost(wall, dict(cpu), peak, dict(count))


def note(driver: psutil.Process, seen: dict[tuple[int, float], tuple[str, float]]) -> float:
    """Bring the CPU seconds of a process and its children up to date; its memory in MiB."""
    memory = 0.0
    with suppress(psutil.Error):  # it ended meanwhile
        memory = driver.memory_info().rss / 2**20
        for one in (driver, *driver.children(recursive=True)):
            with suppress(psutil.Error), one.oneshot():
                times = one.cpu_times()
                kind = "driver" if one.pid == driver.pid else kind_of(one)
                seen[one.pid, one.create_time()] = (kind, times.user + times.system)
    return memory


def kind_of(process: psutil.Process) -> str:
    """Workers and what Ray keeps beside them."""
    words = " ".join(process.cmdline())
    return "workers" if "default_worker" in words or words.startswith("ray::") else "ray"


def tell(what: str, value: float, unit: str) -> None:
    """Print one figure."""
    print(f"{what:60} {value:10,.3f} {unit}", flush=True)


def tell_cost(name: str, cost: Cost, trajectories: int, loops: int) -> None:
    """Print what a part took, in all and for each trajectory and loop."""
    tell(f"{name}: wall", cost.wall, "s")
    for kind, seconds in sorted(cost.cpu.items()):
        tell(f"{name}: CPU of {kind} ({cost.processes[kind]})", seconds, "s")
    tell(f"{name}: CPU a trajectory", cost.all_cpu / trajectories, "s")
    tell(f"{name}: CPU a loop", 1000 * cost.all_cpu / trajectories / loops, "ms")
    tell(f"{name}: wall a loop", 1000 * cost.wall / trajectories / loops, "ms")
    tell(f"{name}: driver's memory at most", cost.peak, "MiB")


def of_tables(folder: Path, dataset: Path, count: int, loops: int) -> None:
    """A sweep without a learner, its folder, and plain actors that do the same."""
    run = folder / "run"
    ours = cost_of("sweep", dataset, run, count, loops)
    tell_cost("sweep", ours, count, loops)
    tell("files and folders a trajectory", sum(1 for _ in run.rglob("*")) / count, "")
    for words in (["status"], ["status", "--json"]):
        command = [sys.executable, "-m", "alsweep", *words, str(run)]
        began = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        tell(f"alsweep {' '.join(words)}", time.monotonic() - began, "s")
    plain = cost_of("actors", dataset, folder / "plain", count, loops)
    tell_cost("plain actors", plain, count, loops)
    tell("sweep over plain actors, CPU", ours.all_cpu / plain.all_cpu, "")
    tell("sweep over plain actors, wall", ours.wall / plain.wall, "")


def of_training(folder: Path, dataset: Path, count: int) -> None:
    """Throughput of one trajectory at a time, with all threads, and of one a CPU."""
    at_once = psutil.cpu_count() or 1
    costs = {n: cost_of("real", dataset, folder / f"run{n}", count, n) for n in (at_once, 1)}
    for cpus, cost in costs.items():
        tell_cost(f"{at_once // cpus} at once", cost, count, 3)
    tell("throughput, times that of one at once", costs[at_once].wall / costs[1].wall, "")


def main() -> None:
    """Print a line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trajectories", type=int, default=60)
    parser.add_argument("--loops", type=int, default=5)
    parser.add_argument("--real", type=int, default=0, help="trajectories to train instead")
    parser.add_argument("--part", type=json.loads, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.part:
        part, dataset, run, *numbers = chosen.part
        PARTS[part](Path(dataset), Path(run), *map(int, numbers))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        dataset = write_phantom(folder / "dataset", cases=8, shape=(24, 24, 24), seed=3).path
        if chosen.real:
            of_training(folder, dataset, chosen.real)
        else:
            of_tables(folder, dataset, chosen.trajectories, chosen.loops)


if __name__ == "__main__":
    main()
