"""What is said of workers that died, on a Ray whose temporary folder is too long for sockets."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayTaskError

from alsweep.config.sweep import ResourcesConfig
from alsweep.sweep.crash import in_one_line
from alsweep.sweep.environment import worker_environment

LOG = Path("run/log.txt")

SESSION = """
import os, signal, sys, time
import psutil, ray
from pathlib import Path
from alsweep.config.sweep import ResourcesConfig
from alsweep.sweep.crash import in_one_line
from alsweep.sweep.ray_session import ray_session

def die():
    os.kill(os.getpid(), signal.SIGKILL)

class Dies:
    def die(self):
        die()

with ray_session(ResourcesConfig(device="cpu")):
    task = ray.remote(die).options(max_retries=0, num_cpus=0)
    actor = ray.remote(Dies).options(num_cpus=0)
    folder = Path(ray._private.worker._global_node.get_session_dir_path()).parent
    assert folder.exists()
    for call in (task.remote, actor.remote().die.remote):
        try:
            ray.get(call())
        except ray.exceptions.RayError as crash:
            print("said:", in_one_line(crash, Path("log")), file=sys.stderr)
    time.sleep(2)  # Ray prints what it knows of the dead a moment later
    me = psutil.Process()
    family = [one for one in (me, *me.children(recursive=True)) if one.is_running()]
    for socket in (socket for one in family for socket in one.net_connections("inet")):
        if socket.status == psutil.CONN_LISTEN and not socket.laddr.ip.endswith("127.0.0.1"):
            print("listens at", socket.laddr)
print("left:", folder.exists(), len(str(folder)))
"""


@pytest.mark.ray
def test_dead_workers_are_told_stdout_is_kept_clean_and_nobody_else_is_heard(
    tmp_path: Path,
) -> None:
    temporary = tmp_path / ("t" * 60)
    temporary.mkdir()
    # In a process of its own, since Ray keeps what other tests have told it.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", SESSION],
        env=plain | worker_environment(ResourcesConfig()) | {"TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"left: False {len('/tmp/alsweep-12345678')}"]
    said = [line for line in done.stderr.splitlines() if line.startswith("said:")]
    assert len(said) == 2
    for line in said:
        assert "killed or crashed, most often for want of memory" in line
        assert "raise resources.cpus" in line
    assert list(temporary.iterdir()) == []


def test_memory_that_rays_monitor_found_short_is_named_with_its_mend() -> None:
    crash = OutOfMemoryError(
        "2 worker(s) were killed due to the node running low on memory. Memory on the node "
        "(IP: 10.0.0.1, ID: 2c5e) was 23.30GB used / 23.54GB limit (0.99)\nOOM kill reason: x"
    )
    said = in_one_line(crash, LOG)
    assert "the machine's memory was nearly used up (23.30GB used / 23.54GB limit)" in said
    assert "resources.members_at_once" in said


def test_a_lost_machine_is_no_want_of_memory() -> None:
    crash = NodeDiedError("Task failed because the node it was running on is dead or unavailable.")
    said = in_one_line(crash, LOG)
    assert "its machine, or Ray on it, was lost" in said
    assert "memory" not in said


@pytest.mark.parametrize(
    ("last", "mended"), [("MemoryError", True), ("ZeroDivisionError: a bug", False)]
)
def test_a_traceback_is_one_line_and_a_want_of_memory_has_a_mend(last: str, mended: bool) -> None:
    crash = RayTaskError("step", f"Traceback\n  File x\n{last}", ValueError())
    said = in_one_line(crash, LOG)
    assert said.startswith(f"{last}; the traceback is in {LOG}")
    assert ("raise resources.cpus" in said) == mended


def test_what_nobody_knows_is_passed_on() -> None:
    assert in_one_line(RuntimeError("odd\nthing"), LOG) == "the worker died (RuntimeError: odd)"
