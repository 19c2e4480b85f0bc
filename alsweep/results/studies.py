"""The memory of a search: an Optuna study, in RUN/search/journal.log or in a database."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from alsweep.errors import ConfigError
from alsweep.files import mirror_above, published
from alsweep.layout import journal_path

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

_PLACE = "search.storage"
_MOUNTS = Path("/proc/mounts")
_SECONDS = 5.0
_PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}
_NETWORK = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|afs|9p|ceph|lustre|gpfs|beegfs|glusterfs|fuse\.(sshfs|glusterfs|s3fs"
    r"|ceph.*|rclone|gcsfuse)"
)


def open_storage(run: Path, url: str | None, *, mounts: Path = _MOUNTS) -> BaseStorage:
    """Open the storage of a run's search; what a crash left half written is cut off.

    Args:
        run: The run folder; its driver lock is held.
        url: Optuna's; variables of the environment in it are replaced, and a relative SQLite file
            lies in the run folder. None is the run's journal.
        mounts: Where the system lists its file systems.

    Raises:
        ConfigError: Nobody answers there, or it cannot work there.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if url is None:
        return _journal(journal_path(run))
    check_storage(run, url, mounts=mounts)
    return _database(_filled(url, run))


def check_storage(run: Path, url: str | None, *, mounts: Path = _MOUNTS) -> None:
    """Refuse a storage that cannot work or where nobody answers; makes nothing there.

    Args:
        run: The run folder; it need not be there.
        url: See :func:`open_storage`.
        mounts: Where the system lists its file systems.

    Raises:
        ConfigError: Names which, and the mend.
    """
    if url is not None:
        filled = _filled(url, run)
        if (file := _sqlite_file(filled)) is not None:
            _refuse_mirrored(file)
            _refuse_network_mount(file, mounts)
            _refuse_missing_folder(file, run)
        _refuse_silent_host(filled)
        _refuse_unknown_kind(filled)


def _filled(url: str, run: Path) -> str:
    """The URL with its variables, and a relative file in the run folder: wherever one stands."""
    filled = os.path.expandvars(url)
    if "$" in filled:
        raise ConfigError(f"{_PLACE}: '{url}' needs a variable that is not set; export it")
    file = _sqlite_file(filled)
    if file is None or file.is_absolute():
        return filled
    head, rest = filled.split(":///", 1)
    return f"{head}:///{run.absolute()}/{rest}"


def _sqlite_file(url: str) -> Path | None:
    """The file of an SQLite URL; None for other databases.

    Raises:
        ConfigError: It names none, so that nothing would outlive the process.
    """
    if not url.startswith(("sqlite:", "sqlite+")):
        return None
    name = url.partition(":///")[2].split("?")[0]
    if name in ("", ":memory:"):
        raise ConfigError(
            f"{_PLACE}: '{url}' names no file, so that a stop would lose the study; write "
            "sqlite:///name.db, which lies in the run folder, or leave the key out"
        )
    return Path(name)


def _refuse_mirrored(file: Path) -> None:
    if mirror_above(file) is not None:
        raise ConfigError(
            f"{_PLACE}: {file.name} would lie in object storage, where SQLite cannot write; leave "
            "the key out (the journal works there), or name a database server"
        )


def _refuse_missing_folder(file: Path, run: Path) -> None:
    if not file.parent.is_dir() and file.parent != run.absolute():
        raise ConfigError(
            f"{_PLACE}: no folder {file.parent} for {file.name}; make it, or leave the key out: "
            "the journal in the run folder needs none"
        )


def _refuse_unknown_kind(url: str) -> None:
    """What is no URL, or a database for which nothing is installed; nobody is asked there."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    try:
        make_url(url).get_dialect().import_dbapi()
    except (SQLAlchemyError, ImportError, ValueError) as error:
        raise ConfigError(f"{_PLACE}: {_without_password(url)}: {_reason(error)}") from None


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

    class Journal(JournalFileBackend):
        """Optuna's; each addition is where the run is before the search goes on."""

        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            super().append_logs(logs)
            published(path)

    with _breakage_told(path):
        return JournalStorage(Journal(str(path)))


@contextmanager
def answering(url: str | None) -> Iterator[None]:
    """Say in a line that a database which was there before does not answer any more.

    Args:
        url: See :func:`open_storage`.

    Raises:
        ConfigError: It did not.
    """
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        at_fault = error.__cause__ or error
        said = str(getattr(at_fault, "orig", None) or at_fault).strip().splitlines()
        why = said[0] if said else type(at_fault).__name__
        raise ConfigError(
            f"{_PLACE}: {_without_password(url or 'the journal')}: {why}; "
            "once the database answers, resume the run: nothing that was made is lost"
        ) from error


@contextmanager
def _breakage_told(path: Path) -> Iterator[None]:
    """Optuna's own words on a journal with foreign lines are those of a bug."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:
        raise ConfigError(
            f"{path}: holds a line that is not Optuna's ({type(error).__name__}); move the file "
            "away and resume the run: what it was told follows from decisions.jsonl"
        ) from None


@dataclass(frozen=True)
class Memory:
    """What a study holds.

    Attributes:
        trials: By number.
        attributes: The user attributes of the study itself.
    """

    trials: tuple[FrozenTrial, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)


def read_trials(run: Path, url: str | None, name: str) -> tuple[FrozenTrial, ...]:
    """The trials of a run's study: see :func:`read_memory`."""
    return read_memory(run, url, name).trials


def read_memory(run: Path, url: str | None, name: str) -> Memory:
    """What a run's study holds; reads alone, also while the search goes on.

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
        return Memory()
    check_storage(run, url)
    if url is not None:
        with answering(url):
            return _memory(_database(_filled(url, run)), name)
    with _breakage_told(path):
        return _memory(JournalStorage(JournalFileBackend(str(path))), name)


def _memory(storage: BaseStorage, name: str) -> Memory:
    import optuna

    if name not in [one.study_name for one in storage.get_all_studies()]:
        return Memory()
    study = optuna.load_study(study_name=name, storage=storage)
    return Memory(tuple(study.get_trials()), study.user_attrs)


def _refuse_network_mount(place: Path, mounts: Path) -> None:
    """SQLite's locks do not hold on network file systems."""
    if not mounts.exists():
        return
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
