import subprocess
import sys
import time
from pathlib import Path

from alsweep.sweep.watchdog import Watchdog

STUCK = """
import sys, threading
from pathlib import Path
from alsweep.sweep.watchdog import Watchdog

def never_ends():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()

with Watchdog(float(sys.argv[1]), Path(sys.argv[2])):
    never_ends()
"""


def test_a_process_that_is_stuck_ends_and_leaves_where_it_was(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("before\n")
    arguments = [sys.executable, "-c", STUCK, "0.005", str(log)]
    done = subprocess.run(arguments, timeout=60, check=False)
    assert done.returncode == 1
    text = log.read_text()
    assert text.startswith("before\nTimeout (0:00:00.300000)!\n")
    assert "in never_ends\n" in text


def test_signs_of_life_and_the_end_of_the_work_keep_it_alive(tmp_path: Path) -> None:
    with Watchdog(0.005, tmp_path / "log.txt") as watchdog:
        for _ in range(8):
            time.sleep(0.05)
            watchdog.heard()
    watchdog.heard()  # as a thread might, after the work
    with Watchdog(None, tmp_path / "none.txt") as never:
        never.heard()
        time.sleep(0.35)
    assert (tmp_path / "log.txt").read_text() == ""
    assert not (tmp_path / "none.txt").exists()
