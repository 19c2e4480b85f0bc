"""Whether a Dataset is one, and whole: its manifest, and the sizes of its files."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from alsweep.config.base import STORED
from alsweep.data.case import (
    BEFORE_CHUNK,
    FREE_CHUNK,
    IMAGE_CHUNK,
    MANIFEST,
    ORIGINAL_CHUNK,
    REFERENCE_CHUNK,
    SCHEMA,
    CaseInfo,
    Dataset,
    DatasetManifest,
    case_folder,
)
from alsweep.errors import DatasetError
from alsweep.files import read_json
from alsweep.storage.place import spelled

if TYPE_CHECKING:
    from collections.abc import Mapping


def read_manifest(folder: Path, place: Path | str | None = None) -> DatasetManifest:
    """Read a manifest and check that it is what was written.

    Args:
        folder: Where it lies.
        place: What is named in its stead where something is wrong.

    Raises:
        DatasetError: There is none, or it is broken, of another version, or of something else.
    """
    raw = _read_raw_manifest(folder, place := place or folder)
    version = raw.get("schema_version")
    if isinstance(version, int) and version > SCHEMA:
        raise DatasetError(
            f"{place}: was written in format {version} by a newer alsweep, this one reads up to "
            f"{SCHEMA}; upgrade alsweep or ingest again"
        )
    if isinstance(version, int) and version < SCHEMA:
        raise DatasetError(
            f"{place}: was written in format {version} by an older alsweep, this one reads "
            f"{SCHEMA}; ingest again"
        )
    try:
        manifest = DatasetManifest.model_validate(raw, context=STORED)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        where = ".".join(map(str, detail["loc"]))
        raise torn(place, f"{MANIFEST} is damaged at '{where}': {detail['msg']}") from None
    if manifest.content_fingerprint() != manifest.fingerprint:
        raise torn(place, f"{MANIFEST} was changed after it was written")
    return manifest


def _read_raw_manifest(folder: Path, place: Path | str) -> dict[str, Any]:
    """The JSON of a folder that says it is alsweep's."""
    if not folder.exists():
        raise DatasetError(
            f"{place}: no such Dataset; make one with 'alsweep ingest' or 'alsweep phantom'"
        )
    try:
        raw = read_json(folder / MANIFEST)
    except (FileNotFoundError, NotADirectoryError):
        raise DatasetError(
            f"{place}: is not a Dataset, it has no {MANIFEST}; make one with 'alsweep ingest'"
        ) from None
    except (ValueError, RecursionError):
        raise torn(place, f"{MANIFEST} is not JSON") from None
    if isinstance(raw, dict) and raw.get("format") == "alsweep":
        return raw
    raise DatasetError(
        f"{place}: is a raw dataset, not a Dataset; run 'alsweep ingest {place} --out DATASET' "
        "and name that"
    )


def check_sizes(dataset: Dataset, folder: Path, listed: Mapping[str, int] | None = None) -> None:
    """Find a chunk that is missing or cut short, before a memory map of it crashes the process.

    Args:
        dataset: Whose.
        folder: In which the files lie.
        listed: Bytes by key, for a Dataset whose files lie elsewhere.

    Raises:
        DatasetError: There is one.
    """
    for case in dataset.cases.values():
        for chunk, (size, _) in chunks(case, len(dataset.channels)).items():
            path = case_folder(Path(), case.id) / chunk
            found = _size(folder / path) if listed is None else listed.get(path.as_posix())
            if found is None:
                raise torn(dataset.path, f"{path} is missing")
            if found != size:
                raise torn(dataset.path, f"{path} has {found} bytes, expected {size}")


def chunks(case: CaseInfo, channels: int) -> dict[Path, tuple[int, str]]:
    """Bytes and SHA-256 of the files that hold the voxels of a case, by path in its folder."""
    found = {
        IMAGE_CHUNK: (4 * channels * case.voxels, case.image_sha256),
        REFERENCE_CHUNK: (case.voxels, case.reference_sha256),
        FREE_CHUNK: (case.voxels, case.free_sha256),
        ORIGINAL_CHUNK: (prod(case.original_shape), case.original_sha256),
        BEFORE_CHUNK: (case.voxels, case.before_sha256),
    }
    return {path: (size, digest) for path, (size, digest) in found.items() if digest is not None}


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None


def torn(place: Path | str, what: str) -> DatasetError:
    """The error on a Dataset of which a part is missing or broken."""
    return DatasetError(f"{spelled(place)}: {what}; copy the Dataset again or ingest it anew")
