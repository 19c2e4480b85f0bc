"""Claims: which worker does what, where many share a run folder and nobody drives them.

A claim is a numbered file in the folder of what is claimed, and the highest number counts. It is
made by a link, at which one of all that try succeeds, on NFS too. Its holder touches it every few
seconds. A claim is free once it is given back, once its holder is gone from this machine, or once
it has not been touched for a minute: by the clock of who waits, so that no two clocks are compared.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from alsweep.config.base import Frozen
from alsweep.files import sync_folder, write_bytes
from alsweep.layout import claim_path, claims_folder
from alsweep.storage.watching import LEASE, Watch, kept

_BEAT = 5.0

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)

_log = logging.getLogger(__name__)


class Holder(Frozen):
    """Content of a claim: the process that holds it, as far as others can tell it.

    Attributes:
        host: Its machine, for people.
        machine: Which boot of which machine, and which of its process namespaces.
        pid: Of the process.
        started: When it began, in the kernel's ticks; None where that is not known.
        token: Of this very claim.
        released: Whether it is given back.
    """

    host: str
    machine: str
    pid: int
    started: int | None
    token: str
    released: bool = False

    @classmethod
    def me(cls) -> Holder:
        """This process, with a new claim."""
        pid = os.getpid()
        return cls(
            host=socket.gethostname(),
            machine=_machine(),
            pid=pid,
            started=_started(pid),
            token=secrets.token_hex(8),
        )

    @property
    def shown(self) -> str:
        """For people."""
        return f"process {self.pid} on {self.host}"

    @property
    def alive(self) -> bool | None:
        """Whether the process lives; None where it is of another machine."""
        if self.machine != _machine():
            return None
        if self.started is not None:
            return _started(self.pid) == self.started
        return _answers(self.pid)


def _machine() -> str:
    """Equal for processes that can see each other's numbers; containers cannot."""
    told = []
    with suppress(OSError):
        told.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip())
        told.append(os.readlink("/proc/self/ns/pid"))  # noqa: PTH115 (no path)
    return " ".join([socket.gethostname(), *told])


def _started(pid: int) -> int | None:
    """When a process began; None where it is gone, a zombie, or the system does not say."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *numbers = told.rpartition(")")[2].split()
    return None if state in "ZX" else int(numbers[18])


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@dataclass
class Claim:
    """A claim of this process.

    Attributes:
        path: Its file.
        holder: What stands in it.
        lost: Whether somebody else has taken it, which held this process for dead.
        inherited: Who held it before and is gone without giving it back, for people.
    """

    path: Path
    holder: Holder
    lost: bool = False
    inherited: str | None = None

    def beat(self) -> None:
        """Give a sign of life, and see whether the claim still counts."""
        try:
            os.utime(self.path)
        except FileNotFoundError:
            self.lost = True
        except OSError:
            return  # the storage is away; others cannot see it either
        self.lost = self.lost or _last(self.path.parent) > _number(self.path)

    def release(self) -> None:
        """Give it back; where that cannot be written, others wait for the lease to end."""
        if not self.lost:
            content = self.holder.model_copy(update={"released": True}).model_dump_json()
            with suppress(OSError):
                write_bytes(self.path, content.encode())


@dataclass
class Claims:
    """The claims of a run, as one worker sees them.

    Attributes:
        run: The run folder.
        clock: Seconds; tests bring their own.
        beat: Seconds between two signs of life.
        lease: Seconds.
        seconds_between_looks: Of who waits for a claim of somebody else.
    """

    run: Path
    clock: Callable[[], float] = time.monotonic
    beat: float = _BEAT
    lease: float = LEASE
    seconds_between_looks: ClassVar[float] = 1.0
    _watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        self._watch = Watch(self.beat, self.lease, self.clock)

    def taken(self, name: str) -> AbstractContextManager[Claim | None]:
        """Hold a claim; the context is of None where somebody else has it."""
        return kept(self.take(name), self.beat)

    def take(self, name: str) -> Claim | None:
        """Make a claim, which the caller keeps alive; None where somebody else has it."""
        folder = claims_folder(self.run) / name
        folder.mkdir(parents=True, exist_ok=True)
        last = _last(folder)
        if last and not self._free(name, last):
            return None
        before = _read(claim_path(self.run, name, last)) if last else None
        gone = None if before is None or before[0] is None else before[0]
        inherited = None if gone is None or gone.released else gone.shown
        claim = Claim(claim_path(self.run, name, last + 1), Holder.me(), inherited=inherited)
        if not _made(claim):
            return None
        for number in _numbers(folder):
            if number < last:
                claim_path(self.run, name, number).unlink(missing_ok=True)
        return claim

    def _free(self, name: str, number: int) -> bool:
        path = claim_path(self.run, name, number)
        found = _read(path)
        if found is None:
            return False  # gone or not whole yet: somebody is at it just now
        holder, touched = found
        if holder is not None and holder.released:
            return True
        alive = None if holder is None else holder.alive
        return self._watch.is_free(name, number, touched, alive=alive)

    def unsure(self, name: str) -> bool:
        """Whether a claim that could not be had may be a dead one's: wait, and see it touched."""
        return self._watch.unsure(name)


def _numbers(folder: Path) -> list[int]:
    return [int(path.stem) for path in folder.glob("[0-9]*.json")]


def _last(folder: Path) -> int:
    return max(_numbers(folder), default=0)


def _number(path: Path) -> int:
    return int(path.stem)


def _read(path: Path) -> tuple[Holder | None, int] | None:
    """Who holds a claim, and when it was touched; None where it is gone."""
    try:
        # Opened, since NFS answers for an open file from the server, and else from memory.
        with path.open("rb") as file:
            content, touched = file.read(), os.fstat(file.fileno()).st_mtime_ns
    except FileNotFoundError:
        return None
    try:
        return Holder.model_validate_json(content), touched
    except ValueError:
        return None, touched


def _made(claim: Claim) -> bool:
    """Make the file of a claim, whole and only if nobody else has."""
    content = claim.holder.model_dump_json().encode()
    draft = claim.path.parent / f".{claim.holder.token}.tmp"
    write_bytes(draft, content)
    try:
        os.link(draft, claim.path)
    except FileExistsError:
        # The answer to a link that was made may be lost on its way from an NFS server.
        return draft.stat().st_nlink == 2
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _made_without_links(claim.path, content)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(claim.path.parent)
    return True


def _made_without_links(path: Path, content: bytes) -> bool:
    try:
        with path.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        return False
    return True


def at_work(run: Path) -> list[str]:
    """Workers that hold a claim, for people: of other machines, those that were here just now."""
    found: dict[str, None] = {}
    for folder in sorted(claims_folder(run).glob("*/")):
        last = _last(folder)
        read = _read(claim_path(run, folder.name, last)) if last else None
        if read is None or read[0] is None or read[0].released:
            continue
        holder, touched = read[0], read[1] / 1e9
        # A time in the future is of before a clock was set back.
        if holder.alive is not False and abs(time.time() - touched) < LEASE:
            found[holder.shown] = None
    return list(found)
