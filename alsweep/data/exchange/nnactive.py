"""nnActive's query log: ``loop_XXX.json``, the new patches of each loop."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from alsweep.data.case import CaseInfo
from alsweep.errors import DatasetError
from alsweep.files import read_json, write_json
from alsweep.geometry import Patch, Triple, triple

_FILE = re.compile(r"loop_(\d+)\.json")
_ENDING = ".nii.gz"


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True)

    file: str
    coords: Triple
    size: Triple | Literal["whole"]


class _Loop(BaseModel):
    # nnActive's later versions may say more of a loop; the patches are all that we need.
    model_config = ConfigDict(frozen=True, extra="ignore")

    patches: tuple[_Entry, ...]


def write_loops(
    folder: Path, loops: Sequence[Iterable[Patch]], cases: Mapping[str, CaseInfo]
) -> list[Path]:
    """Write ``loop_000.json``, ``loop_001.json``... and return their paths.

    A patch is named by its case's label file; one that covers its case has the size ``whole``.

    Args:
        folder: Made when missing.
        loops: The new patches of each loop, from loop 0 on.
        cases: Of the dataset, by id.
    """
    paths = [folder / f"loop_{index:03d}.json" for index in range(len(loops))]
    for path, patches in zip(paths, loops, strict=True):
        entries = [_entry(patch, cases[patch.case]).model_dump(mode="json") for patch in patches]
        write_json(path, {"patches": entries})
    return paths


def _entry(patch: Patch, case: CaseInfo) -> _Entry:
    whole = patch.size == case.shape
    return _Entry(file=_label_file(case), coords=patch.start, size="whole" if whole else patch.size)


def _label_file(case: CaseInfo) -> str:
    """Name of the source's label file, which for nnActive is the case's."""
    names = sorted(Path(source).name for source in case.sources)
    return next((n for n in names if n.startswith(f"{case.id}.")), case.id + _ENDING)


def read_loops(folder: Path, cases: Mapping[str, CaseInfo]) -> tuple[tuple[Patch, ...], ...]:
    """Read a folder of nnActive's loop files as the new patches of each loop.

    Args:
        folder: Holds ``loop_000.json`` and its successors; other files are left alone.
        cases: Of the dataset, by id; its grid must be the one that nnActive resampled to.

    Raises:
        DatasetError: There are none, one is missing or malformed, or a patch is not of the dataset.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder; name the one with nnActive's loop files")
    found = {int(m[1]): p for p in folder.iterdir() if (m := _FILE.fullmatch(p.name))}
    if not found:
        raise DatasetError(f"{folder}: holds no loop_000.json; name the folder with the loop files")
    for index in range(len(found)):
        if index not in found:
            raise DatasetError(
                f"{folder}: loop {index} is missing before loop {max(found)}; "
                "restore its file, since each names only new patches"
            )
    return tuple(_read(found[index], cases) for index in range(len(found)))


def _read(path: Path, cases: Mapping[str, CaseInfo]) -> tuple[Patch, ...]:
    try:
        loop = _Loop.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise DatasetError(f"{path}: {place}: {first['msg']}; write it as nnActive does") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: cannot be read as JSON ({error}); restore it") from None
    return tuple(_patch(path, entry, cases) for entry in loop.patches)


def _patch(path: Path, entry: _Entry, cases: Mapping[str, CaseInfo]) -> Patch:
    matching = [case for case in cases if entry.file == case or entry.file.startswith(f"{case}.")]
    if not matching:
        raise DatasetError(
            f"{path}: the dataset has no case for the file '{entry.file}'; "
            "read it with the dataset that the patches were queried in"
        )
    case = max(matching, key=len)
    shape = cases[case].shape
    if entry.size == "whole":
        return Patch(case, (0, 0, 0), shape)
    # As long as the patch size and longer than the case: there is but one place, the whole axis.
    size = triple(
        n if a == 0 and s > n else s
        for a, s, n in zip(entry.coords, entry.size, shape, strict=True)
    )
    patch = Patch(case, entry.coords, size)
    if not patch.inside(shape):
        raise DatasetError(
            f"{path}: the patch at {entry.coords} of size {entry.size} leaves case '{case}' of "
            f"shape {shape}; ingest with the spacing that the patches were queried at"
        )
    return patch
