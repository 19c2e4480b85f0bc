"""A Dataset in an object store: its files come to this node when they are first needed."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from alsweep.data.case import MANIFEST, Dataset, DatasetManifest, case_folder
from alsweep.data.opening import check_sizes, chunks, read_manifest, torn
from alsweep.errors import DatasetError, StoreError
from alsweep.files import write_bytes
from alsweep.storage.cache import cache_folder, short_name
from alsweep.storage.client import Store, refuse_bad_key
from alsweep.storage.fetching import Wanted, fetched
from alsweep.storage.place import is_remote, local, url_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CHECKED = ".whole-"
"""How the mark begins that the sizes of a Dataset's files were looked up, at one place of it."""


class RemoteDataset(Dataset):
    """A Dataset whose files are fetched into this node's cache, where all processes share them.

    They lie there by fingerprint, so that copies of a Dataset in several places are fetched once.
    """

    def __init__(self, place: Path, manifest: DatasetManifest, cache: Path) -> None:
        super().__init__(place, manifest)
        self._cache = cache

    @classmethod
    def open(cls, path: Path | str) -> RemoteDataset:
        """See :meth:`Dataset.open`."""
        place, store, cache = Path(path), Store(path), cache_folder() / "datasets"
        content, etag = _manifest(store)
        manifest = _stored(content, cache, store.url)
        for case in manifest.cases:
            refuse_bad_key(store.url, case_folder(Path(), case.id).as_posix())
        dataset, folder = cls(place, manifest, cache), cache / manifest.fingerprint
        mark = folder / f"{_CHECKED}{short_name(store.url + etag)}"
        if not mark.exists():
            check_sizes(dataset, folder, {one.key: one.size for one in store.objects()})
            mark.touch()
        return dataset

    def _file(self, case: str, chunk: Path) -> Path:
        path = case_folder(Path(), case) / chunk
        size, digest = chunks(self.case(case), len(self.channels))[chunk]
        place = self._cache / self.fingerprint / path
        wanted = Wanted(url_of(self.path), path.as_posix(), place, size, digest)
        try:
            return fetched(wanted, self._cache)
        except StoreError as error:
            raise DatasetError(str(error)) from error


def _manifest(store: Store) -> tuple[bytes, str]:
    try:
        return store.get(MANIFEST)
    except FileNotFoundError:
        raise DatasetError(
            f"{store.url}: no such Dataset, it has no {MANIFEST}; make one with 'alsweep ingest'"
        ) from None


def _stored(content: bytes, cache: Path, url: str) -> DatasetManifest:
    """Check a manifest, and keep it beside the files that it tells of."""
    cache.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=cache))
    try:
        write_bytes(temporary / MANIFEST, content)
        manifest = read_manifest(temporary, url)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    kept = cache / manifest.fingerprint / MANIFEST
    if not kept.exists():
        write_bytes(kept, content)
    return manifest


@dataclass(frozen=True)
class Making:
    """A Dataset that is being made.

    Attributes:
        place: Where it is to lie.
        folder: Where it is written.
    """

    place: Path
    folder: Path

    def placed(self, dataset: Dataset) -> Dataset:
        """Bring what was written to its place, if that is not where it was written."""
        return upload(self.folder, self.place) if is_remote(self.place) else dataset


@contextmanager
def to_make(place: Path) -> Iterator[Making]:
    """Where to write a Dataset: there, or in a temporary folder for a place in an object store.

    Raises:
        DatasetError: Something lies there already.
    """
    if not is_remote(place):
        yield Making(place, local(place))
        return
    refuse_taken(Store(place))
    with tempfile.TemporaryDirectory(prefix="alsweep-") as folder:
        yield Making(place, Path(folder) / MANIFEST.split(".", 1)[0])


def upload(folder: Path, place: Path | str) -> Dataset:
    """Copy a Dataset into an object store; it is one there once its manifest comes, the last.

    Raises:
        DatasetError: Something lies there already.
    """
    store = Store(place)
    refuse_taken(store)
    for path in _files(folder):
        store.put(path.relative_to(folder).as_posix(), path)
    if store.create(MANIFEST, (folder / MANIFEST).read_bytes()) is None:
        raise torn(store.url, "somebody else has written one there meanwhile")
    return Dataset.open(place)


def refuse_taken(store: Store) -> None:
    """Refuse a place where something lies, as for a local folder.

    What an upload that was broken off has left there is no Dataset, and is written again.

    Raises:
        DatasetError: Something does.
    """
    folders, objects = store.folders()
    foreign = [one.key for one in objects] + [one for one in folders if one != "cases"]
    if foreign:
        raise DatasetError(f"{store.url}: holds '{foreign[0]}' already; choose another --out")


def _files(folder: Path) -> Iterable[Path]:
    """All but the manifest, in a fixed order."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path for path in found if path != folder / MANIFEST]
