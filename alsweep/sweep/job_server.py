"""Ray's job server: a job handed in, its log followed, and the exit code that it ended with."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shlex
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from alsweep.errors import AlsweepError, ConfigError
from alsweep.sweep.submitting import stage

if TYPE_CHECKING:
    from alsweep.sweep.submitting import Submission

_SECONDS_TO_ANSWER = 10.0
_SECONDS_FOR_AN_AGENT = 60.0
"""The server is up before the agent that starts jobs is."""

_SECONDS_BETWEEN = 1.0
_SECONDS_AWAY = 120.0
"""A server that does not answer for so long while a log is followed is given up."""

_FAILED, _STOPPED = 1, 130


_log = logging.getLogger(__name__)


class LostSightError(AlsweepError):
    """The job server is away; the job may go on."""

    exit_code = 1


@dataclass(frozen=True)
class JobServer:
    """A job server that has answered.

    Attributes:
        address: Its URL.
        client: Ray's.
    """

    address: str
    client: Any

    def submit(self, submission: Submission) -> str:
        """Upload what a job needs and hand it in; returns its id.

        Raises:
            ConfigError: The server refuses it.
        """
        with tempfile.TemporaryDirectory(prefix="alsweep-") as folder:
            stage(submission, Path(folder))
            runtime_env = {**submission.runtime_env, "working_dir": folder}
            patience = time.monotonic() + _SECONDS_FOR_AN_AGENT
            while True:
                try:
                    id_: str = self.client.submit_job(
                        entrypoint=submission.entrypoint,
                        submission_id=submission.id,
                        runtime_env=dict(runtime_env),
                        metadata=submission.metadata,
                    )
                except RuntimeError as error:
                    if "No available agent" not in str(error) or time.monotonic() > patience:
                        raise ConfigError(f"{self.address}: {_first_line(error)}") from error
                    time.sleep(_SECONDS_BETWEEN)
                else:
                    return id_

    def follow(self, id_: str, tell: Callable[[str], object]) -> int:
        """Pass the log of a job on until the job has ended; returns its own exit code.

        Args:
            id_: Of the job.
            tell: Takes pieces of text as they come.

        Raises:
            LostSightError: The server is away for long.
        """
        log, away = _Log(self.client, id_, tell), None
        while True:
            try:
                asyncio.run(log.pass_on())
                info = self.client.get_job_info(id_)
                if info.status.is_terminal():
                    return exit_code(info, lambda line: tell(f"{line}\n"))
                away = None
            except Exception as error:  # of requests and aiohttp, which Ray passes on as they are
                away = away or time.monotonic()
                if time.monotonic() - away > _SECONDS_AWAY:
                    raise LostSightError(
                        f"{self.address}: does not answer any more ({_first_line(error)}); "
                        f"the job {id_} may go on there: {self.how_to(id_)[0]}"
                    ) from error
            time.sleep(_SECONDS_BETWEEN)

    def how_to(self, id_: str) -> tuple[str, str]:
        """How to follow a job, and how to stop it."""
        address = f"--address {shlex.quote(self.address)}"
        return f"ray job logs {address} --follow {id_}", f"ray job stop {address} {id_}"


@dataclass
class _Log:
    """A job's log, of which each piece is told once, however often the server goes away.

    Attributes:
        client: Ray's.
        id: Of the job.
        tell: Takes pieces of text.
        told: Characters so far.
    """

    client: Any
    id: str
    tell: Callable[[str], object]
    told: int = 0

    async def pass_on(self) -> None:
        """Tell what is new, until the stream ends; each stream begins at the log's beginning."""
        seen = 0
        async for text in self.client.tail_job_logs(self.id):
            fresh = text[max(0, self.told - seen) :]
            seen += len(text)
            self.told = max(self.told, seen)
            if fresh:
                self.tell(fresh)


def connect(address: str) -> JobServer:
    """Reach a job server.

    Raises:
        ConfigError: There is none, it wants a token, or this installation has no client.
    """
    _knock(address)
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    _quieten()
    try:
        with _no_other_address():
            return JobServer(address, JobSubmissionClient(address))
    except AuthenticationError:
        raise ConfigError(
            f"--address {address}: the cluster asks for its token; export RAY_AUTH_MODE=token and "
            "RAY_AUTH_TOKEN=TOKEN, or RAY_AUTH_TOKEN_PATH=FILE"
        ) from None
    except ConnectionError as error:
        raise _nobody(address, _first_line(error)) from None
    except RuntimeError as error:
        mend = "; pip install 'alsweep[cluster]'" if "ray[default]" in str(error) else ""
        raise ConfigError(f"--address {address}: {_first_line(error)}{mend}") from None
    except Exception as error:  # what answers is no job server, and requests says so in many ways
        raise _nobody(address, _first_line(error)) from error


def _quieten() -> None:
    """Keep Ray from saying what it does, each of its modules at a level of its own; not --debug."""
    if not _log.isEnabledFor(logging.DEBUG):
        for name in [name for name in logging.root.manager.loggerDict if name.startswith("ray")]:
            logging.getLogger(name).setLevel(logging.ERROR)


@contextlib.contextmanager
def _no_other_address() -> Iterator[None]:
    """Ray's client prefers these variables to the address that it is given."""
    from alsweep.sweep.environment import without_variables

    with without_variables("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"):
        yield


def _knock(address: str) -> None:
    """See whether anybody listens; Ray's client would wait for ever for one who does not."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"--address {address}: is no address of a job server; write http://HEAD:8265"
        )
    try:
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        socket.create_connection((parts.hostname, port), _SECONDS_TO_ANSWER).close()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _nobody(address, reason) from None


def _nobody(address: str, reason: str) -> ConfigError:
    return ConfigError(
        f"--address {address}: no Ray job server answers there ({reason}); bring its port here, "
        "with 'ray dashboard CLUSTER.yaml', 'kubectl port-forward' or 'ssh -L 8265:localhost:8265'"
    )


def exit_code(info: Any, tell: Callable[[str], object]) -> int:
    """The exit code that a job ended with; says why where it has none of its own."""
    code = info.driver_exit_code
    if code is not None:
        return code if code >= 0 else 128 - code
    status = str(info.status)
    if status == "SUCCEEDED":
        return 0
    if status == "STOPPED":
        tell("alsweep: the job was stopped; what was finished is saved")
        return _STOPPED
    tell(f"alsweep: error: the job failed: {' '.join(str(info.message).split())}")
    return _FAILED


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
