"""The memory of a search: an Optuna study, in RUN/search/journal.log or in a database."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from alsweep.errors import ConfigError
from alsweep.layout import journal_path

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

_PLACE = "search.storage"
_SECONDS = 5.0
_PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}
_NETWORK = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|afs|9p|ceph|lustre|gpfs|beegfs|glusterfs|fuse\.(sshfs|glusterfs|s3fs"
    r"|ceph.*|rclone|gcsfuse)"
)


def open_storage(run: Path, url: str | None, *, mounts: Path = Path("/proc/mounts")) -> BaseStorage:
    """Open the storage of a run's search; what a crash left half written is cut off.

    Args:
        run: The run folder; its driver lock is held.
        url: Optuna's; variables of the environment in it are replaced. None is the run's journal.
        mounts: Where the system lists its file systems.

    Raises:
        ConfigError: Nobody answers there, or it cannot work there.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if url is None:
        return _journal(journal_path(run))
    check_storage(url, mounts=mounts)
    return _database(_filled(url))


def check_storage(url: str | None, *, mounts: Path = Path("/proc/mounts")) -> None:
    """Refuse a storage that cannot work or where nobody answers; makes nothing there.

    Args:
        url: See :func:`open_storage`.
        mounts: Where the system lists its file systems.

    Raises:
        ConfigError: Names which, and the mend.
    """
    if url is not None:
        filled = _filled(url)
        _refuse_network_mount(filled, mounts)
        _refuse_silent_host(filled)


def _filled(url: str) -> str:
    filled = os.path.expandvars(url)
    if "$" in filled:
        raise ConfigError(f"{_PLACE}: '{url}' needs a variable that is not set; export it")
    return filled


def _database(url: str) -> BaseStorage:
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return RDBStorage(url)
    except (SQLAlchemyError, ImportError, ValueError, OSError, RuntimeError) as error:
        raise ConfigError(f"{_PLACE}: {_without_password(url)}: {_reason(error)}") from None


def _journal(path: Path) -> BaseStorage:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    path.parent.mkdir(exist_ok=True)
    # The run is ours, so whoever held this is dead: Optuna would wait for half a minute.
    path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
    if path.exists() and not (content := path.read_bytes()).endswith(b"\n"):
        os.truncate(path, content.rfind(b"\n") + 1)
    return JournalStorage(JournalFileBackend(str(path)))


def read_trials(run: Path, url: str | None, name: str) -> tuple[FrozenTrial, ...]:
    """The trials of a run's study, by number; reads alone, also while the search goes on.

    Args:
        run: The run folder.
        url: See :func:`open_storage`.
        name: Of the study.

    Raises:
        ConfigError: It cannot be read.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = journal_path(run)
    if url is None and not path.exists():
        return ()
    check_storage(url)
    storage = (
        JournalStorage(JournalFileBackend(str(path))) if url is None else _database(_filled(url))
    )
    names = [one.study_name for one in storage.get_all_studies()]
    if name not in names:
        return ()
    return tuple(optuna.load_study(study_name=name, storage=storage).get_trials())


def _refuse_network_mount(url: str, mounts: Path) -> None:
    """SQLite's locks do not hold on network file systems."""
    if not url.startswith("sqlite") or ":///" not in url or not mounts.exists():
        return
    place = Path(url.split(":///", 1)[1].split("?")[0]).absolute()
    lines = (line.split() for line in mounts.read_text(encoding="utf-8").splitlines())
    over = [(Path(at), kind) for _, at, kind, *_ in lines if place.is_relative_to(at)]
    point, kind = max(over, key=lambda one: len(one[0].parts), default=(Path("/"), ""))
    if _NETWORK.fullmatch(kind):
        raise ConfigError(
            f"{_PLACE}: {place} lies on {point}, a network file system ({kind}), where SQLite "
            "loses data; leave the key out (the journal in the run folder works there), or name a "
            "database server"
        )


def _refuse_silent_host(url: str) -> None:
    """A database's own client may wait for minutes."""
    parts = urlsplit(url)
    port = parts.port or _PORTS.get(parts.scheme.split("+")[0])
    if not parts.hostname or port is None:
        return
    try:
        socket.create_connection((parts.hostname, port), timeout=_SECONDS).close()
    except OSError as error:
        why = error.strerror or str(error)
        raise ConfigError(
            f"{_PLACE}: nobody answers at {parts.hostname}, port {port} ({why}); start the "
            "database, mend the URL, or leave the key out: the journal in the run folder needs none"
        ) from None


def _without_password(url: str) -> str:
    return re.sub(r"(?<=://)([^/@:]*):[^/@]*@", r"\1:***@", url)


def _reason(error: Exception) -> str:
    """The first line of what a driver says, and the mend."""
    if isinstance(error, ImportError):
        return f"{str(error).splitlines()[0]}; install the driver of that database"
    said = str(getattr(error, "orig", None) or error).strip().splitlines()
    return (
        f"cannot be opened ({said[0] if said else type(error).__name__}); write a URL such as "
        "postgresql://user@host/name or sqlite:///folder/file.db, or leave the key out"
    )
