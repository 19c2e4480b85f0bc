"""One prefix of an object store: small durable objects, asked for with patience and counted."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from alsweep.errors import ConfigError, StoreError
from alsweep.storage.credentials import allows_http, options
from alsweep.storage.patience import Patience, TransientError
from alsweep.storage.place import url_of

if TYPE_CHECKING:
    from obstore.store import ObjectStore

T = TypeVar("T")

_PART = 8 << 20
"""Bytes that one request brings, and above which an object is sent with more time."""

_SECONDS, _SECONDS_FOR_LARGE, _SECONDS_TO_CONNECT = 60, 900, 10
_STATUS = re.compile(r"status code: (\d{3})")
_MESSAGE = re.compile(r"<Message>([^<]{1,300})</Message>")
_AGAIN = {408, 425, 429}
"""Refusals of a client that another try may mend; those of 500 and above are the server's."""

_NOBODY = "169.254.169.254"
"""Where a machine in a cloud is asked who it is, when nothing else says so."""

MEND = "see to AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_REGION and AWS_ENDPOINT_URL, and to its rights"


@dataclass(frozen=True)
class Found:
    """An object as a listing or an answer describes it.

    Attributes:
        key: Below the prefix.
        size: Bytes.
        etag: Another one whenever the content is another.
        modified: When it was written, by the store's clock.
    """

    key: str
    size: int
    etag: str
    modified: datetime


@dataclass
class Traffic:
    """What was asked of a store: the base of its bill."""

    requests: Counter[str] = field(default_factory=Counter)
    received: int = 0
    sent: int = 0


class ForkedError(RuntimeError):
    """The client was used before this process was forked, and cannot be used in it."""


class Store:
    """The objects below a URL.

    Every call raises StoreAwayError where nobody answers for long, and StoreError where the store
    refuses; an object is there whole or not at all.

    Args:
        place: URL, or the path that stands for one.
        patience: With a store that does not answer.
        seconds: After which a request counts as not answered.
    """

    def __init__(
        self, place: Path | str, patience: Patience | None = None, seconds: float = _SECONDS
    ) -> None:
        self.url = url_of(place)
        self.traffic = Traffic()
        self._patience = patience or Patience()
        self._seconds = seconds

    def hurried(self, seconds: float) -> Store:
        """The same store, asked once and not for long."""
        store = Store(self.url, Patience(0.0), seconds)
        store.traffic = self.traffic
        return store

    @cached_property
    def _small(self) -> ObjectStore:
        return self._client(self._seconds)

    @cached_property
    def _large(self) -> ObjectStore:
        return self._client(max(self._seconds, _SECONDS_FOR_LARGE))

    def _client(self, seconds: float) -> ObjectStore:
        if _first_user() != os.getpid():
            raise ForkedError(self.url)
        from_url = _imported()
        times = {
            "timeout": timedelta(seconds=seconds),
            "connect_timeout": timedelta(seconds=min(seconds, _SECONDS_TO_CONNECT)),
            "allow_http": allows_http(),
        }
        # What is tried again is ours to say: the library's own tries would be silent.
        retry = {"max_retries": 0, "retry_timeout": timedelta(seconds=seconds)}
        client: ObjectStore = from_url(
            self.url, client_options=times, retry_config=retry, **options(self.url)
        )
        return client

    def get(self, key: str) -> tuple[bytes, str]:
        """Content and etag of an object.

        Raises:
            FileNotFoundError: There is none.
        """

        def get() -> tuple[bytes, str]:
            answer = self._small.get(key)
            return bytes(answer.bytes()), str(answer.meta["e_tag"])

        content, etag = self._ask("GET", get)
        self.traffic.received += len(content)
        return content, etag

    def head(self, key: str) -> Found:
        """What an object is, without its content.

        Raises:
            FileNotFoundError: There is none.
        """
        return self._ask("HEAD", lambda: _found(self._small.head(key)))

    def pieces(self, key: str, size: int) -> Iterator[bytes]:
        """The content of a large object, a part at a time.

        Raises:
            FileNotFoundError: There is none.
        """
        for start in range(0, size, _PART):
            end = min(size, start + _PART)
            yield self._piece(key, start, end)

    def _piece(self, key: str, start: int, end: int) -> bytes:
        def get() -> bytes:
            return bytes(self._small.get_range(key, start=start, end=end))

        content = self._ask("GET", get)
        self.traffic.received += len(content)
        return content

    def put(self, key: str, content: bytes | Path) -> str:
        """Write an object, whatever was there; returns its etag."""
        return self._put(key, content, "overwrite") or ""

    def create(self, key: str, content: bytes | Path) -> str | None:
        """Write an object unless one is there; returns its etag, or None where one is."""
        return self._put(key, content, "create")

    def replace(self, key: str, content: bytes, etag: str) -> str | None:
        """Write an object if the one there is still that; returns its etag, or None if not."""
        return self._put(key, content, {"e_tag": etag})

    def _put(self, key: str, content: bytes | Path, mode: Any) -> str | None:
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        size = content.stat().st_size if isinstance(content, Path) else len(content)
        client = self._small if size <= _PART else self._large
        try:
            answer = self._ask("PUT", lambda: client.put(key, content, mode=mode))
        except (AlreadyExistsError, PreconditionError):
            return None
        self.traffic.sent += size
        return str(answer["e_tag"])

    def objects(
        self, under: str = "", skip: Callable[[str], str | None] = lambda key: None
    ) -> Iterator[Found]:
        """All objects below a folder, by key.

        Args:
            under: The folder, without a slash at its end; empty for all.
            skip: Told the last key of each answer; may say which key to go on behind.

        Returns:
            Them, by key.

        Raises:
            StoreError: A key is no path, or would leave its folder.
        """
        offset: str | None = None
        while True:
            page = self._page(under, offset)
            for found in page:
                refuse_bad_key(self.url, found.key)
                yield found
            if len(page) < _PAGE:
                return
            offset = skip(page[-1].key) or page[-1].key

    def _page(self, under: str, offset: str | None) -> list[Found]:
        def ask() -> list[Found]:
            stream = self._small.list(under or None, offset=offset, chunk_size=_PAGE)
            return [_found(meta) for meta in next(iter(stream), [])]

        return self._ask("LIST", ask)

    def folders(self, under: str = "") -> tuple[list[str], list[Found]]:
        """Folders and objects right below a folder, by name."""

        def ask() -> tuple[list[str], list[Found]]:
            answer = self._small.list_with_delimiter(under or None)
            return list(answer["common_prefixes"]), [_found(meta) for meta in answer["objects"]]

        return self._ask("LIST", ask)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; one that is not there is gone already."""
        gone = list(keys)
        if not gone:
            return

        def delete() -> None:
            for key in gone:
                try:
                    self._small.delete(key)
                except FileNotFoundError:
                    continue

        self._ask("DELETE", delete)

    def _ask(self, kind: str, do: Callable[[], T]) -> T:
        def once() -> T:
            self.traffic.requests[kind] += 1
            with told(self.url):
                return do()

        return self._patience(self.url, once)


_PAGE = 1000
"""Objects in an answer of S3."""


@contextmanager
def told(url: str) -> Iterator[None]:
    """Tell what another try may mend from what it does not."""
    from obstore import exceptions as refused

    try:
        yield
    except refused.InvalidPathError as error:
        raise bad_key(url, _first_line(error).split('"')[1]) from error
    except (refused.PermissionDeniedError, refused.UnauthenticatedError) as error:
        raise StoreError(f"{url}: access is refused; {MEND}") from error
    except (refused.GenericError, refused.JoinError, OSError) as error:
        if "NoSuchBucket" in str(error):
            raise StoreError(f"{url}: there is no such bucket; make it, or {MEND}") from error
        if isinstance(error, FileNotFoundError):
            raise
        if _NOBODY in str(error):
            raise StoreError(f"{url}: there are no keys to it; {MEND}") from error
        status = _STATUS.search(str(error))
        code = int(status[1]) if status else 400 if "builder error" in str(error) else 500
        if code < 500 and code not in _AGAIN:
            raise StoreError(f"{url}: {_first_line(error)}; {MEND}") from error
        raise TransientError(f"status {code}" if status else _first_line(error)) from error


def _first_line(error: BaseException) -> str:
    """What the store says of an error, or the library, less its notes for those who write it."""
    if (message := _MESSAGE.search(str(error))) is not None:
        return message[1]
    said = " ".join(str(error).split("Debug source:")[0].split())
    return said.rpartition(" - ")[2][:300]


def _found(meta: Any) -> Found:
    return Found(str(meta["path"]), int(meta["size"]), str(meta["e_tag"]), meta["last_modified"])


def refuse_bad_key(url: str, key: str) -> None:
    """Refuse a key that as a path would lead elsewhere.

    Raises:
        StoreError: It does.
    """
    path = PurePosixPath(key)
    odd = path.is_absolute() or ".." in path.parts or str(path) != key
    if odd or "\\" in key or "\0" in key:
        raise bad_key(url, key)


def bad_key(url: str, key: str) -> StoreError:
    """The error on a key that is no path within its folder."""
    return StoreError(
        f"{url}: holds an object '{key}', whose key is no plain path, which alsweep never writes; "
        "see who else writes there, remove it, and give the command again"
    )


@lru_cache(maxsize=1)
def _first_user() -> int:
    """The process that first used the client, whose threads a fork does not have."""
    return os.getpid()


def _imported() -> Callable[..., Any]:
    try:
        from obstore.store import from_url
    except ImportError:
        raise ConfigError(
            "object storage needs the package obstore; pip install 'alsweep[cluster]'"
        ) from None
    found: Callable[..., Any] = from_url
    return found
