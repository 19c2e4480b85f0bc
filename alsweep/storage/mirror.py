"""A local folder that stands for a run in an object store.

Everything works in the folder. What lies in the store is the truth: the folder is brought up to it
by :meth:`Mirror.fetch`, and each durable write in the folder goes to the store before whoever wrote
it goes on, so that the order of writes is the same there.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path, PurePosixPath

from alsweep.errors import RunFolderError
from alsweep.layout import (
    LOCK,
    SPACE,
    is_commit,
    is_of_trajectory,
    is_told,
    is_view,
    mirror_mark,
    report_folder,
)
from alsweep.storage.client import Found, Store
from alsweep.storage.holder import Holder
from alsweep.storage.patience import Patience

_AT_ONCE = 16
"""Requests that are under way together while a mirror is brought up."""

_OURS = {"plugins", "dataset", LOCK}
"""What a run that was broken off early may hold before its sweep.yaml."""

_log = logging.getLogger(__name__)


class SupersededError(RunFolderError):
    """Somebody else writes this run now, or has written this part of it."""


def mark(root: Path, url: str, number: int | None) -> None:
    """Make a folder a mirror.

    Args:
        root: The folder.
        url: Of the run that it stands for.
        number: Of the driver in whose name is written; None to read alone.
    """
    root.mkdir(parents=True, exist_ok=True)
    write_quietly(mirror_mark(root), json.dumps({"url": url, "number": number}).encode())


def mirror_at(root: Path, patience: Patience | None = None) -> Mirror | None:
    """The mirror that a folder is; None for any other folder."""
    try:
        text = mirror_mark(root).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    return _mirror(root, text, os.getpid(), patience)


@lru_cache(maxsize=8)
def _mirror(root: Path, text: str, process: int, patience: Patience | None) -> Mirror:
    """Kept, since each has connections."""
    said = json.loads(text)
    return Mirror(root, Store(said["url"], patience), said["number"])


def bring(root: Path, path: Path) -> None:
    """Bring a file of a run to a folder that mirrors it, if it is there and was not brought yet."""
    mirror = None if path.exists() else mirror_at(root)
    if mirror is not None:
        mirror.pull(path)


def publish(root: Path, path: Path) -> None:
    """Bring a file to the store, if it is one that a run tells in.

    Raises:
        SupersededError: Another driver has taken over.
        StoreError: The store refuses, or has not answered for long.
    """
    mirror = mirror_at(root)
    if mirror is not None and mirror.number is not None and is_told(path.relative_to(root)):
        mirror.publish(path)


def withdraw(root: Path, path: Path) -> None:
    """Remove from the store what was removed from the folder."""
    mirror = mirror_at(root)
    if mirror is not None and mirror.number is not None and is_told(path.relative_to(root)):
        mirror.refuse_if_superseded()
        mirror.store.delete([mirror.key(path)])


class Mirror:
    """See the module.

    Attributes:
        root: The folder.
        store: Where the run lies.
        number: Of the driver in whose name is written; None to read alone.
    """

    def __init__(self, root: Path, store: Store, number: int | None) -> None:
        self.root = root
        self.store = store
        self.number = number

    def key(self, path: Path) -> str:
        """The key of a file."""
        return path.relative_to(self.root).as_posix()

    def refuse_if_superseded(self) -> None:
        """See whether a newer driver has the run.

        Raises:
            SupersededError: One has.
        """
        holder = Holder.read(self.store)[0]
        if holder is not None and self.number is not None and holder.number > self.number:
            raise SupersededError(
                f"{self.store.url}: another alsweep ({holder.told}) has taken the run over; "
                "nothing more is written here"
            )

    def publish(self, path: Path) -> None:
        """Bring a file to the store; what makes a loop finished is written once."""
        self.refuse_if_superseded()
        key, content = self.key(path), path.read_bytes()
        if not is_commit(PurePosixPath(key)):
            self.store.put(key, content)
        elif self.store.create(key, content) is None and self.store.get(key)[0] != content:
            raise SupersededError(
                f"{self.store.url}: {key} was committed by somebody else, with other patches"
            )

    def fetch(self, under: str = "", besides: str | None = None) -> None:
        """Make the small files of the folder those of the store.

        Args:
            under: The part of the run; all of it if left out.
            besides: A folder in it that is left as it is.

        Raises:
            StoreError: A key of the run would leave its folder.
        """
        found = [one for one in self.listed(under) if is_told(PurePosixPath(one.key))]
        wanted = {self.root / one.key: one for one in found}
        if besides is not None:
            wanted = {p: one for p, one in wanted.items() if self.root / besides not in p.parents}
        for path in self._small_files(self.root / under):
            left = besides is not None and self.root / besides in path.parents
            if path not in wanted and not left:
                path.unlink(missing_ok=True)
        stale = [one for path, one in wanted.items() if not _is_same(path, one)]
        self._each(self._fetch_one, [one.key for one in stale])

    def listed(self, under: str = "") -> Iterable[Found]:
        """All objects of the run but those of views, of which there may be millions."""
        every: Iterable[Found] = self.store.objects(under, _behind_view)
        return (one for one in every if not is_view(PurePosixPath(one.key)))

    def pull(self, path: Path) -> bool:
        """Bring one file of the store to the folder; returns whether it is there."""
        try:
            self._fetch_one(self.key(path))
        except FileNotFoundError:
            return False
        return True

    def pull_all(self, paths: Iterable[Path]) -> None:
        """Bring files of the store to the folder, many at once."""
        self._each(self._fetch_one, [self.key(path) for path in paths])

    def _fetch_one(self, key: str) -> None:
        write_quietly(self.root / key, self.store.get(key)[0])

    def _each(self, do: Callable[[str], None], keys: list[str]) -> None:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in pool.map(do, keys):
                pass

    def _small_files(self, folder: Path) -> list[Path]:
        files = (path for path in folder.rglob("*") if path.is_file())
        return [path for path in files if is_told(path.relative_to(self.root))]

    def publish_rest(self) -> None:
        """Bring to the store what is no trajectory's and was not written durably: tables, report.

        The page of a report comes last, as on a disk.
        """
        self.refuse_if_superseded()
        there = {one.key: one for one in self.listed()}
        own = [
            p
            for p in self._small_files(self.root)
            if not is_of_trajectory(p.relative_to(self.root))
        ]
        report = report_folder(self.root)
        pages = sorted(_visible(report), key=lambda path: (path.suffix == ".html", path))
        for path in (*own, *pages):
            key = self.key(path)
            if key not in there or not _is_same(path, there[key]):
                self.store.put(key, path)
        gone = {key for key in there if PurePosixPath(key).parts[0] == report.name}
        if pages:
            self.store.delete(sorted(gone - {self.key(path) for path in pages}))

    def upload(self, folder: Path) -> None:
        """Bring all files of a folder to the store, or one file."""
        self._each(self._upload_one, [self.key(path) for path in _visible(folder)])

    def _upload_one(self, key: str) -> None:
        self.store.put(key, self.root / key)

    def refuse_foreign(self) -> None:
        """Refuse a place that holds something which alsweep did not begin.

        Raises:
            RunFolderError: It does; names it.
        """
        folders, objects = self.store.folders()
        names = {*folders, *(one.key for one in objects)}
        if SPACE not in names and names - _OURS:
            raise RunFolderError(
                f"{self.store.url}: holds '{min(names - _OURS)}' and no {SPACE}, so alsweep did "
                "not begin it; choose another --out"
            )


def _visible(folder: Path) -> list[Path]:
    """Files of a folder that are finished; a file is one itself."""
    if not folder.is_dir():
        return [folder] if folder.exists() else []
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(
        p for p in found if not any(x.startswith(".") for x in p.relative_to(folder).parts)
    )


def _is_same(path: Path, found: Found) -> bool:
    """Whether a file has the content of an object, by its size and what most stores call it."""
    try:
        if path.stat().st_size != found.size:
            return False
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return hashlib.md5(content, usedforsecurity=False).hexdigest() == found.etag.strip('"')


def _behind_view(key: str) -> str | None:
    """Where to go on a listing that has come to a view of labels."""
    path = PurePosixPath(key)
    # "0" is what follows "/" in the order of keys.
    return f"{PurePosixPath(*path.parts[:3])}0" if is_view(path) else None


def write_quietly(path: Path, content: bytes) -> None:
    """Replace a file of a mirror at once, without telling the store of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
