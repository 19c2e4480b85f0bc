"""One archive for a bug report: versions, settings, logs and last records; no data, no secrets."""

from __future__ import annotations

import io
import json
import os
import platform
import re
import tarfile
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from alsweep import __version__
from alsweep.errors import RecordError, RunFolderError
from alsweep.files import write_bytes
from alsweep.layout import (
    config_path,
    decisions_path,
    error_path,
    log_path,
    progress_path,
    record_path,
    space_path,
    trajectories_folder,
)
from alsweep.results.begun import read_begun
from alsweep.results.mishaps import mishap_files

_PACKAGES = ("ray", "torch", "monai", "numpy", "zarr", "optuna", "wandb", "pandas", "pydantic")
_TOLD = ("ALSWEEP_", "CUDA_", "OMP_", "RAY_", "SLURM_", "WANDB_", "AWS_", "KUBERNETES_")
_SECRET_NAME = re.compile(r"key|token|secret|passw|credential|auth|session", re.IGNORECASE)
_LEAST_SECRET = 6
"""Characters of a value that is looked for everywhere; a shorter one would be found in any text."""

_GONE = "[removed]"
_PATTERNS = (
    # user:password@ of an address; lengths are bounded, since a log may be one long word
    (re.compile(r"(\w{1,16}://)[^/\s]{1,200}@"), rf"\1{_GONE}@"),
    # an address that is itself the secret
    (re.compile(r"(://[\w.]{1,40}/(?:services|api/webhooks)/)[^\s'\"]+"), rf"\1{_GONE}"),
    # signatures and tokens in the query of an address
    (
        re.compile(
            r"([?&;][^=&;\s]{0,40}(?:sig|token|key|secret|cred|pwd|pass)[^=&;\s]{0,40}=)[^&\s'\";]+",
            re.I,
        ),
        rf"\1{_GONE}",
    ),
    # what a text calls a secret
    (re.compile(r"((?:Authorization|Cookie)\\?[\"']?\s*[:=]\s*)[^\r\n\"']+", re.I), rf"\1{_GONE}"),
    (
        re.compile(
            r"((?:api[_-]?key|access[_-]?key(?:[_-]?id)?|account[_-]?key|token|secret(?:[_-]?\w{1,20})?"
            r"|password|passwd|passphrase)\\?[\"']?\s*[:=]\s*\\?[\"']?)(?!null\b|None\b)[^\s\\\"',;}]+",
            re.I,
        ),
        rf"\1{_GONE}",
    ),
    (
        re.compile(r"(--[\w-]{0,20}(?:token|password|secret|api-?key)\s+)[^\s\"',]+", re.I),
        rf"\1{_GONE}",
    ),
    (re.compile(r"\b(?:Bearer|Basic)\s+[\w.~+/=-]{8,}"), _GONE),
    # a command of the user's own, which may hold any of them
    (re.compile(r"^(on_event:).*(?:\n[ \t-].*)*", re.M), rf"\1 {_GONE}"),
    # keys as AWS, W&B and others write them
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), _GONE),
    (re.compile(r"\b(?:wandb_v1_[\w-]{20,}|[0-9a-f]{40})\b"), _GONE),
    (
        re.compile(
            r"\b(?:hf_|gh[opsur]_|github_pat_|glpat-|sk-|xox[abeprs]-|eyJ[\w-]{8,400}\.eyJ)[\w.-]{10,}"
        ),
        _GONE,
    ),
    (re.compile(r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----[^-]*(?:-----END[^\n]*)?"), _GONE),
)
_MOST_BYTES = 256 * 1024
"""Of a file, from its end: the last words of a log are what a report needs."""


def write_debug_dump(run: Path, out: Path, environment: Mapping[str, str]) -> list[str]:
    """Write a ``.tar.gz`` of what a bug report needs; returns the names in it.

    Images, labels, networks, results and plug-ins stay out; texts lose what looks like a secret,
    and the values of secret environment variables wherever they turn up. Nothing of the run is
    executed, and no link is followed.

    Args:
        run: A run folder, which may be broken.
        out: Must not be there.
        environment: Of this process; values of secret variables are looked for in every text.

    Raises:
        RunFolderError: ``run`` is no run folder, or ``out`` is there already.
    """
    if not space_path(run).is_file():
        raise RunFolderError(f"{run}: no sweep.yaml in it; give a run folder")
    if out.exists() or out.is_symlink():
        raise RunFolderError(f"{out}: is there already; choose another --out")
    secrets = _secret_values(environment)
    texts = {n: without_secrets(text, secrets) for n, text in _texts(run, environment)}
    write_bytes(out, _archive(texts))
    return list(texts)


def without_secrets(text: str, values: tuple[str, ...] = ()) -> str:
    """The text without given values, credentials in addresses, and what it calls a key or token."""
    for value in values:
        text = text.replace(value, _GONE)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _secret_values(environment: Mapping[str, str]) -> tuple[str, ...]:
    found = {
        value
        for name, value in environment.items()
        if _SECRET_NAME.search(name) and len(value) >= _LEAST_SECRET and not Path(value).is_dir()
    }
    # The longest first: one may be a part of another.
    return tuple(sorted(found, key=len, reverse=True))


def _archive(texts: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in texts.items():
            content = text.encode()
            info = tarfile.TarInfo(f"alsweep-debug/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _texts(run: Path, environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    yield "about.json", json.dumps(_about(environment), indent=1)
    yield "files.txt", "\n".join(_listing(run))
    for path in (space_path(run), decisions_path(run), *mishap_files(run), log_path(run)):
        yield from _text(run, path)
    for folder in _trajectories(run):
        paths = (config_path, error_path, progress_path, log_path, _last_record)
        for path in (of(folder) for of in paths):
            yield from _text(run, path)


def _about(environment: Mapping[str, str]) -> dict[str, object]:
    """Versions, machine, and the environment variables that matter; of secret ones the name.

    A job of Ray has all variables of its own, those too that were handed to it, within another.
    """
    shown = {
        name: _GONE if _SECRET_NAME.search(name) or "{" in value else value
        for name, value in sorted(environment.items())
        if name.startswith(_TOLD)
    }
    return {
        "alsweep": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "cpus": os.cpu_count(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "environment": shown,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _listing(run: Path) -> Iterator[str]:
    """Size and name of what lies in the run and in each trajectory's folder, no deeper."""
    for folder in (run, *_trajectories(run)):
        for path in sorted(folder.iterdir()):
            size = path.lstat().st_size
            yield f"{size:>12} {path.relative_to(run)}{'/' if path.is_dir() else ''}"


def _trajectories(run: Path) -> list[Path]:
    """Folders of trajectories that have begun, in the order of the sweep where that can be read."""
    found = {
        path.name: path for path in sorted(trajectories_folder(run).glob("*")) if _is_own(path)
    }
    try:
        order = read_begun(run).ids
    except (RecordError, RunFolderError):
        order = ()
    return [found.pop(id_) for id_ in order if id_ in found] + list(found.values())


def _is_own(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink()


def _last_record(folder: Path) -> Path:
    records = sorted(record_path(folder, 0).parent.glob("loop_*.json"))
    return records[-1] if records else record_path(folder, 0)


def _text(run: Path, path: Path) -> Iterator[tuple[str, str]]:
    """The end of a regular file, by its name in the run; nothing where there is none."""
    if path.is_symlink() or not path.is_file() or not path.resolve().is_relative_to(run.resolve()):
        return
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _MOST_BYTES))
        yield str(path.relative_to(run)), file.read(_MOST_BYTES).decode(errors="replace")
