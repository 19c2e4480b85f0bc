"""One driver at a time in a run of an object store: a lock that must be renewed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from alsweep.errors import AlsweepError, RunFolderError
from alsweep.layout import LOCK
from alsweep.storage.claims import workers_at
from alsweep.storage.client import Store
from alsweep.storage.holder import LEASE, Holder
from alsweep.storage.mirror import mark, mirror_at
from alsweep.storage.patience import Patience

if TYPE_CHECKING:
    from pathlib import Path

_SECONDS_BETWEEN = LEASE / 3
_SECONDS_TO_LOOK = 2.0
_SECONDS_OF_SILENCE = 4 * LEASE
_SECONDS_TO_RELEASE = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Times:
    """A clock, and what waits; tests bring their own."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def acquire(store: Store, times: Times | None = None) -> tuple[Holder, str]:
    """Make this process the driver of a run; returns what the lock says, and its etag.

    One that has let go, or of which this machine knows that it is gone, is followed at once. Of any
    other it is waited for whether it renews its lock, as long as that is believed.

    Raises:
        RunFolderError: Another driver is at work.
    """
    times = times or Times()
    while True:
        holder, etag = Holder.read(store)
        if holder is not None and not holder.is_gone:
            _wait(store, holder, etag, times)
        mine = Holder.here(1 if holder is None else holder.number + 1)
        if (new := mine.written(store, LOCK, etag)) is not None:
            return mine, new


def last_number(store: Store, times: Times | None = None) -> int:
    """The number of the last driver of a run, once that is not at work any more; 0 without one.

    Raises:
        RunFolderError: It is.
    """
    holder, etag = Holder.read(store)
    if holder is not None and not holder.is_gone:
        _wait(store, holder, etag, times or Times())
        holder, _ = Holder.read(store)
    return 0 if holder is None else holder.number


def _wait(store: Store, holder: Holder, etag: str, times: Times) -> None:
    """Wait until a lock is not believed any more.

    Raises:
        RunFolderError: It is renewed, or another driver has taken it.
    """
    if holder.is_alive_here:
        raise at_work(store, holder.told)
    _log.warning(
        "%s: %s held it last; waiting whether it is still at work, %.0f s at most",
        store.url,
        holder.told,
        LEASE,
    )
    until = times.clock() + LEASE
    while times.clock() < until:
        times.sleep(_SECONDS_TO_LOOK)
        now, there = Holder.read(store)
        if there != etag:
            if now is not None and not now.is_gone:
                raise at_work(store, now.told)
            return


def at_work(store: Store, who: str) -> RunFolderError:
    """The error on a run that others are at."""
    return RunFolderError(
        f"{store.url}: another alsweep ({who}) is at work in it; wait for it, or stop it first"
    )


def seen_at_work(store: Store) -> str | None:
    """Who seems to be at work in a run, for people: a lock is not waited for.

    One that was not renewed for long is not believed, as far as the clocks of store and reader go.
    """
    holder, _ = Holder.read(store)
    if holder is None or holder.is_gone:
        return ", ".join(workers_at(store, datetime.now(UTC))) or None
    silent = (datetime.now(UTC) - store.head(LOCK).modified).total_seconds()
    return holder.told if holder.is_alive_here or silent < _SECONDS_OF_SILENCE else None


class Renewal:
    """Renews a lock until it is released, in a thread of its own.

    A store that is away for longer than the lock is believed loses nothing by that alone: only
    where somebody else has taken the run meanwhile, nothing more is written.
    """

    def __init__(self, store: Store, mine: Holder, etag: str) -> None:
        self._store = store
        self._mine = mine
        self._etag = etag
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(_SECONDS_BETWEEN):
            with suppress(AlsweepError):  # told already; the next try is soon
                if not self.renew():
                    return

    def renew(self) -> bool:
        """Renew the lock; returns whether it is still ours."""
        mine = replace(self._mine, beat=self._mine.beat + 1)
        etag = mine.written(self._store, LOCK, self._etag)
        if etag is None:
            _log.warning("warning: %s: another alsweep has taken the run over", self._store.url)
            return False
        self._mine, self._etag = mine, etag
        return True

    def release(self) -> None:
        """Let go, so that nobody has to wait."""
        self._over.set()
        self._thread.join()
        store = Store(self._store.url, Patience(_SECONDS_TO_RELEASE))
        replace(self._mine, released=True).written(store, LOCK, self._etag)


@contextmanager
def leased(run: Path) -> Iterator[None]:
    """Hold the run that a folder mirrors for this driver; any other folder is left alone.

    At the end what is still to be published is.

    Raises:
        RunFolderError: Another driver is at work in it, or something which alsweep did not begin.
        StoreError: The store refuses, or has not answered for long.
    """
    mirror = mirror_at(run)
    if mirror is None:
        yield
        return
    store = mirror.store
    mirror.refuse_foreign()
    if workers := workers_at(store):
        raise at_work(store, ", ".join(workers))
    mine, etag = acquire(store)
    renewal = Renewal(store, mine, etag)
    try:
        mark(run, store.url, mine.number)
        held = mirror_at(run)
        assert held is not None, "marked just now"
        held.fetch()
        yield
        held.publish_rest()
    finally:
        mark(run, store.url, None)
        with suppress(AlsweepError):
            renewal.release()
