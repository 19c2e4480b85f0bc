"""YAML to configuration: files, overrides, and errors that name both."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from alsweep.config.overrides import ENDLESS, apply_overrides
from alsweep.config.provenance import SCHEMA_VERSION
from alsweep.config.sweep import SweepConfig
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.config.validation import validated
from alsweep.errors import ConfigError
from alsweep.layout import space_path


def load_sweep(
    path: Path, overrides: Sequence[str] = (), plugins: Sequence[Path] = ()
) -> SweepConfig:
    """Read and validate a search space, its ``PATH=VALUE`` overrides and its trajectories.

    Args:
        path: The file; ``plugins`` in it are relative to its folder.
        overrides: ``PATH=VALUE`` each.
        plugins: More files with strategies, relative to the working directory.

    Raises:
        ConfigError: The file cannot be read, is no YAML mapping, or breaks the schema; or an
            override cannot be set or would do nothing.
    """
    raw = _read_mapping(path)
    for override in overrides:
        _refuse_outside_base(override)
    apply_overrides(raw, overrides)
    try:
        sweep = validated(SweepConfig, raw, {}, stored=_stored(raw))
        sweep.trajectories()
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    except RecursionError:
        raise ConfigError(f"{path}: {ENDLESS}") from None
    files = [(path.parent / file).absolute() for file in sweep.plugins]
    files += [file.absolute() for file in plugins]
    return sweep.model_copy(update={"plugins": tuple(dict.fromkeys(files))})


def _stored(raw: Mapping[str, Any]) -> bool:
    """Whether alsweep wrote a search space, which then means what it meant when it was written.

    Raises:
        ConfigError: A newer alsweep did.
    """
    provenance = raw.get("provenance")
    if not isinstance(provenance, dict):
        return False
    schema = provenance.get("schema_version", 1)
    if isinstance(schema, int) and schema > SCHEMA_VERSION:
        raise ConfigError(
            f"provenance.schema_version: {schema} is of a newer alsweep "
            f"({provenance.get('version')}), this one reads up to {SCHEMA_VERSION}; upgrade alsweep"
        )
    return True


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; name a search space (YAML)") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder; {_instead(path)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as text ({error})") from None
    try:
        raw = YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        line = "" if mark is None else f", line {mark.line + 1}"
        raise ConfigError(f"{path}{line}: not valid YAML: {error.problem}") from None
    except YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise ConfigError(f"{path}: {ENDLESS}") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected a mapping with name, dataset, base, got {_kind(raw)}")
    return raw


def _instead(folder: Path) -> str:
    """What to give in place of a folder, which is often a run that is to go on."""
    if space_path(folder).is_file():
        return f"to go on with this run: alsweep resume {shlex.quote(str(folder))}"
    return "name a search space (YAML)"


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def _refuse_outside_base(override: str) -> None:
    """Refuse a trajectory's key at the top level, where it is often looked for."""
    path = override.partition("=")[0]
    first = path.split(".")[0]
    if first in TrajectoryConfig.model_fields and first not in SweepConfig.model_fields:
        home = "seeds=[...]" if first == "seed" else f"base.{override}"
        raise ConfigError(
            f"--set {override}: there is no '{first}' at the top level; "
            f"write --set {shlex.quote(home)}"
        )
