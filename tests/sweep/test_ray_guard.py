"""What is noticed of a Ray that is gone, and what becomes of the interrupt that tells it."""

import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from alsweep.errors import RayGoneError
from alsweep.sweep import ray_guard, ray_session
from alsweep.sweep.ray_guard import what_is_gone
from alsweep.sweep.stops import stops_raise


def node(path: Path, **processes: subprocess.Popen[bytes]) -> SimpleNamespace:
    infos = {name: [SimpleNamespace(process=process)] for name, process in processes.items()}
    return SimpleNamespace(all_processes=infos, raylet_socket_name=str(path))


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])


def test_of_a_private_ray_the_processes_tell(tmp_path: Path) -> None:
    raylet, dashboard = sleeper(), sleeper()
    there = node(tmp_path / "nobody", raylet=raylet, dashboard=dashboard)
    assert what_is_gone(there) is None
    dashboard.kill()
    dashboard.wait()
    assert what_is_gone(there) is None, "work goes on without it"
    raylet.kill()
    raylet.wait()
    assert what_is_gone(there) == "raylet ended with -9"


def test_of_a_cluster_the_socket_tells(tmp_path: Path) -> None:
    path = tmp_path / "raylet"
    assert what_is_gone(node(path)) == "its raylet does not answer"
    with socket.socket(socket.AF_UNIX) as raylet:
        raylet.bind(str(path))
        raylet.listen()
        assert what_is_gone(node(path)) is None
    assert what_is_gone(node(path)) == "its raylet does not answer"


def test_a_ray_that_is_gone_is_no_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_guard, "_SECONDS_BETWEEN", 0.01)
    monkeypatch.setattr(ray_guard.ray._private.worker, "_global_node", node(tmp_path / "nobody"))
    with (
        pytest.raises(RayGoneError, match=r"gone \(its raylet does not answer\); finished loops"),
        stops_raise(),
        ray_session._guarded(),
    ):
        signal.pause()
    monkeypatch.setattr(ray_guard, "what_is_gone", lambda _: None)
    with pytest.raises(KeyboardInterrupt), stops_raise(), ray_session._guarded():
        signal.raise_signal(signal.SIGINT)
