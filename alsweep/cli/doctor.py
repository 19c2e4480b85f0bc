"""``alsweep doctor``: what this machine has, and what would stop a run on it."""

import os
import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

_PACKAGES = ("ray", "torch", "monai", "numpy", "zarr", "optuna", "wandb", "pandas", "pydantic")
_GIB = 1024**3
_LEAST_DISK_GIB = 2
_LEAST_SHM_GIB = 0.25
_STOPS = 1


@dataclass(frozen=True)
class Finding:
    """One thing looked at: ``mend`` is what to do where it would stop a run, else None."""

    what: str
    found: str
    mend: str | None = None


def doctor(
    runs: Annotated[Path, typer.Option(help="Folder in which runs are going to lie.")] = Path(
        "runs"
    ),
) -> int:
    """Show versions, devices, Ray, W&B and disk; exit 1 if something would stop a run.

    Example: alsweep doctor
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    checks: tuple[Callable[[], Finding], ...] = (
        _python,
        _packages,
        _cpus,
        _gpus,
        lambda: _writable(runs),
        lambda: _disk(runs),
        _shared_memory,
        _ray,
        _wandb,
    )
    table = Table("", "found", "to mend")
    findings = [check() for check in checks]
    for finding in findings:
        table.add_row(*map(escape, (finding.what, finding.found, finding.mend or "")))
    Console().print(table)
    bad = [finding.what for finding in findings if finding.mend is not None]
    if bad:
        typer.echo(f"alsweep: error: {', '.join(bad)} would stop a run; see 'to mend'", err=True)
        return _STOPS
    typer.echo("nothing would stop a run")
    return 0


def _python() -> Finding:
    from alsweep import __version__

    found = f"{platform.python_version()} on {platform.platform(terse=True)}"
    return Finding("alsweep, Python", f"alsweep {__version__}, Python {found}")


def _packages() -> Finding:
    from importlib.metadata import PackageNotFoundError, version

    versions, absent = [], []
    for package in _PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            absent.append(package)
    mend = f"pip install {' '.join(absent)}" if absent else None
    return Finding("packages", ", ".join(versions), mend)


def _cpus() -> Finding:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB
    return Finding("CPUs, memory", f"{usable} CPUs, {memory:.0f} GiB")


def _gpus() -> Finding:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return Finding("GPUs", ", ".join(names))
    return Finding("GPUs", "none; runs use the CPU (resources: {gpus: 0})")


def _writable(runs: Path) -> Finding:
    from alsweep.errors import RunFolderError
    from alsweep.sweep.run_folder import refuse_unwritable

    try:
        refuse_unwritable(runs.absolute())
    except RunFolderError as error:
        found, _, mend = str(error).partition("; ")
        return Finding("runs folder", found, mend)
    return Finding("runs folder", f"{runs} can be written")


def _existing(path: Path) -> Path:
    """The nearest folder above ``path`` that is there."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _disk(runs: Path) -> Finding:
    free = shutil.disk_usage(_existing(runs)).free / _GIB
    mend = f"free at least {_LEAST_DISK_GIB} GiB" if free < _LEAST_DISK_GIB else None
    return Finding("free disk", f"{free:.1f} GiB", mend)


def _shared_memory() -> Finding:
    place = Path("/dev/shm")
    if not place.exists():
        return Finding("/dev/shm", "not there; Ray uses the disk")
    free = shutil.disk_usage(place).free / _GIB
    mend = "enlarge it (docker: --shm-size=1g)" if free < _LEAST_SHM_GIB else None
    return Finding("/dev/shm", f"{free:.1f} GiB free", mend)


def _ray() -> Finding:
    """Start a private Ray, as a run would, and stop it."""
    from alsweep.config.sweep import ResourcesConfig
    from alsweep.sweep.environment import prepare_environment

    resources = ResourcesConfig(device="cpu")
    prepare_environment(resources, private=True)
    from alsweep.errors import AlsweepError
    from alsweep.sweep.ray_session import ray_session
    from alsweep.sweep.stops import stops_raise

    began = time.monotonic()
    try:
        with stops_raise(), ray_session(resources):
            return Finding("Ray", f"starts in {time.monotonic() - began:.0f} s")
    except (AlsweepError, OSError, RuntimeError, TimeoutError) as error:
        text = str(error).splitlines()[0]
        return Finding("Ray", f"does not start: {text}", "free memory and /tmp; see /tmp/ray")


def _wandb() -> Finding:
    """Which mode counts; whether W&B knows the user is asked when a run needs it."""
    mode = os.environ.get("WANDB_MODE")
    if mode is None:
        return Finding("W&B", "the search space's mode counts (offline by default)")
    known = ("offline", "online", "disabled")
    mend = None if mode in known else f"set WANDB_MODE to one of {', '.join(known)}, or unset it"
    return Finding("W&B", f"WANDB_MODE={mode}", mend)
