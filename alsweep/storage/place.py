"""Where things lie: on a disk, or in an object store, whose URL stands in a path.

A ``Path`` writes ``s3://bucket/run`` as ``s3:/bucket/run``. No folder is called ``s3:``, so that it
is known again wherever it comes by; people and files are shown the URL.
"""

import re
from pathlib import Path, PurePosixPath

from alsweep.errors import ConfigError

SCHEMES = ("s3", "gs", "az")
"""Of these, s3 is tested; Google's and Azure's stores are reached by the same code."""

_REMOTE = re.compile(rf"({'|'.join(SCHEMES)}):(?:/+(.*))?", re.DOTALL)
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+:)/")


def is_remote(place: Path | str) -> bool:
    """Whether a place is in an object store."""
    return _REMOTE.fullmatch(str(place)) is not None


def url_of(place: Path | str) -> str:
    """The URL of a remote place, without a slash at its end.

    Raises:
        ConfigError: It names no bucket, or leaves its folder by ``..``.
    """
    found = _REMOTE.fullmatch(str(place))
    assert found is not None, "asked of remote places alone"
    scheme, rest = found.groups()
    parts = PurePosixPath(rest or "").parts
    if not parts or ".." in parts or parts[0] == "/":
        raise ConfigError(
            f"{scheme}://{rest or ''}: expected {scheme}://BUCKET/PREFIX, without '..'"
        )
    return f"{scheme}://{'/'.join(parts)}"


def spelled(place: Path | str) -> str:
    """A place as people and files are shown it."""
    return url_of(place) if is_remote(place) else str(place)


def local(place: Path) -> Path:
    """A place that is in no object store.

    Raises:
        ConfigError: It is an address, of a kind that is not known; a folder would be made of it.
    """
    found = _ADDRESS.match(str(place))
    if found is not None and not Path(found[1]).exists():
        raise ConfigError(
            f"{place}: {found[1]}// is not known; write s3://BUCKET/PREFIX, or the path of a folder"
        )
    return place


def absolute(place: Path) -> Path:
    """A local path made absolute; a remote place is that already."""
    return place if is_remote(place) else local(place).absolute()


def resolved(place: Path | str) -> str:
    """A place that means the same from anywhere: its URL, or the path less links and dots."""
    return url_of(place) if is_remote(place) else str(Path(place).resolve())
