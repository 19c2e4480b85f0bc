"""A real Ray head with its job server: ports, token and folder of its own, stopped by PID."""

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_SECONDS_TO_COME_UP = 120
_OF_HEADS = ("port", "dashboard-port", "ray-client-server-port")
_OF_NODES = (
    "dashboard-agent-listen-port",
    "dashboard-agent-grpc-port",
    "metrics-export-port",
    "runtime-env-agent-port",
    "node-manager-port",
    "object-manager-port",
)


@dataclass(frozen=True)
class Head:
    """A head under way.

    Attributes:
        address: Of its job server.
        gcs: Of the cluster.
        environment: What clients need: the token.
        process: Has started all others.
    """

    address: str
    gcs: str
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes]


def free_ports(names: tuple[str, ...]) -> dict[str, int]:
    """Ports on loopback that nobody listens at; all are held until all are found."""
    sockets = [socket.socket() for _ in names]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    found = dict(zip(names, (one.getsockname()[1] for one in sockets), strict=True))
    for one in sockets:
        one.close()
    return found


def ray(*words: str) -> list[str]:
    """A command line of Ray's, of this Python."""
    return [sys.executable, "-m", "ray.scripts.scripts", *words]


@contextmanager
def running_head(python_path: str, cpus: int = 1) -> Iterator[Head]:
    """A head on loopback; nothing is left of it afterwards.

    Args:
        python_path: PYTHONPATH of all its processes.
        cpus: That it offers.
    """
    ports, token = free_ports((*_OF_NODES, *_OF_HEADS)), secrets.token_hex(16)
    auth = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
    address = f"http://127.0.0.1:{ports['dashboard-port']}"
    with tempfile.TemporaryDirectory(prefix="aray-", dir="/tmp", ignore_cleanup_errors=True) as tmp:
        words = ["--head", "--dashboard-host=127.0.0.1", f"--temp-dir={tmp}"]
        environment = {**auth, "PYTHONPATH": python_path}
        with _started([*words, f"--num-cpus={cpus}"], ports, environment) as process:
            _wait_for(f"{address}/api/version", token)
            yield Head(address, f"127.0.0.1:{ports['port']}", auth, process)


@contextmanager
def joined_node(head: Head, python_path: str, cpus: int = 1) -> Iterator[subprocess.Popen[bytes]]:
    """One more node of a head's cluster, on the same machine; Ray finds it in its own time."""
    environment = {**head.environment, "PYTHONPATH": python_path}
    words = [f"--address={head.gcs}", f"--num-cpus={cpus}"]
    with _started(words, free_ports(_OF_NODES), environment) as process:
        yield process


@contextmanager
def _started(
    words: Sequence[str], ports: Mapping[str, int], environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    options = [f"--{name}={port}" for name, port in ports.items()]
    common = ["--block", "--disable-usage-stats", "--object-store-memory=100000000"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        ray("start", *words, *common, "--node-ip-address=127.0.0.1", *options),
        env={**os.environ, "PATH": path, "RAY_worker_niceness": "0", **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        stop(process)


def _wait_for(url: str, token: str) -> None:
    patience = time.monotonic() + _SECONDS_TO_COME_UP
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    while True:
        try:
            urllib.request.urlopen(request, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > patience:
                raise
            time.sleep(0.3)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process with all that it has started, by their numbers."""
    with suppress(psutil.NoSuchProcess):
        family = [*psutil.Process(process.pid).children(recursive=True)]
        process.terminate()
        for one in family:
            with suppress(psutil.NoSuchProcess):
                one.terminate()
        for one in psutil.wait_procs(family, timeout=5)[1]:
            with suppress(psutil.NoSuchProcess):
                one.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(5)
    process.kill()
    process.wait()
