"""A Dataset is shared and never changes: whatever a command writes lies elsewhere."""

from pathlib import Path

from alsweep.errors import DatasetError
from alsweep.files import read_json


def refuse_inside_dataset(out: Path) -> None:
    """Keep what a command writes out of every Dataset, which is shared and never changes.

    Raises:
        DatasetError: ``out``, or a folder above it, is a Dataset.
    """
    place = out.resolve()
    for folder in (place, *place.parents):
        if _is_dataset(folder):
            raise DatasetError(
                f"{out}: lies in the Dataset {folder}, which nothing may write into; "
                "choose another --out"
            )


def _is_dataset(folder: Path) -> bool:
    # Imported here, since it brings numpy along, which a status does without.
    from alsweep.data.case import MANIFEST

    path = folder / MANIFEST
    try:
        raw = read_json(path) if path.is_file() else None
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(raw, dict) and raw.get("format") == "alsweep"
