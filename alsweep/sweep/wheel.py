"""The alsweep that runs, as a wheel: what is installed, or the tree it is imported from."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import alsweep
from alsweep import __version__
from alsweep.errors import ConfigError

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The same files make the same bytes, which a cluster then has already."""

_WHEEL = "Wheel-Version: 1.0\nGenerator: alsweep\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def package_folder() -> Path:
    """Where the alsweep that runs is imported from."""
    return Path(alsweep.__file__).parent


def write_wheel(folder: Path) -> Path:
    """Write the wheel of the alsweep that runs; what it needs is told by its installation.

    Raises:
        ConfigError: It is imported from a place and installed nowhere.
    """
    path = folder / f"alsweep-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        record = []
        for name, content in _files():
            archive.writestr(_entry(name), content)
            record.append(f"{name},{_hashed(content)},{len(content)}")
        name = f"{_dist_info()}/RECORD"
        archive.writestr(_entry(name), "\n".join([*record, f"{name},,", ""]))
    return path


def _files() -> Iterator[tuple[str, bytes]]:
    package = package_folder()
    for path in sorted(package.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield f"alsweep/{path.relative_to(package).as_posix()}", path.read_bytes()
    installed = _installed()
    yield f"{_dist_info()}/METADATA", _metadata(installed).encode()
    yield f"{_dist_info()}/WHEEL", _WHEEL.encode()
    yield (
        f"{_dist_info()}/entry_points.txt",
        (installed.read_text("entry_points.txt") or "").encode(),
    )


def _metadata(installed: metadata.Distribution) -> str:
    """As installed, but for the version: an editable installation may tell an older one."""
    text = installed.read_text("METADATA") or ""
    return text.replace(f"\nVersion: {installed.version}\n", f"\nVersion: {__version__}\n", 1)


def _installed() -> metadata.Distribution:
    try:
        return metadata.distribution("alsweep")
    except metadata.PackageNotFoundError:
        raise ConfigError(
            f"{package_folder()}: alsweep is imported from here, but is not installed, so that "
            "nobody knows what it needs; pip install -e it"
        ) from None


def _dist_info() -> str:
    return f"alsweep-{__version__}.dist-info"


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.external_attr = 0o644 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _hashed(content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"sha256={digest}"
