"""YAML to configuration: files, overrides, and errors that name both."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from alsweep.config.sweep import SweepConfig
from alsweep.config.validation import validated
from alsweep.errors import ConfigError

ENDLESS = "nested too deeply, or an alias (*name) stands inside what it names; write it out flat"
"""What to say of YAML that has no end."""


def load_sweep(
    path: Path, overrides: Iterable[str] = (), plugins: Iterable[Path] = ()
) -> SweepConfig:
    """Read and validate a search space, its ``PATH=VALUE`` overrides and its trajectories.

    Args:
        path: The file; ``plugins`` in it are relative to its folder.
        overrides: ``PATH=VALUE`` each.
        plugins: More files with strategies, relative to the working directory.

    Raises:
        ConfigError: The file cannot be read, is no YAML mapping, or breaks the schema.
    """
    raw = _read_mapping(path)
    for override in overrides:
        apply_override(raw, override)
    try:
        sweep = validated(SweepConfig, raw, {})
        sweep.trajectories()
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    except RecursionError:
        raise ConfigError(f"{path}: {ENDLESS}") from None
    files = [(path.parent / file).absolute() for file in sweep.plugins]
    files += [file.absolute() for file in plugins]
    return sweep.model_copy(update={"plugins": tuple(dict.fromkeys(files))})


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; name a search space (YAML)") from None
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


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def apply_override(raw: dict[str, Any], override: str) -> None:
    """Set one key of the raw YAML from ``PATH=VALUE``; the value is parsed as YAML.

    Raises:
        ConfigError: There is no ``=``, the value is no YAML, or the path runs through a scalar.
    """
    dotted, equals, text = override.partition("=")
    if not equals or not dotted:
        raise ConfigError(f"--set {override}: write PATH=VALUE, e.g. base.training.epochs=2")
    try:
        value = YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        raise ConfigError(f"--set {override}: the value is not valid YAML; quote it") from None
    except RecursionError:
        raise ConfigError(f"--set {dotted}: {ENDLESS}") from None
    *parents, last = _override_keys(raw, dotted)
    target = raw
    for parent in parents:
        inner = target.get(parent)
        if inner is None:
            inner = target[parent] = {}
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {override}: '{parent}' is not a mapping")
        target = inner
    target[last] = value


def _override_keys(raw: Mapping[str, Any], dotted: str) -> list[str]:
    """Split a path at its dots; below ``grid`` the rest is one key, being dotted itself."""
    first, _, rest = dotted.partition(".")
    return [first, rest] if first == "grid" and rest else dotted.split(".")
