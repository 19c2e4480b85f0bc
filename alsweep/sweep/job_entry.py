"""What a submitted job runs first on its cluster: it sees to the very alsweep that submitted it.

This file travels beside the search space and runs where alsweep may not be installed, so that it
imports the standard library alone; packaging, which Ray needs, comes with every cluster.
"""

import email
import hashlib
import importlib.util
import json
import os
import shutil
import sys
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path

UPLOAD = "upload.json"
"""Beside this file: version and digest of the package, and the name of the wheel."""

_MISUSED = 2


def digest(package: Path) -> str:
    """Hash of a package's files, in any place; bytecode does not count."""
    found = hashlib.sha256()
    for path in sorted(package.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            found.update(f"{path.relative_to(package).as_posix()}\0".encode())
            found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def installed_digest() -> str | None:
    """Hash of the alsweep that this Python would import; None without one."""
    spec = importlib.util.find_spec("alsweep")
    if spec is None or spec.origin is None:
        return None
    return digest(Path(spec.origin).parent)


def lacking(wheel: Path) -> list[str]:
    """What a wheel needs and this Python has not, or in another version."""
    from packaging.requirements import Requirement

    with zipfile.ZipFile(wheel) as archive:
        name = next(one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        told = email.message_from_bytes(archive.read(name))
    needed = [Requirement(text) for text in told.get_all("Requires-Dist", [])]
    wanted = [one for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    return [f"{one.name}{one.specifier}" for one in wanted if not _has(one.name, one.specifier)]


def _has(name: str, specifier: object) -> bool:
    try:
        return metadata.version(name) in specifier  # type: ignore[operator]
    except metadata.PackageNotFoundError:
        return False


def unpacked(wheel: Path, folder: Path) -> Path:
    """Unpack a wheel, once for all jobs that came with it; returns the folder to import from."""
    if not folder.exists():
        fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(fresh)
        try:
            fresh.rename(folder)
        except OSError:  # another job was faster
            shutil.rmtree(fresh)
    return folder


def taken_along(upload: Path) -> Path:
    """A copy of an upload that is this job's alone, as its working directory.

    Where several nodes of a cluster are one machine, each unpacks the upload into the same folder,
    and removes before that what is there: also under a job that works in it.
    """
    own = Path(tempfile.mkdtemp(prefix="alsweep-job-", dir=upload.parent))
    shutil.copytree(upload, own, dirs_exist_ok=True)
    os.chdir(own)
    return own


def main(arguments: list[str]) -> None:
    """Become ``alsweep ARGUMENTS``, of the version that the job was submitted with."""
    there = Path(__file__).resolve().parent
    here = taken_along(there.parent) / there.name
    upload = json.loads((here / UPLOAD).read_text(encoding="utf-8"))
    environment = dict(os.environ)
    if installed_digest() != upload["digest"]:
        wheel = here / upload["wheel"]
        if missing := lacking(wheel):
            needs = " ".join(f"'{one}'" for one in missing)
            print(  # noqa: T201 (a script)
                f"alsweep: error: this cluster lacks {', '.join(missing)}, which alsweep "
                f"{upload['version']} needs; on all of its nodes: pip install {needs}, or use the "
                "image of cluster/Dockerfile",
                file=sys.stderr,
            )
            sys.exit(_MISUSED)
        place = unpacked(wheel, here / f"alsweep-{upload['digest'][:16]}")
        before = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = f"{place}{os.pathsep}{before}" if before else str(place)
        environment["ALSWEEP_UPLOADED"] = str(place / "alsweep")
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", "alsweep", *arguments], environment)


if __name__ == "__main__":
    main(sys.argv[1:])
