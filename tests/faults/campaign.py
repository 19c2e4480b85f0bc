"""Random kills over small sweeps, which have to end with the table and queries of a calm one.

    python -m tests.faults.campaign --kills 200 --seed 0 --out FOLDER

One sweep after the other is run in FOLDER, and something of it is killed again and again: a worker,
the raylet, Ray's control service, or the driver, which is followed by ``alsweep resume``. Each kill
is a line of FOLDER/kills.jsonl; the same command goes on where it was stopped. It ends with exit
code 0 if every sweep ended like the calm one and left no process behind.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from alsweep.data.phantom import write_phantom
from alsweep.results.load import load_results
from alsweep.results.mishaps import Counts, read_mishaps

REPOSITORY = Path(__file__).parents[2]
SECONDS_TO_END = 600.0
SECONDS_TO_VANISH = 90.0
MOST_KILLS_OF_A_SWEEP = 12
MOST_RESUMES = 3
"""After the last kill."""
TARGETS = {"worker": 45, "driver": 30, "raylet": 18, "gcs_server": 7}
"""What is killed, and how often of a hundred times."""
TIMES = ["train_seconds", "evaluate_seconds", "query_seconds"]

SPACE = """
name: campaign
dataset: {dataset}
base:
  query: {{patches: 6, loops: 3, patch_size: [8, 8, 8], stride: 2}}
  training: {{epochs: 2, iterations_per_epoch: 2, members: 2, folds: 2, features: [4, 4, 4],
             patch_size: [16, 16, 16]}}
seeds: [0, 1]
grid:
  strategy: [random, predictive_entropy]
resources: {{checkpoint_minutes: 0}}
wandb: {{mode: disabled}}
"""

COMMANDS = {
    # A loop takes a second.
    "table": ("-m", "tests.sweep.fake_alsweep", "1.0"),
    "networks": ("-c", "from alsweep.cli.main import main; main()"),
}
"""What makes trajectories: table look-up, or the training of tiny networks."""


@dataclass(frozen=True)
class Kill:
    """One kill, drawn before anything happens.

    Attributes:
        target: Of :data:`TARGETS`.
        moment: ``start``: as soon as there is one; ``write``: just when a file was written;
            ``any``: later.
        wait: Seconds after that.
    """

    target: str
    moment: str
    wait: float


def drawn(seed: int, number: int) -> Kill:
    """Return the kill of that number."""
    rng = random.Random(f"{seed} {number}")
    (target,) = rng.choices(list(TARGETS), weights=list(TARGETS.values()))
    moment = rng.choice(["start", "write", "any"])
    longest = {"start": 3.0, "write": 0.05, "any": 12.0 if target == "driver" else 5.0}[moment]
    return Kill(target, moment, rng.uniform(0, longest))


class Driver:
    """An alsweep process and all that it starts."""

    def __init__(self, command: Sequence[str], arguments: Sequence[object], log: Path) -> None:
        path = f"{REPOSITORY}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, *command, *map(str, arguments)],
                cwd=REPOSITORY,
                # Ray's workers are nice by 15: on a busy machine nothing would begin for minutes.
                env={**os.environ, "PYTHONPATH": path, "RAY_worker_niceness": "0"},
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Of the driver, and of the session in which all its processes are."""
        return self.process.pid

    @property
    def ended(self) -> bool:
        """Whether the driver is no more."""
        return self.process.poll() is not None

    def family(self) -> list[psutil.Process]:
        """All processes of the session that are alive, but for the driver."""
        found = []
        for one in psutil.process_iter():
            with suppress(psutil.Error, ProcessLookupError):
                ours = os.getsid(one.pid) == self.pid and one.pid != self.pid
                if ours and one.status() != psutil.STATUS_ZOMBIE:
                    found.append(one)
        return found

    def victims(self, target: str) -> list[psutil.Process]:
        """Who may be killed for a target, in an order that does not depend on chance."""
        if target == "driver":
            return [psutil.Process(self.pid)]
        named = [(one.pid, one) for one in self.family() if _is_a(target, one)]
        return [one for _, one in sorted(named, key=lambda pair: pair[0])]


def _is_a(target: str, process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        name = process.name()
        if target == "worker":
            return name.startswith("ray::") and "Agent" not in name
        return name == target
    return False


@dataclass
class Sweep:
    """A sweep in a folder of its own, which is killed until it is over.

    Attributes:
        work: Of :data:`COMMANDS`.
        space: The search space.
        run: The run folder.
    """

    work: str
    space: Path
    run: Path
    drivers: list[Driver] = field(default_factory=list)

    @property
    def log(self) -> Path:
        """What all drivers say."""
        return self.run.with_suffix(".txt")

    def drive(self) -> Driver:
        """Begin the sweep, or go on with it."""
        begun = (self.run / "sweep.yaml").exists()
        verb = ("resume", self.run) if begun else ("run", self.space, "--out", self.run)
        self.drivers.append(Driver(COMMANDS[self.work], verb, self.log))
        return self.drivers[-1]

    def killed(self, kills: Iterator[Kill], on_kill: Callable[[Kill, str], None]) -> None:
        """Run it with kills until it is over, or until there are no more; then calmly.

        Raises:
            AssertionError: It failed, hangs, or leaves processes.
        """
        driver = self.drive()
        for kill in kills:
            while (victim := self._strike(driver, kill)) is None:
                if driver.process.wait(SECONDS_TO_END) == 0:
                    self.finish(driver)
                    return
                driver = self.drive()
            on_kill(kill, victim)
            if kill.target == "driver":
                driver.process.wait()
                driver = self.drive()
        self.finish(driver)

    def _strike(self, driver: Driver, kill: Kill) -> str | None:
        """Wait for the moment of a kill, and kill; return whom, or None where the driver ends."""
        written = _newest(self.run)
        if not _until(lambda: bool(driver.victims(kill.target)), driver):
            return None
        if kill.moment == "write" and not _until(lambda: _newest(self.run) != written, driver):
            return None
        time.sleep(kill.wait)
        found = [] if driver.ended else driver.victims(kill.target)
        if not found:
            return None if driver.ended else self._strike(driver, kill)
        victim = random.Random(kill.wait).choice(found)
        with suppress(psutil.Error):
            name = victim.name()
            victim.send_signal(signal.SIGKILL)
            return name
        return self._strike(driver, kill)

    def finish(self, driver: Driver) -> None:
        """Let it end.

        Raises:
            AssertionError: It fails, hangs, or leaves processes.
        """
        code = driver.process.wait(SECONDS_TO_END)
        for _ in range(MOST_RESUMES):
            if code in (0, 2):
                break
            # Killed when it was nearly over, or before Ray was there.
            code = self.drive().process.wait(SECONDS_TO_END)
        assert code == 0, f"exit code {code}; see {self.log}"
        end = time.monotonic() + SECONDS_TO_VANISH
        while left := [one for driver in self.drivers for one in driver.family()]:
            told = [f"{one.pid} {one.name()}" for one in left if one.is_running()]
            assert time.monotonic() < end, f"processes are left: {told}"
            time.sleep(0.5)

    def stop(self) -> None:
        """Leave no process."""
        for driver in self.drivers:
            for one in driver.family():
                with suppress(psutil.Error):
                    one.kill()
            if not driver.ended:
                driver.process.kill()
                driver.process.wait()


def _until(condition: Callable[[], bool], driver: Driver) -> bool:
    """Wait; return False where the driver has ended before."""
    end = time.monotonic() + SECONDS_TO_END
    while not condition():
        if driver.ended:
            return False
        assert time.monotonic() < end, "waited in vain for something to kill"
        time.sleep(0.1)
    return True


def _newest(run: Path) -> tuple[int, int]:
    """Grows with each file that is written into a run."""
    count = newest = 0
    for folder, _, files in os.walk(run):
        for name in files:
            with suppress(OSError):
                newest = max(newest, Path(folder, name).stat().st_mtime_ns)
                count += 1
    return count, newest


def queries_of(run: Path) -> dict[str, bytes]:
    """All queries of a run, by path."""
    files = run.glob("trajectories/*/queries/*.json")
    return {str(path.relative_to(run)): path.read_bytes() for path in sorted(files)}


def assert_as_calm(run: Path, calm: Path) -> None:
    """Compare queries byte for byte, and all of the table but how long things took."""
    assert queries_of(run) == queries_of(calm) != {}, f"{run}: other queries"
    table, expected = (load_results(path).drop(columns=TIMES) for path in (run, calm))
    assert set(expected["status"]) == {"done"}
    assert table.equals(expected), f"{run}: another table"


def _calm(out: Path, work: str) -> Sweep:
    """The sweep that nobody disturbs; made once."""
    space = out / "campaign.yaml"
    if not space.exists():
        write_phantom(out / "dataset", cases=8, shape=(24, 24, 24), seed=3)
        space.write_text(SPACE.format(dataset=out / "dataset"))
    calm = Sweep(work, space, out / f"calm-{work}")
    if not (calm.run / "report" / "index.html").exists():
        calm.finish(calm.drive())
    return calm


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def campaign(kills: int, seed: int, out: Path, works: Sequence[str]) -> int:
    """Kill so many times in all; see the module.

    Returns:
        How many sweeps did not end as they should.
    """
    out.mkdir(parents=True, exist_ok=True)
    journal, ends = out / "kills.jsonl", out / "sweeps.jsonl"
    calm = {work: _calm(out, work) for work in works}
    while (made := len(_read(journal))) < kills:
        number = len(_read(ends))
        work = works[number % len(works)]
        sweep = Sweep(work, calm[work].space, out / f"run-{number:03d}")

        def on_kill(kill: Kill, victim: str, number: int = number) -> None:
            line = {"sweep": number, **vars(kill), "victim": victim}
            with journal.open("a") as file:
                file.write(f"{json.dumps(line)}\n")

        last = min(kills, made + MOST_KILLS_OF_A_SWEEP)
        began, wrong = time.monotonic(), ""
        try:
            sweep.killed((drawn(seed, k) for k in range(made, last)), on_kill)
            assert_as_calm(sweep.run, calm[work].run)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            wrong = str(error).splitlines()[0]
        finally:
            sweep.stop()
        counts = vars(Counts.of(read_mishaps(sweep.run)))
        end = {"sweep": number, "work": work, "wrong": wrong, "drivers": len(sweep.drivers)}
        end |= {"kills": len(_read(journal)) - made, **counts}
        end["seconds"] = round(time.monotonic() - began, 1)
        with ends.open("a") as file:
            file.write(f"{json.dumps(end)}\n")
        _say(json.dumps(end))
    _say(summary(_read(journal), _read(ends)))
    return sum(bool(one["wrong"]) for one in _read(ends))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def summary(kills: Sequence[dict[str, Any]], ends: Sequence[dict[str, Any]]) -> str:
    """The figures of a campaign, for people."""
    each = Counter(one["target"] for one in kills)
    parts = ", ".join(f"{each[name]} {name}" for name in TARGETS)
    wrong = [one for one in ends if one["wrong"]]
    minutes = sum(one["seconds"] for one in ends) / 60
    return (
        f"{len(kills)} kills ({parts}) in {len(ends)} sweeps with "
        f"{sum(one['drivers'] for one in ends)} drivers, {minutes:.0f} min; "
        f"{len(ends) - len(wrong)} sweeps ended with the calm table and queries, "
        f"{len(wrong)} did not"
    )


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", choices=[*COMMANDS, "both"], default="both")
    asked = parser.parse_args()
    works = list(COMMANDS) if asked.work == "both" else [asked.work]
    return min(1, campaign(asked.kills, asked.seed, asked.out.absolute(), works))


if __name__ == "__main__":
    sys.exit(main())
