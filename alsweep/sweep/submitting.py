"""A sweep as a job of a Ray cluster: what is uploaded, and what the cluster is told to run."""

from __future__ import annotations

import json
import re
import secrets
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from alsweep import __version__
from alsweep.errors import ConfigError
from alsweep.sweep import job_entry
from alsweep.sweep.wheel import package_folder, write_wheel

if TYPE_CHECKING:
    from alsweep.config.sweep import SweepConfig

_OURS = ".alsweep"
"""In the upload: what is not the user's."""

_PLUGINS = "plugins"

_SECONDS_TO_STOP = 60
"""A stopped job has until it is killed; Ray's default of 3 s is too short to leave nothing."""

_MEANT_THERE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/|~|.*\$")
"""Addresses, and what only the cluster can expand."""


@dataclass(frozen=True)
class Submission:
    """What is to be run on a cluster.

    Attributes:
        space: The search space, a file.
        sweep: What was read from it, with the overrides.
        out: The run folder, as the cluster sees it.
        overrides: ``PATH=VALUE``, as on the command line.
        environment: Variables of the job and its workers.
        id: Names the job; a second try with the same is no second job.
    """

    space: Path
    sweep: SweepConfig
    out: str
    overrides: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    id: str = ""

    def __post_init__(self) -> None:
        if not self.id:
            name = f"{self.sweep.name}-{secrets.token_hex(4)}"
            object.__setattr__(self, "id", name)

    @property
    def entrypoint(self) -> str:
        """The command line that the job server gives to a shell."""
        files = [f"{_PLUGINS}/{path.name}" for path in self.sweep.plugins]
        there = [*self.overrides, *self._places()]
        if files:
            there.append(f"plugins={json.dumps(files)}")
        options = [word for one in there for word in ("--set", one)]
        script = f"{_OURS}/{Path(job_entry.__file__).name}"
        run = ["run", self.space.name, "--out", self.out, *options]
        return shlex.join(["python", script, *run])

    def _places(self) -> Iterator[str]:
        """Datasets by their absolute paths: a job's working directory is not the user's."""
        if self.sweep.provenance is not None:  # written by alsweep, absolute already
            return
        if self.sweep.dataset is not None:
            yield from _set_there("dataset", self.sweep.dataset)
        for one in self.sweep.settings or ():
            if one.dataset is not None:
                yield from _set_there(f"settings.{one.name}.dataset", one.dataset)

    @property
    def runtime_env(self) -> dict[str, object]:
        """Ray's, but for the upload."""
        stop = {"RAY_JOB_STOP_WAIT_TIME_S": str(_SECONDS_TO_STOP)}
        return {"env_vars": {**stop, **self.environment}}

    @property
    def metadata(self) -> dict[str, str]:
        """What job lists show."""
        return {"name": self.sweep.name, "run": self.out, "alsweep": __version__}


def place_there(place: Path | str) -> str:
    """A path as the cluster is to be told it: absolute, from the working directory here."""
    text = str(place)
    return text if _MEANT_THERE.match(text) else str(Path(text).absolute())


def _set_there(key: str, place: Path) -> Iterator[str]:
    there = place_there(place)
    if there != str(place):
        yield f"{key}={json.dumps(there)}"


def stage(submission: Submission, folder: Path) -> None:
    """Put what is uploaded into a folder: search space, plug-ins, and this alsweep; no data.

    Raises:
        ConfigError: A plug-in file cannot be read.
    """
    shutil.copyfile(submission.space, folder / submission.space.name)
    for path in submission.sweep.plugins:
        (folder / _PLUGINS).mkdir(exist_ok=True)
        try:
            shutil.copyfile(path, folder / _PLUGINS / path.name)
        except OSError as error:
            raise ConfigError(f"plugins: {path}: cannot be read ({error.strerror})") from None
    ours = folder / _OURS
    ours.mkdir()
    wheel = write_wheel(ours)
    shutil.copy(job_entry.__file__, ours)
    told = {
        "version": __version__,
        "digest": job_entry.digest(package_folder()),
        "wheel": wheel.name,
    }
    (ours / job_entry.UPLOAD).write_text(json.dumps(told), encoding="utf-8")


def parsed_environment(given: Sequence[str], own: Mapping[str, str]) -> dict[str, str]:
    """``K=V`` each, or ``K`` alone for the value that it has here, so that no secret is typed.

    Raises:
        ConfigError: One is neither.
    """
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise ConfigError(f"--env {name}: is no name of a variable; write NAME=VALUE or NAME")
        if not equals and name not in own:
            raise ConfigError(f"--env {name}: is not set here; export it, or write {name}=VALUE")
        found[name] = value if equals else own[name]
    return found
