"""Claims in an object store: which worker does what, where many share a run without a driver.

A claim is an object that is written under conditions: of all that try to make it, or to take one
that is free, one succeeds. Its holder writes it anew every few seconds, on the condition that it is
still the holder's own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from alsweep.errors import AlsweepError
from alsweep.layout import claims_folder
from alsweep.storage.client import Store
from alsweep.storage.holder import Holder
from alsweep.storage.patience import Patience
from alsweep.storage.watching import LEASE, Watch, kept

_BEAT = 10.0
_SECONDS_FOR_A_BEAT = 5.0
_SECONDS_TO_RELEASE = 5.0

_FOLDER = claims_folder(Path()).as_posix()
_CLOCK = f"{_FOLDER}/.now"
"""Written to be told what time the store has."""


def _key(name: str) -> str:
    return f"{_FOLDER}/{name}.json"


@dataclass
class Claim:
    """A claim of this process.

    Attributes:
        store: Where the run lies.
        key: Of its object.
        holder: What stands in it.
        etag: Of the object as this process wrote it.
        lost: Whether somebody else has taken it, which held this process for dead.
        inherited: Who held it before and is gone without giving it back, for people.
    """

    store: Store
    key: str
    holder: Holder
    etag: str
    lost: bool = False
    inherited: str | None = None

    def beat(self) -> None:
        """Give a sign of life, and see whether the claim still counts."""
        mine = replace(self.holder, beat=self.holder.beat + 1)
        try:
            etag = mine.written(self.store.hurried(_SECONDS_FOR_A_BEAT), self.key, self.etag)
        except AlsweepError:
            return  # the store is away; others cannot see it either
        if etag is None:
            self.lost = True
        else:
            self.holder, self.etag = mine, etag

    def release(self) -> None:
        """Give it back; where that cannot be written, others wait for the lease to end."""
        store = Store(self.store.url, Patience(_SECONDS_TO_RELEASE))
        with suppress(AlsweepError):
            replace(self.holder, released=True).written(store, self.key, self.etag)


@dataclass
class ObjectClaims:
    """The claims of a run, as one worker sees them.

    Attributes:
        store: Where the run lies.
        clock: Seconds; tests bring their own.
        beat: Seconds between two signs of life.
        seconds_between_looks: Of who waits for a claim of somebody else.
    """

    store: Store
    clock: Callable[[], float] = time.monotonic
    beat: float = _BEAT
    seconds_between_looks: ClassVar[float] = 5.0
    _watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        self._watch = Watch(self.beat, clock=self.clock)

    def taken(self, name: str) -> AbstractContextManager[Claim | None]:
        """Hold a claim; the context is of None where somebody else has it."""
        return kept(self.take(name), self.beat)

    def take(self, name: str) -> Claim | None:
        """Make a claim, which the caller keeps alive; None where somebody else has it."""
        holder, there = Holder.read(self.store, _key(name))
        if there and not self._free(name, holder, there):
            return None
        mine = Holder.here(1 if holder is None else holder.number + 1)
        etag = mine.written(self.store, _key(name), there)
        if etag is None:
            return None
        inherited = None if holder is None or holder.released else holder.told
        return Claim(self.store, _key(name), mine, etag, inherited=inherited)

    def _free(self, name: str, holder: Holder | None, etag: str) -> bool:
        if holder is not None and holder.released:
            return True
        alive = holder.is_alive_here if holder is not None and holder.is_here else None
        number = 0 if holder is None else holder.number
        return self._watch.is_free(name, number, etag, alive=alive)

    def unsure(self, name: str) -> bool:
        """Whether a claim that could not be had may be a dead one's: wait, and see it touched."""
        return self._watch.unsure(name)


def workers_at(store: Store, now: datetime | None = None) -> list[str]:
    """Workers that hold a claim and gave a sign of life just now, for people.

    Args:
        store: Where the run lies.
        now: By a clock like the store's; its own is asked if left out, which writes there.
    """
    found = [one for one in store.objects(_FOLDER) if one.key.endswith(".json")]
    if found and now is None:
        store.put(_CLOCK, b"")
        now = store.head(_CLOCK).modified
    told: dict[str, None] = {}
    for one in found:
        if now is not None and (now - one.modified).total_seconds() < LEASE:
            holder, _ = Holder.read(store, one.key)
            if holder is not None and not holder.is_gone:
                told[holder.told] = None
    return list(told)
