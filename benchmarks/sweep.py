"""What a sweep costs beside its learner: seconds, memory and files, with numbers from a table.

    python benchmarks/sweep.py [--trajectories 60 250 1000] [--loops 5] [--plain] [--nodes 3]
    python benchmarks/sweep.py --real 8 [--at-once 1 2] [--threads 1]

The learner looks a Dice up, so that what is left is what Ray, Tune, new processes, the driver and
the files take. Each part runs in a process of its own with all that it starts, of which another
reads the CPU seconds and the memory five times a second: other work on the machine makes the wall
clock late, and the CPU seconds less. The driver says itself what it took from its first loop to its
last, so that what a result costs it stands apart from imports and from starting Ray. With --plain
the same trajectories are made by plain Ray actors, too; with --nodes on a cluster of so many local
nodes of a CPU each. Linux only, with psutil.

With --real small networks are trained instead, so many trajectories at once, each on so many
threads.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

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

SECONDS_BETWEEN = 0.2
SECONDS_BETWEEN_WALKS = 3.0
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

    def repeat_start(self, config: TrajectoryConfig, repeat: int, on_progress: OnProgress) -> None:
        """Nothing."""


def space(dataset: Path, count: int, loops: int, **changes: Any) -> SweepConfig:
    """A search space of ``count`` trajectories, less what is over where strategies share seeds."""
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
        "training": {
            "members": 1,
            "ensemble": "seeds",
            "epochs": 2,
            "iterations_per_epoch": 40,
            "patch_size": [16, 16, 16],
        },
    }
    return space(dataset, count, 3, base=base, resources={"cpus": cpus})


@contextmanager
def local_cluster(nodes: int) -> Iterator[str | None]:
    """The address of a cluster on this machine; None for one node, which a sweep has of itself."""
    if nodes == 1:
        yield None
        return
    from alsweep.sweep.environment import prepare_environment

    prepare_environment(ResourcesConfig(), private=False)
    from ray.cluster_utils import Cluster

    each = {"num_cpus": 1, "object_store_memory": 100_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={**each, "include_dashboard": False})
    try:
        for _ in range(nodes - 1):
            cluster.add_node(**each)
        yield cluster.address
    finally:
        cluster.shutdown()


def sweep_of_tables(dataset: Path, run: Path, count: int, loops: int, nodes: int) -> None:
    """The product's way: Tune, a driver, and all that it writes but the report."""
    from alsweep.sweep import run_sweep

    told: list[tuple[float, float]] = []

    def note_loop(id_: str, record: LoopRecord) -> None:
        told.append((time.monotonic(), time.process_time()))

    wanted = space(dataset, count, loops)
    with local_cluster(nodes) as address:
        outcome = run_sweep(
            wanted, run, work=Table(), report=False, on_loop=note_loop, address=address
        )
    assert not outcome.failed
    assert len(told) == outcome.done * loops
    (wall, cpu), (last_wall, last_cpu) = told[0], told[-1]
    results = len(told) - 1
    # Beside the run, where the other process reads it and no folder of the sweep has it.
    run.with_suffix(".driver.json").write_text(
        json.dumps({"cpu": (last_cpu - cpu) / results, "wall": (last_wall - wall) / results})
    )


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


def sweep_for_real(dataset: Path, run: Path, count: int, at_once: int, threads: int) -> None:
    """Training, on a Ray that is told of as many CPUs as so many workers with so many threads."""
    from alsweep.sweep import run_sweep
    from alsweep.sweep.environment import prepare_environment

    wanted = real_space(dataset, count, threads)
    prepare_environment(wanted.resources, private=True)
    import ray

    ray.init = partial(ray.init, num_cpus=at_once * threads)
    outcome = run_sweep(wanted, run, report=False)
    assert not outcome.failed


PARTS: dict[str, Callable[..., None]] = {
    "sweep": sweep_of_tables,
    "actors": plain_actors,
    "real": sweep_for_real,
}


class Files(NamedTuple):
    """How many, and how large together."""

    count: int
    size: int

    @classmethod
    def in_(cls, *folders: Path) -> Files:
        """Those in some folders, which may change meanwhile."""
        sizes = []
        for place, _, names in chain.from_iterable(map(os.walk, folders)):
            for name in names:
                with suppress(OSError):
                    sizes.append((Path(place) / name).lstat().st_size)
        return cls(len(sizes), sum(sizes))


@dataclass
class Cost:
    """What a part took.

    Attributes:
        wall: Seconds.
        cpu: CPU seconds by kind of process.
        peak: Of the driver, MiB.
        handles: Open files of one process at most, by kind of process.
        session: Files and bytes in Ray's folder shortly before its end.
        processes: How many of each kind there were.
    """

    wall: float
    cpu: dict[str, float]
    peak: float
    handles: dict[str, int]
    processes: dict[str, int]
    session: Files

    @property
    def all_cpu(self) -> float:
        """CPU seconds of all processes."""
        return sum(self.cpu.values())


def cost_of(part: str, *arguments: object) -> Cost:
    """Run a part in a process of its own and watch all that it starts."""
    began = time.monotonic()
    command = [sys.executable, __file__, "--part", json.dumps([part, *map(str, arguments)])]
    # The variable would win over the search space, which mirrors nothing.
    environment = {name: value for name, value in os.environ.items() if name != "WANDB_MODE"}
    process = subprocess.Popen(command, env=environment)
    driver = psutil.Process(process.pid)
    seen: dict[tuple[int, float], tuple[str, float]] = {}
    handles: dict[str, int] = defaultdict(int)
    peak, session, looked = 0.0, Files(0, 0), began
    while process.poll() is None:
        peak = max(peak, note(driver, seen, handles))
        if time.monotonic() - looked > SECONDS_BETWEEN_WALKS:
            session, looked = max(session, files_of_ray(process.pid)), time.monotonic()
        time.sleep(SECONDS_BETWEEN)
    wall = time.monotonic() - began
    assert process.returncode == 0
    cpu, count = defaultdict(float), defaultdict(int)
    for kind, seconds in seen.values():
        cpu[kind] += seconds
        count[kind] += 1
    return Cost(wall, dict(cpu), peak, handles, dict(count), session)


def files_of_ray(driver: int) -> Files:
    """What lies in the folders of Ray's session and of Tune's state that belong to a driver."""
    place = Path(tempfile.gettempdir())
    sessions = [*place.glob(f"ray/session_*_{driver}"), *place.glob("alsweep-tune-*")]
    return Files.in_(*sessions)


def note(
    driver: psutil.Process,
    seen: dict[tuple[int, float], tuple[str, float]],
    handles: dict[str, int],
) -> float:
    """Bring CPU seconds and open files of a process and its children up to date; its memory."""
    memory = 0.0
    with suppress(psutil.Error):  # it ended meanwhile
        memory = driver.memory_info().rss / 2**20
        for one in (driver, *driver.children(recursive=True)):
            with suppress(psutil.Error), one.oneshot():
                times = one.cpu_times()
                kind = "driver" if one.pid == driver.pid else kind_of(one)
                seen[one.pid, one.create_time()] = (kind, times.user + times.system)
                handles[kind] = max(handles[kind], one.num_fds())
    return memory


def kind_of(process: psutil.Process) -> str:
    """Workers and what Ray keeps beside them."""
    program, *rest = process.cmdline() or [""]
    if "Agent" in program or "raylet" in program:
        return "ray"
    worker = program.startswith("ray::") or any(one.endswith("default_worker.py") for one in rest)
    return "workers" if worker else "ray"


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
    for kind, most in sorted(cost.handles.items()):
        tell(f"{name}: open files of one of {kind}, at most", most, "")


def of_tables(folder: Path, dataset: Path, count: int, loops: int, nodes: int, plain: bool) -> None:
    """A sweep without a learner, its folder, and plain actors that do the same."""
    run = folder / f"run{count}"
    print(f"{count} trajectories of {loops} loops")
    ours = cost_of("sweep", dataset, run, count, loops, nodes)
    tell_cost("sweep", ours, count, loops)
    driver = json.loads(run.with_suffix(".driver.json").read_text())
    tell("driver: CPU a result, from the first to the last", 1000 * driver["cpu"], "ms")
    tell("sweep: wall a result, from the first to the last", 1000 * driver["wall"], "ms")
    tell("sweep: trajectories a minute", 60 / loops / driver["wall"], "")
    ours_alone = Files.in_(run)
    for name, found in (("RUN", ours_alone), ("Ray's and Tune's folders", ours.session)):
        tell(f"{name}: files a trajectory", found.count / count, "")
        tell(f"{name}: size a trajectory", found.size / count / 1024, "KiB")
    for words in (["status"], ["status", "--json"]):
        command = [sys.executable, "-m", "alsweep", *words, str(run)]
        began = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        tell(f"alsweep {' '.join(words)}", time.monotonic() - began, "s")
    if plain:
        actors = cost_of("actors", dataset, folder / f"plain{count}", count, loops)
        tell_cost("plain actors", actors, count, loops)
        tell("sweep over plain actors, CPU", ours.all_cpu / actors.all_cpu, "")
        tell("sweep over plain actors, wall", ours.wall / actors.wall, "")


def of_training(folder: Path, dataset: Path, count: int, at_once: int, threads: int) -> None:
    """Throughput of real trainings, and where the wall clock went."""
    run = folder / f"real{at_once}x{threads}"
    began = time.time()
    cost = cost_of("real", dataset, run, count, at_once, threads)
    name = f"{at_once} at once, {threads} threads each"
    tell_cost(name, cost, count, 3)
    times = sorted(times_of_loops(run))
    # Ray, processes and imports come before the first loops; the rate is of what follows them.
    steady = times[at_once - 1 :]
    tell(f"{name}: wall until each worker had a loop", steady[0] - began, "s")
    tell(f"{name}: wall after the last loop", began + cost.wall - steady[-1], "s")
    tell(
        f"{name}: loops an hour in between", 3600 * (len(steady) - 1) / (steady[-1] - steady[0]), ""
    )
    for phase, seconds in sorted(seconds_of_phases(run).items()):
        tell(f"{name}: {phase}, mean of a loop", seconds, "s")


def times_of_loops(run: Path) -> list[float]:
    """When each loop of each trajectory was recorded."""
    return [one.stat().st_mtime for one in run.glob("trajectories/*/records/*.json")]


def seconds_of_phases(run: Path) -> dict[str, float]:
    """Mean wall seconds a loop by phase, over the loops that were trained."""
    records = [one for f in (run / "trajectories").iterdir() for one in read_records(f)]
    seconds: dict[str, float] = defaultdict(float)
    for record in records:
        for phase in ("train", "evaluate", "query"):
            seconds[phase] += getattr(record, f"{phase}_seconds") / len(records)
    return seconds


def main() -> None:
    """Print a line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trajectories", type=int, nargs="+", default=[60])
    parser.add_argument("--loops", type=int, default=5)
    parser.add_argument("--plain", action="store_true", help="plain actors beside the sweep")
    parser.add_argument("--nodes", type=int, default=1, help="of a local cluster, a CPU each")
    parser.add_argument("--real", type=int, default=0, help="trajectories to train instead")
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--threads", type=int, default=1, help="of each that is trained")
    parser.add_argument("--part", type=json.loads, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.part:
        part, dataset, run, *numbers = chosen.part
        PARTS[part](Path(dataset), Path(run), *map(int, numbers))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        dataset = write_phantom(folder / "dataset", cases=8, shape=(24, 24, 24), seed=3).path
        for at_once in chosen.at_once if chosen.real else ():
            of_training(folder, dataset, chosen.real, at_once, chosen.threads)
        for count in () if chosen.real else chosen.trajectories:
            of_tables(folder, dataset, count, chosen.loops, chosen.nodes, chosen.plain)


if __name__ == "__main__":
    main()
