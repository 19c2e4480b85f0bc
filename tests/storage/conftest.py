"""An object store on loopback, and a line to it that can be disturbed."""

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from alsweep.storage.patience import Patience

try:
    import boto3
    import moto.server  # noqa: F401
    import obstore  # noqa: F401
except ImportError as lacking:
    warnings.warn(f"warning: tests of object storage are left out ({lacking})", stacklevel=1)
    collect_ignore_glob = ["test_*.py"]

BUCKET = "bucket"
KEY, SECRET = "AKIDPLANTED", "planted-secret-key"


class Clock:
    """Time that passes when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def patience(self, seconds: float = 120.0) -> Patience:
        return Patience(seconds, self, self.sleep)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """Moto's server; it checks no signature, but has S3's words and conditions."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert server.poll() is None
            time.sleep(0.05)
        url = f"http://127.0.0.1:{port}"
        client_at(url).create_bucket(Bucket=BUCKET)
        yield url
    finally:
        server.kill()
        server.wait()


def client_at(url: str):
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
    )


@pytest.fixture
def s3(endpoint: str):
    """A client of its own, for who looks from outside."""
    return client_at(endpoint)


@pytest.fixture
def prefix(endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A place of its own in the store, which this process can reach."""
    reach(endpoint, monkeypatch, tmp_path)
    return f"s3://{BUCKET}/{uuid.uuid4().hex[:12]}"


def reach(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in variables(url, tmp_path).items():
        monkeypatch.setenv(name, value)


def variables(url: str, tmp_path: Path) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
        "ALSWEEP_CACHE": str(tmp_path / "cache"),
        "WANDB_MODE": "disabled",
    }


def keys_of(s3, place: str) -> dict[str, bytes]:
    """All objects below a place, by key below it."""
    bucket, _, folder = place.removeprefix("s3://").partition("/")
    found = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{folder}/"):
        for one in page.get("Contents", ()):
            body = s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read()
            found[one["Key"].removeprefix(f"{folder}/")] = body
    return found


class Line:
    """A line to the store; ``disturb`` says of each request what happens to it.

    None passes it on; a number answers with that status; ``hang`` never answers; ``cut`` ends half
    way through the answer; ``deaf`` passes it on and never answers; ``gone`` passes it on and
    answers with 503.
    """

    def __init__(self, url: str) -> None:
        self.disturb: Callable[[str, str], object] = lambda method, path: None
        self.asked: list[tuple[str, str]] = []
        self.over = threading.Event()
        line, there = self, urlsplit(url).netloc

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                line.asked.append((self.command, self.path))
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fault = line.disturb(self.command, self.path)
                if isinstance(fault, int):
                    line.refuse(self, fault)
                    return
                if fault == "hang":
                    line.over.wait(20)
                    self.close_connection = True
                    return
                passed = http.client.HTTPConnection(there)
                passed.request(self.command, self.path, body, dict(self.headers))
                answer = passed.getresponse()
                content = answer.read()
                passed.close()
                if fault == "gone":
                    line.refuse(self)
                    return
                if fault == "deaf":
                    line.over.wait(20)
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "connection", "server", "date"):
                        self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content[: len(content) // 2] if fault == "cut" else content)
                self.close_connection = self.close_connection or fault == "cut"

            do_PUT = do_HEAD = do_POST = do_DELETE = do_GET

            def log_message(self, *args: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def refuse(self, handler: BaseHTTPRequestHandler, status: int = 503) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def close(self) -> None:
        self.over.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def line(prefix: str, endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """The only way of this process to the store."""
    line = Line(endpoint)
    reach(line.url, monkeypatch, tmp_path)
    yield line
    line.close()
