"""The environment of a sweep: what its variables say, and what workers are told by them."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsweep.config.sweep import ResourcesConfig, WandbConfig
from alsweep.config.validation import validated
from alsweep.errors import ConfigError

if TYPE_CHECKING:
    from alsweep.config.sweep import SweepConfig
    from alsweep.tracking.sinks import MakeSink

_OF_RAY = {
    "RAY_AIR_NEW_OUTPUT": "0",  # the new output ignores verbose=0
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_DEDUP_LOGS": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # records are the journal
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Tune's would wait for the loops at hand
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # Tune's own state is never read again
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""What Ray's job server tells a job of itself; beside it stands RAY_ADDRESS."""

UPLOADED = "ALSWEEP_UPLOADED"
"""Where a job keeps the package that came with it, if its cluster has no such alsweep."""

ADDRESS_HELP = (
    "Ray cluster to use; default: that of the Ray job this is in, else a private one here, "
    "which 'local' forces."
)

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")


def worker_environment(resources: ResourcesConfig) -> dict[str, str]:
    """Variables that must be set before numpy, torch and ray are imported in a worker.

    Numerical libraries keep to the worker's threads. A worker that asks for no GPU sees none: it
    would otherwise compute on the first one, whoever holds it.
    """
    libraries = ("OMP", "MKL", "OPENBLAS", "NUMEXPR")
    threads = {f"{library}_NUM_THREADS": str(resources.threads) for library in libraries}
    return {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1", **threads}


def cluster_address(asked: str | None) -> str | None:
    """The address of the Ray cluster to use; None for a private Ray on this machine.

    Args:
        asked: By the user. ``local`` forces a private Ray; None takes the cluster of the Ray job
            that this process is in, if it is in one.
    """
    if asked is None and _JOB in os.environ:
        return os.environ.get("RAY_ADDRESS")
    return None if asked == "local" else asked


def cluster_environment(resources: ResourcesConfig) -> dict[str, Any]:
    """The runtime_env of workers on a cluster.

    They have the package that came with a job, and what must be set before it is imported wins
    over what the job was submitted with.
    """
    os.environ["RAY_OVERRIDE_JOB_RUNTIME_ENV"] = "1"
    uploaded = os.environ.get(UPLOADED)
    modules = {} if uploaded is None else {"py_modules": [uploaded]}
    return {"env_vars": worker_environment(resources), **modules}


def set_variable(name: str, value: str) -> None:
    """Set a variable of this process, for what is imported or begins from now on."""
    os.environ[name] = value


def variables() -> dict[str, str]:
    """All variables of this process as they are now."""
    return dict(os.environ)


@contextmanager
def without_variables(*names: str) -> Iterator[None]:
    """Unset variables of this process, until the block is left."""
    kept = {name: value for name in names if (value := os.environ.pop(name, None)) is not None}
    try:
        yield
    finally:
        os.environ.update(kept)


def set_back(before: Mapping[str, str]) -> None:
    """Make the variables of this process what they were."""
    if dict(os.environ) != dict(before):
        os.environ.clear()
        os.environ.update(before)


def hide_cards() -> None:
    """Let this process see no card, as a worker that asked for none; before torch is imported."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""


def first_visible_card() -> str | None:
    """Which card is the first that this process sees, as its variables have it; None for all."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip()
    return seen or None


def prepare_environment(resources: ResourcesConfig, *, private: bool) -> None:
    """Ray, Tune and the workers' numerical libraries read these when they are imported."""
    for name, value in _OF_RAY.items():
        os.environ.setdefault(name, value)
    if not private:
        return
    os.environ.pop(_JOB, None)  # of another cluster, whose uploads a private Ray does not have
    if "RAY_TMPDIR" in os.environ:  # which Ray prefers to TMPDIR: all that is temporary goes there
        tempfile.tempdir = os.environ["RAY_TMPDIR"]
    # The number of threads is the search space's, since it can change the last bits of a result.
    os.environ.update(worker_environment(resources))
    # Without a token of its own, a private Ray would write one into the user's home.
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(16))


def prepare_worker(resources: ResourcesConfig) -> bool:
    """Set for this process what a worker of Ray's would have.

    Returns:
        Whether anything was set that was not so before: libraries that are loaded already have read
        the old values, so that the program has to begin again.
    """
    wanted = worker_environment(resources)
    if not resources.gpus:
        wanted["CUDA_VISIBLE_DEVICES"] = ""
    before = dict(os.environ)
    os.environ.update(wanted)
    return dict(os.environ) != before


def wandb_settings(written: WandbConfig, *, ask: bool = True) -> WandbConfig:
    """The search space's settings, but WANDB_MODE wins, as W&B's users expect.

    Args:
        written: The search space's.
        ask: Whether to look for the login that ``online`` needs; on a terminal W&B asks for it.

    Raises:
        ConfigError: There is no such mode, or it needs a login that is not there.
    """
    from alsweep.tracking.wandb import require_login

    mode = os.environ.get("WANDB_MODE", written.mode)
    settings = validated(WandbConfig, {**written.plain(), "mode": mode}, {"mode": "WANDB_MODE"})
    if settings.mode == "online" and ask:
        require_login()
    return settings


def sinks_of(sweep: SweepConfig) -> dict[str, MakeSink]:
    """What makes each sink that a sweep asks for, by name.

    Raises:
        ConfigError: There is no such sink, or its package is not installed.
    """
    if not sweep.sinks:
        return {}
    from alsweep.tracking.sinks import sink

    return {name: sink(name) for name in sweep.sinks}


def unset_which_run(settings: WandbConfig) -> str | None:
    """Keep W&B's client from what the environment says of a single run, and say so."""
    from alsweep.tracking.wandb import WHICH_RUN

    if settings.mode == "disabled":
        return None
    found = [name for name in WHICH_RUN if os.environ.pop(name, None) is not None]
    if not found:
        return None
    verb = "is" if len(found) == 1 else "are"
    return (
        f"warning: {', '.join(found)} {verb} not heeded: every trajectory has a W&B run of its own"
    )


def refuse_too_many_cpus(resources: ResourcesConfig) -> None:
    """A worker that asks for more CPUs than a private Ray would have here could never begin.

    Raises:
        ConfigError: It does.
    """
    # Every machine has one; Ray, which knows of a container's limits, takes seconds to import.
    most = _cpus_of_ray() if resources.cpus > 1 else 1
    if resources.cpus > most:
        raise ConfigError(
            f"resources.cpus: a worker needs {resources.cpus:g}, but this machine has {most:g}; "
            "write less, or use a cluster (--address)"
        )


def _cpus_of_ray() -> float:
    from ray._private.utils import get_num_cpus

    return float(get_num_cpus(override_docker_cpu_warning=True))


def unused_cards(resources: ResourcesConfig, cards: float) -> str | None:
    """What to say where there are GPUs, but a worker sees none; None where all is as it should."""
    if not cards or resources.gpus or resources.device != "auto":
        return None
    return (
        "resources.gpus is 0, so that all is computed on CPUs, but there are GPUs "
        f"({cards:g}); write gpus: 1, or a fraction to let trajectories share one"
    )


def refuse_cards_without_gpus(resources: ResourcesConfig) -> None:
    """A worker sees the cards that it asked for, and no others.

    Raises:
        ConfigError: It asked for none, but is to compute on one.
    """
    if resources.device == "cuda" and not resources.gpus:
        raise ConfigError(
            "resources.device: cuda needs a card, but resources.gpus is 0; write gpus: 1, or a "
            "fraction"
        )


def expanded(path: Path, place: str) -> Path:
    """A path with ``~`` and variables expanded; one that is there as it is written stays.

    Args:
        path: As in ``$nnUNet_raw/Dataset004_Hippocampus``.
        place: Where it was written, for the message.

    Raises:
        ConfigError: A variable is not set.
    """
    if os.path.lexists(path):
        return path
    filled = _VARIABLE.sub(lambda found: _value(found, path, place), str(path))
    try:
        return Path(filled).expanduser()
    except RuntimeError:
        raise ConfigError(f"{place}: '{path}': has no home folder; write the path out") from None


def _value(found: re.Match[str], path: Path, place: str) -> str:
    name = found[1] or found[2]
    value = os.environ.get(name)
    if not value:
        raise ConfigError(
            f"{place}: '{path}' needs the variable {name}, which is not set; "
            f"'export {name}=FOLDER' or write the path out"
        )
    return value
