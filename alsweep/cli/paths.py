"""Paths as a user writes them: what a shell would have expanded, had it been asked to."""

import os
import re
from pathlib import Path

from alsweep.errors import ConfigError

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")


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
