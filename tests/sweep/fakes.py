"""A table-lookup trajectory: the real folder protocol, numbers from a hash, faults on demand."""

import os
import re
import resource
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from alsweep import __version__
from alsweep.config.base import fingerprint
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.data.case import Dataset
from alsweep.errors import PoolExhaustedError
from alsweep.geometry import Patch, QueriedPatch
from alsweep.layout import query_path
from alsweep.results.fulldata import FullDataRecord, reference_key
from alsweep.results.loops import LoopRecord, write_query
from alsweep.results.noise import NoiseRecord
from alsweep.results.records import read_records
from alsweep.trajectory.numerics import NUMERICS
from alsweep.trajectory.progress import OnProgress, Progress
from alsweep.trajectory.query_log import QueryLog
from alsweep.trajectory.start import setting_of, start_key
from tests.small_disk import fill

ERROR = "error"
KILL = "kill"
BUG = "bug"
FULL = "full"
LATE = "late"
HANG = "hang"
MEMORY = "memory"


@dataclass(frozen=True)
class TableTrajectory:
    config: TrajectoryConfig
    folder: Path
    on_progress: OnProgress
    seconds: float

    @property
    def records(self) -> Sequence[LoopRecord]:
        return read_records(self.folder)

    @property
    def finished(self) -> bool:
        return len(self.records) == self.config.query.loops

    def step(self) -> LoopRecord:
        loop = len(self.records)
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "pids").open("a") as pids:
            pids.write(f"{os.getpid()}\n")
        log = QueryLog(self.folder)
        log.claim(self.config)
        if not log.has(0):
            log.commit(0, [])
        for done in range(4):
            self.on_progress(Progress(loop, "train", done, 4))
            time.sleep(self.seconds / 4)
        fault(self.folder, loop)
        record = table_record(self.config, loop)
        record.write(self.folder)
        if loop + 1 < self.config.query.loops:
            write_query(query_path(self.folder, loop + 1), loop + 1, [queried(self.config, loop)])
        return record

    def close(self) -> None: ...


@dataclass(frozen=True)
class TableWork:
    run: Path
    seconds: float = 0.0

    def trajectory(
        self, config: TrajectoryConfig, folder: Path, on_progress: OnProgress
    ) -> TableTrajectory:
        return TableTrajectory(config, folder, on_progress, self.seconds)

    def prepare_start(self, config: TrajectoryConfig, on_progress: OnProgress) -> None:
        on_progress(Progress(0, "train", 0, 1))
        models = self.run / "models"
        models.mkdir(exist_ok=True)
        with (self.run / "start-pids").open("a") as pids:
            pids.write(f"{os.getpid()}\n")
        time.sleep(self.seconds)
        fault(self.run / f"start-s{config.seed}", 0)
        with (models / f"start-s{config.seed}").open("a") as log:
            log.write("prepared\n")

    def full_data(self, config: TrajectoryConfig, on_progress: OnProgress) -> None:
        on_progress(Progress(0, "train", 0, 1))
        time.sleep(self.seconds)
        fault(self.run / f"fulldata-s{config.seed}", 0)
        # As plans name it: the dataset's fingerprint, read where a worker would read it.
        key = reference_key(config, Dataset.open(config.dataset).fingerprint)
        table_reference(config, key).write(self.run)

    def repeat_start(self, config: TrajectoryConfig, repeat: int, on_progress: OnProgress) -> None:
        dataset = Dataset.open(config.dataset)
        NoiseRecord(
            start=start_key(config, dataset)[:16],
            repeat=repeat,
            setting=setting_of(config, dataset),
            dataset=dataset.name,
            seed=config.seed,
            iterations=1,
            members=config.training.members,
            mean_dice=table_dice(config, repeat),
            dice={},
            train_seconds=self.seconds,
            threads=1,
            device="cpu",
            precision="fp32",
            version=__version__,
            numerics=NUMERICS,
        ).write(self.run)


def number(config: TrajectoryConfig, *key: object) -> int:
    return int(fingerprint([config.identity_on(""), *key])[:6], 16)


def table_dice(config: TrajectoryConfig, loop: int) -> float:
    """From a hash; a label such as ``at80`` says where it lies, and up to two Dice points above.

    ``at30to80``: at 80 where a query has more than six patches.
    """
    drawn = number(config, "dice", loop) / 16**6
    placed = re.fullmatch(r"at(\d\d)[a-z]?(?:to(\d\d))?", config.strategy.label or "")
    if placed is None:
        return drawn
    large = placed[2] is not None and config.query.patches > 6
    return int(placed[2] if large else placed[1]) / 100 + 0.02 * drawn


def table_record(config: TrajectoryConfig, loop: int) -> LoopRecord:
    dice = table_dice(config, loop)
    patches = config.patches_at(loop)
    return LoopRecord(
        loop=loop,
        dataset="phantom",
        setting=config.setting_hash("")[:12],
        start_hash=f"{config.seed:012d}",
        annotated_patches=patches,
        annotated_voxels=1000 * patches,
        foreground_voxels=10 * patches,
        foreground_fraction=patches / 1000,
        annotated_cases=2,
        mean_dice=None if dice < 0.01 else dice,
        dice={"organ": dice, "lesion": None},
        case_dice={"case_000": {"organ": dice, "lesion": None}},
        train_seconds=1.0,
        evaluate_seconds=0.5,
        query_seconds=0.25,
        cached_members=0 if loop else config.training.members,
        threads=1,
        device="cpu",
        precision="fp32",
        members=("a",),
        version=__version__,
        numerics=NUMERICS,
    )


def table_reference(config: TrajectoryConfig, key: str) -> FullDataRecord:
    return FullDataRecord(
        key=key,
        dataset="phantom",
        seed=config.seed,
        mean_dice=0.9,
        dice={"organ": 0.9, "lesion": None},
        case_dice={"case_000": {"organ": 0.9, "lesion": None}},
        train_seconds=1.0,
        evaluate_seconds=0.5,
        threads=1,
        device="cpu",
        precision="fp32",
        members=("a",),
        version=__version__,
        numerics=NUMERICS,
    )


def queried(config: TrajectoryConfig, loop: int) -> QueriedPatch:
    start = (number(config, "z", loop) % 10, number(config, "y", loop) % 10, 0)
    return QueriedPatch(Patch("case_000", start, (4, 4, 4)), number(config, "score", loop) / 7)


def plant_fault(folder: Path, kind: str, loop: int, times: int = 1) -> None:
    """Make the trajectory fail when its loop is nearly done."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"fault-{loop}").write_text(f"{kind} {times}")


def fault(folder: Path, loop: int) -> None:
    path = folder / f"fault-{loop}"
    if not path.exists():
        return
    kind, times = path.read_text().split()
    if int(times) == 1:
        path.unlink()
    else:
        path.write_text(f"{kind} {int(times) - 1}")
    if kind == KILL:
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == LATE:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return
    if kind == HANG:
        time.sleep(1000)
    if kind == MEMORY:
        want_more_than_there_is()
    if kind == FULL:
        fill(folder)
        return
    if kind == BUG:
        raise ZeroDivisionError("a bug")
    raise PoolExhaustedError("the pool is empty; lower query.patches")


def want_more_than_there_is() -> None:
    """Meet the limit that a batch system sets for a job's memory."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + 2**26, before[1]))
    try:
        np.ones(2**30)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
