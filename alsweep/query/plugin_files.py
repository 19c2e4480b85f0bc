"""Strategies in a file of one's own: loaded by path, known by content, kept with the run."""

import hashlib
import importlib.util
import logging
import re
import sys
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path

from alsweep.errors import AlsweepError, StrategyError
from alsweep.files import write_bytes

_log = logging.getLogger(__name__)

_PREFIX = "alsweep_plugin_file"
_STORED = re.compile(r"-([0-9a-f]{16})$")
_DIGITS = 16


def load_file(path: Path) -> str:
    """Run a file that registers strategies or stages, once for each content.

    An earlier version of the same file, by its name, is forgotten.

    Returns:
        SHA-256 of its content.

    Raises:
        StrategyError: The file cannot be read or run, or is no longer what a run was made with.
    """
    content = _content(path)
    sha256 = hashlib.sha256(content).hexdigest()
    stored = _STORED.search(path.stem)
    if stored and stored.group(1) != sha256[:_DIGITS]:
        raise StrategyError(
            f"{path}: was changed after the run was made with it; restore it, or give your own "
            "version another name and begin a new run with it"
        )
    stem = _STORED.sub("", path.stem).replace(".", "%")
    name = f"{_PREFIX}.{stem}.{sha256}"
    if name not in sys.modules:
        # First those that all have, so that it is the file that is refused where it takes a name.
        import alsweep.query.presets

        alsweep.query.presets.load_plugins()
        _forget(f"{_PREFIX}.{stem}.")
        _run(name, path, content)
    return sha256


def load_files(paths: Sequence[Path]) -> None:
    """Run the plug-in files of a sweep.

    Raises:
        StrategyError: Two have the same name, or one of them cannot be loaded.
    """
    seen: dict[str, Path] = {}
    for path in paths:
        twin = seen.setdefault(path.name, path)
        if twin != path:
            raise StrategyError(f"plugins: {twin} and {path} have one name; rename one of them")
    for path in paths:
        load_file(path)


def forget_files() -> None:
    """Drop all files that were loaded; who needs one loads it again, as in a new process."""
    if any(name.startswith(f"{_PREFIX}.") for name in sys.modules):
        _forget(f"{_PREFIX}.")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StrategyError(f"{path}: cannot be read ({error.strerror}); name a .py file") from None


def _run(name: str, path: Path, content: bytes) -> None:
    """Make a module of the content that was hashed, whatever the file holds by now."""
    spec = importlib.util.spec_from_loader(name, loader=None, origin=str(path))
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__file__ = str(path)
    # Before it runs: dataclasses look their module up.
    sys.modules[name] = module
    try:
        exec(compile(content, str(path), "exec"), module.__dict__)
    except BaseException as error:
        _forget(name)
        if isinstance(error, AlsweepError):
            raise StrategyError(f"{path}: {error}") from error
        if not isinstance(error, Exception):
            raise
        raise StrategyError(f"{path}{_line(error, path)}: {_words(error)}; mend it") from error
    _warn_of_nothing(name, path)


def _warn_of_nothing(module: str, path: Path) -> None:
    """A class without its decorator is known to nobody, and nothing else would say so."""
    from alsweep.query.base import has_strategies_of
    from alsweep.query.stages import KINDS

    if not has_strategies_of(module) and not any(r.has_of(module) for r in KINDS.values()):
        _log.warning(
            'warning: %s: registers no strategy and no stage; put @strategy("name") on the class',
            path,
        )


def _words(error: Exception) -> str:
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {message}"


def _line(error: Exception, path: Path) -> str:
    if isinstance(error, SyntaxError):
        return f", line {error.lineno}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    return f", line {frames[-1].lineno}" if frames else ""


def _forget(prefix: str) -> None:
    """Drop what modules of a name have registered, and the modules."""
    from alsweep.query.base import forget
    from alsweep.query.stages import KINDS

    for name in [name for name in sys.modules if name.startswith(prefix)]:
        forget(name)
        for registry in KINDS.values():
            registry.forget(name)
        del sys.modules[name]


def files_of(classes: Iterable[type]) -> tuple[str, ...]:
    """Hashes of the files that some of the classes were loaded from, ascending."""
    modules = {cls.__module__ for cls in classes}
    return tuple(sorted(m.rpartition(".")[2] for m in modules if m.startswith(f"{_PREFIX}.")))


def require_loaded(hashes: Iterable[str], place: str) -> None:
    """Refuse a strategy whose file is not the one that is loaded.

    Raises:
        StrategyError: It is another version, or none.
    """
    wanted = tuple(hashes)
    if not wanted:
        return
    loaded = {name.rpartition(".")[2] for name in sys.modules if name.startswith(f"{_PREFIX}.")}
    for sha256 in wanted:
        if sha256 not in loaded:
            raise StrategyError(
                f"{place} is from a plug-in file of the content {sha256[:_DIGITS]}, which is not "
                "loaded; name the file with --plugin, or under plugins in the search space"
            )


def stored_name(path: Path) -> str:
    """The name under which a run keeps a file: it tells the content."""
    return _kept_as(path, hashlib.sha256(_content(path)).hexdigest())


def _kept_as(path: Path, sha256: str) -> str:
    return f"{_STORED.sub('', path.stem)}-{sha256[:_DIGITS]}.py"


def store(path: Path, folder: Path) -> None:
    """Keep a file in the folder of a run's plug-ins.

    Raises:
        StrategyError: It is not what the sweep was planned with any more.
    """
    content = _content(path)
    sha256 = hashlib.sha256(content).hexdigest()
    if not any(m.startswith(f"{_PREFIX}.") and m.endswith(f".{sha256}") for m in sys.modules):
        raise StrategyError(f"{path}: was changed since the sweep was planned; plan it again")
    kept = folder / _kept_as(path, sha256)
    if not kept.exists():
        write_bytes(kept, content)


def load_stored(folder: Path, hashes: Iterable[str]) -> None:
    """Load the files of these contents from the folder of a run's plug-ins.

    Raises:
        StrategyError: One is not there, or was changed.
    """
    for sha256 in hashes:
        found = sorted(folder.glob(f"*-{sha256[:_DIGITS]}.py"))
        if not found:
            raise StrategyError(
                f"{folder}: has no plug-in file *-{sha256[:_DIGITS]}.py, which a trajectory was "
                "made with; restore it"
            )
        load_file(found[0])
