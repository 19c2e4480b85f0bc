"""The doors: where a place in an object store becomes a local folder to work in, or to read."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from itertools import count
from pathlib import Path

from alsweep.errors import AlsweepError, ConfigError, RunFolderError
from alsweep.files import mirror_above
from alsweep.layout import (
    mirror_mark,
    models_folder,
    space_path,
    trajectories_folder,
    trajectory_folder,
)
from alsweep.storage.cache import cache_folder, one_at_a_time, short_name
from alsweep.storage.client import Store
from alsweep.storage.credentials import secrets_of_workers
from alsweep.storage.lease import last_number, seen_at_work
from alsweep.storage.mirror import Mirror, mark, mirror_at
from alsweep.storage.place import is_remote, local, url_of

_COPY_THERE = "name a folder here, and copy it there then"
COPY_HERE = "copy it to a folder here first, as by 'aws s3 sync', and name that"
"""What helps against a place in an object store."""

_DRIVER, _READER, _NODE, _WORKER = "driver", "reader", "node-", "worker-"


def home_of(url: str) -> Path:
    """Where this node keeps what it has of a run."""
    return cache_folder() / "runs" / short_name(url)


@contextmanager
def to_work_in(place: Path) -> Iterator[Path]:
    """The folder in which a driver works on a run: the run itself where it is local.

    Args:
        place: A run folder, or its place in an object store.

    Yields:
        The folder, absolute; it holds what the run tells.

    Raises:
        RunFolderError: Another driver of this machine has it.
        StoreError: The store refuses, or has not answered for long.
    """
    if not is_remote(place):
        yield local(place).absolute()
        return
    url = url_of(place)
    root = home_of(url) / _DRIVER
    with ExitStack() as held, _named(root, url):
        held.enter_context(_of_this_machine(home_of(url), url))
        yield _brought_up(root, url)


@contextmanager
def _of_this_machine(home: Path, url: str) -> Iterator[None]:
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = seen_at_work(Store(url)) or "of this machine"
            raise RunFolderError(
                f"{url}: another alsweep ({who}) is at work in it; wait for it, or stop it first"
            ) from None
        yield


@contextmanager
def to_share(place: Path) -> Iterator[Path]:
    """The folder in which one of many workers sees a run: the run itself where it is local.

    Each worker of a node has one of its own. It writes in the name of the last driver, so that the
    next one ends its writing.

    Args:
        place: A run folder, or its place in an object store.

    Yields:
        The folder, absolute; it holds what the run tells.

    Raises:
        RunFolderError: A driver is at work in it.
        StoreError: The store refuses, or has not answered for long.
    """
    if not is_remote(place):
        yield local(place).absolute()
        return
    url = url_of(place)
    with _desk(home_of(url)) as root, _named(root, url):
        number = last_number(Store(url))
        secrets_of_workers().take()  # now that it answers: be patient from here on
        mark(root, url, number)
        _mirror(root).fetch()
        yield root


@contextmanager
def _desk(home: Path) -> Iterator[Path]:
    """The first folder of workers on this node that nobody is in."""
    home.mkdir(parents=True, exist_ok=True)
    for number in count():
        with (home / f".{_WORKER}{number}.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield home / f"{_WORKER}{number}"
            return


@contextmanager
def to_read(place: Path) -> Iterator[Path]:
    """A folder with what a run tells: the run itself where it is local.

    What is written into it is brought to the store by :func:`send` alone.
    """
    if not is_remote(place):
        yield local(place)
        return
    url = url_of(place)
    root = home_of(url) / _READER
    with _named(root, url):
        yield _brought_up(root, url)


def _brought_up(root: Path, url: str) -> Path:
    with one_at_a_time(root.with_name(f".{root.name}")):
        mark(root, url, None)
        mirror = _mirror(root)
        mirror.fetch()
        if not space_path(root).exists():
            # What is left here is of a run that somebody has removed there.
            shutil.rmtree(root)
            mark(root, url, None)
            mirror.fetch()
    return root


def near(place: Path | str) -> Path:
    """Where a run, or a trajectory in one, can be read here: the place itself where it is local.

    Args:
        place: The folder, or its place in an object store. Of a run what it tells is brought once
            for this process; of a trajectory, what it tells now.

    Raises:
        StoreError: The store refuses, or has not answered for long.
    """
    if not is_remote(place):
        return Path(place)
    url, id_ = _run_and_trajectory(place)
    root = home_of(url) / _READER
    if not id_:
        return _once(root, url, os.getpid())
    folder = trajectory_folder(root, id_)
    with one_at_a_time(root.with_name(f".{root.name}")):
        mark(root, url, None)
    refresh(root, folder.relative_to(root).as_posix())
    return folder


def _run_and_trajectory(place: Path | str) -> tuple[str, str]:
    url, _, id_ = url_of(place).partition(f"/{trajectories_folder(Path()).name}/")
    return url, id_


def told_of(place: Path | str, text: str) -> str:
    """What is said of a place that was near, in the user's words: its URL, and not the folder."""
    if not is_remote(place):
        return text
    url, _ = _run_and_trajectory(place)
    return text.replace(str(home_of(url) / _READER), url)


@lru_cache(maxsize=8)
def _once(root: Path, url: str, process: int) -> Path:
    return _brought_up(root, url)


def refresh(folder: Path, under: str = "", besides: str | None = None) -> None:
    """Bring a folder that mirrors a run up to it once more.

    Args:
        folder: Any folder; one that mirrors nothing is left alone.
        under: See :meth:`Mirror.fetch`; so is the other.
        besides: A part of the run that somebody is at work in here.
    """
    mirror = mirror_at(folder)
    if mirror is not None:
        with one_at_a_time(folder.with_name(f".{folder.name}")):
            mirror.fetch(under, besides)


def send(folder: Path, written: Path) -> None:
    """Bring what was written in a mirror, a picture or a whole report, to the store."""
    mirror = mirror_at(folder)
    if mirror is not None and written.is_relative_to(folder):
        mirror.upload(written)


def to_train_in(url: str, number: int) -> Path:
    """The folder of this node in which workers of a driver do their trajectories.

    Each driver's have one of their own, so that a worker whose driver is gone writes in the name of
    that one; the networks they share.
    """
    home = home_of(url)
    root = home / f"{_NODE}{number}"
    if not mirror_mark(root).exists():
        with one_at_a_time(home / ".nodes"):
            models_folder(home).mkdir(parents=True, exist_ok=True)
            for other in home.glob(f"{_NODE}*"):
                if int(other.name.removeprefix(_NODE)) < number:
                    shutil.rmtree(other, ignore_errors=True)  # whose workers may write no more
            root.mkdir(exist_ok=True)
            if not models_folder(root).exists():
                models_folder(root).symlink_to(models_folder(home))
            mark(root, url, number)
    return root


def shown(path: Path) -> Path | str:
    """A path as the user would write it: from here, or the URL of what it mirrors."""
    if (root := mirror_above(path / "any")) is not None:
        rest, url = path.relative_to(root).as_posix(), _mirror(root).store.url
        return url if rest == "." else f"{url}/{rest}"
    if is_remote(path):
        return url_of(path)
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def known_as(path: Path) -> str:
    """A path in full, or the URL of what it mirrors."""
    return str(path if mirror_above(path / "any") is None else shown(path))


def refuse_remote(place: Path | None, option: str, mend: str = _COPY_THERE) -> None:
    """Refuse a place in an object store where a folder is wanted.

    Raises:
        ConfigError: It is one, or an address of a kind that is not known.
    """
    if place is None:
        return
    if is_remote(place):
        raise ConfigError(f"{option} {url_of(place)}: {mend}")
    local(place)


@contextmanager
def _named(root: Path, url: str) -> Iterator[None]:
    """Name the run, and not its mirror, in what is told of errors."""
    try:
        yield
    except AlsweepError as error:
        if str(root) not in str(error):
            raise
        raise type(error)(str(error).replace(str(root), url)) from error


def _mirror(root: Path) -> Mirror:
    found = mirror_at(root)
    assert found is not None, "it was marked"
    return found
