"""Who holds a run in an object store, or a part of it: the content of a lock."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from alsweep.layout import LOCK

if TYPE_CHECKING:
    from alsweep.storage.client import Store

LEASE = 30.0
"""Seconds for which a lock that is not renewed is believed."""

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/ns/pid")


@dataclass(frozen=True)
class Holder:
    """A driver or a worker, or the last one.

    Attributes:
        host: Its machine.
        boot: Which start of that machine, and which of its process namespaces: containers cannot
            see each other's processes. As far as the system says so.
        process: Its id there.
        began: When that process began, as the system counts; tells it from a later one of its id.
        number: Grows with each holder: the writes of an older driver are refused.
        beat: Grows with each renewal, so that others see one without comparing clocks.
        released: Whether it has let go.
    """

    host: str
    boot: str
    process: int
    began: str
    number: int
    beat: int = 0
    released: bool = False

    @classmethod
    def here(cls, number: int) -> Holder:
        """This process."""
        process = os.getpid()
        return cls(socket.gethostname(), _boot(), process, _began(process), number)

    @classmethod
    def read(cls, store: Store, key: str = LOCK) -> tuple[Holder | None, str]:
        """Who holds a run, and the etag of its lock; None where nobody ever did.

        Args:
            store: Where the run lies.
            key: Of another lock in it.
        """
        try:
            content, etag = store.get(key)
        except FileNotFoundError:
            return None, ""
        return cls._of(content), etag

    @classmethod
    def _of(cls, content: bytes) -> Holder | None:
        try:
            said = json.loads(content)
            return cls(**{field.name: said[field.name] for field in fields(cls)})
        except (ValueError, TypeError, KeyError):
            return None

    @property
    def content(self) -> bytes:
        """Of the lock."""
        return json.dumps(asdict(self)).encode()

    def written(self, store: Store, key: str, etag: str) -> str | None:
        """Write a lock in place of the one that was read; None where somebody was faster.

        Args:
            store: Where the run lies.
            key: Of the lock.
            etag: Of the one that was read; empty where there was none.
        """
        content = self.content
        new = store.replace(key, content, etag) if etag else store.create(key, content)
        if new is None:
            # A write whose answer was lost has been done nevertheless.
            holder, there = Holder.read(store, key)
            return there if holder == self else None
        return new

    @property
    def told(self) -> str:
        """For people."""
        return f"process {self.process} on {self.host}"

    @property
    def is_here(self) -> bool:
        """Whether it is, or was, of this machine."""
        return (self.host, self.boot) == (socket.gethostname(), _boot())

    @property
    def is_alive_here(self) -> bool:
        """Whether it is a process of this machine that still runs."""
        return self.is_here and _began(self.process) == self.began != ""

    @property
    def is_gone(self) -> bool:
        """Whether it is known to hold nothing any more."""
        return self.released or (self.is_here and not self.is_alive_here)


def _boot() -> str:
    told = []
    with suppress(OSError):
        told.append(_BOOT.read_text(encoding="ascii").strip())
        told.append(str(_NAMESPACE.readlink()))
    return " ".join(told)


def _began(process: int) -> str:
    """When a process began; empty where there is none."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except OSError:
        return "" if Path("/proc/self/stat").exists() else _is_there(process)
    # The name, in brackets, may hold anything.
    state, *rest = stat.rpartition(")")[2].split()
    return "" if state == "Z" else rest[18]


def _is_there(process: int) -> str:
    """Where the system does not say when, whether."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return ""
    except OSError:
        pass
    return "some time"
