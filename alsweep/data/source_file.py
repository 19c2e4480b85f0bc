"""A file of a raw dataset before anybody looks inside it: is it one, how large, which."""

import hashlib
import io
import stat
from pathlib import Path

from alsweep.errors import IngestError

_LFS = b"version https://git-lfs"


def checked_size(path: Path, name: str) -> int:
    """Bytes of a regular file that is not empty and not the stand-in for another one."""
    try:
        # Before it is opened: that of a FIFO would wait for ever.
        if not stat.S_ISREG(path.stat().st_mode):
            raise IngestError(f"{name}: is not a regular file; put the volume itself there")
        with path.open("rb") as file:
            start = file.read(len(_LFS))
            size = file.seek(0, io.SEEK_END)
    except FileNotFoundError:
        raise IngestError(f"{name}: is missing; add the file or remove the case") from None
    except OSError as error:
        raise IngestError(
            f"{name}: cannot be read ({error.strerror}); mend its permissions"
        ) from None
    if not size:
        raise IngestError(f"{name}: is empty; copy or export it again")
    if start == _LFS:
        raise IngestError(f"{name}: is a Git LFS pointer, not a volume; run 'git lfs pull'")
    return size


def file_digest(path: Path) -> str:
    """SHA-256 of a file, as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
