"""Files that people painted: whether each is one of our patches, and what is in it."""

from __future__ import annotations

import json
import re
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ConfigDict, Field, ValidationError

from alsweep.config.base import Frozen
from alsweep.data.exchange.volumes import read_labels, told_in
from alsweep.data.labels.annotations import Annotation
from alsweep.data.labels.human import Effort
from alsweep.data.raw.grids import displacement
from alsweep.data.raw.layout import is_leftover
from alsweep.data.raw.reading import ENDINGS
from alsweep.data.raw.volume import MOST_VOXELS
from alsweep.errors import IngestError
from alsweep.files import read_json
from alsweep.geometry import box_slices, triple
from alsweep.label_codes import IGNORE
from alsweep.people.labelling import mark

if TYPE_CHECKING:
    from alsweep.data.raw.volume import RawVolume
    from alsweep.people.grid import Crop
    from alsweep.people.labelling import Labelling, Task
    from alsweep.types import LabelMap

_OFF = 0.05
"""Voxels by which a grid may lie off: rounding to single precision is a hundredth of that."""

NOBODY = "somebody"
"""Who painted, where nobody says it."""

_FEW = 3

_MOST = 10_000_000
"""Seconds or prompts that a patch may have taken: what is stored stays, and is added up."""

_GIVEN_OUT = re.compile(r"_(image(_\d{4})?|prediction|score|box)(?![\w-])")
"""What follows a patch's id in the names of files that nobody paints in."""


class Told(Frozen):
    """What the page says of a patch, in ``PATCH_label.json``."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    patch: str
    annotator: str = Field("", max_length=200)
    seconds: float | None = Field(None, ge=0, le=_MOST)
    prompts: int | None = Field(None, ge=0, le=_MOST)
    corrections: int | None = Field(None, ge=0, le=MOST_VOXELS)


@dataclass(frozen=True)
class Taken:
    """A file that was taken.

    Attributes:
        path: The file.
        task: The patch.
        annotation: What it held.
        new: False where the same person had sent the same before.
        late: Whether a network has learned the patch already, so that it changes no training.
    """

    path: Path
    task: Task
    annotation: Annotation
    new: bool
    late: bool


@dataclass(frozen=True)
class Refused:
    """A file that changes nothing, and why, in one line that names it."""

    path: Path
    why: str


def take_in(
    labellings: Sequence[Labelling],
    files: Sequence[Path],
    annotator: str | None = None,
    on_file: Callable[[Taken | Refused], None] = lambda one: None,
) -> list[Taken | Refused]:
    """Store what people painted, file by file; each is durable before it is told.

    Args:
        labellings: Trajectories of one run.
        files: Label files in any order; folders of them, and the page's ``.zip``.
        annotator: Who painted, where no file beside it says so.
        on_file: Called for each file once it is stored, or refused.

    Returns:
        What became of each file, in their order.
    """
    found: list[Taken | Refused] = []
    known = {task.id: (one, task) for one in labellings for task in one.every_task()}
    with tempfile.TemporaryDirectory(prefix="alsweep-labels-") as place:
        for path in _label_files(files, Path(place)):
            one = path if isinstance(path, Refused) else _taken(path, known, annotator)
            if isinstance(one, Refused):
                one = _as_named(one, files, Path(place))
            found.append(one)
            on_file(one)
    return found


def _taken(
    path: Path, known: dict[str, tuple[Labelling, Task]], annotator: str | None
) -> Taken | Refused:
    try:
        return _take(path, known, annotator)
    except IngestError as error:
        return Refused(path, str(error))


def _take(path: Path, known: dict[str, tuple[Labelling, Task]], annotator: str | None) -> Taken:
    if not path.is_file():
        raise IngestError(f"{path}: no such file; name a label file, or a folder of them")
    labelling, task = _meant(path, known)
    crop = labelling.crop(task.patch)
    labels = _checked(path, task.id, crop, labelling.classes)
    told = _told(path, task.id)
    shown = _shown(labelling, task, crop)
    corrections = told.corrections if shown is None else _corrections(labels, shown)
    annotation = Annotation(
        annotator=_one_line(told.annotator) or _one_line(annotator or "") or NOBODY,
        labels=labels,
        time=datetime.now(UTC).isoformat(),
        effort=Effort(told.seconds, told.prompts, corrections),
        file=path.name,
    )
    new = labelling.annotations.add(task.id, annotation)
    late = not labelling.crops.missing([task.patch])
    return Taken(path, task, annotation, new, late)


def _one_line(name: str) -> str:
    """A name as a terminal and a table can show it."""
    return " ".join("".join(c if c.isprintable() else " " for c in name).split())


# Which files


def _label_files(files: Sequence[Path], place: Path) -> Iterator[Path | Refused]:
    """All label files that are named, those in folders and archives among them.

    Args:
        files: See :func:`take_in`.
        place: Where archives are unpacked, each in the folder that is called as its number.
    """
    for index, path in enumerate(files):
        if path.name.endswith(".zip") and path.is_file():
            try:
                path = _extracted(path, place / str(index))
            except IngestError as error:
                yield Refused(path, str(error))
                continue
        if path.is_dir():
            yield from (one for one in sorted(path.rglob("*")) if _is_label(one))
        elif not path.name.endswith(".json"):
            yield path


def _as_named(one: Refused, files: Sequence[Path], place: Path) -> Refused:
    """The same with the archive's name in place of the folder that it was unpacked in."""
    if not one.path.is_relative_to(place):
        return one
    index = one.path.relative_to(place).parts[0]
    return Refused(one.path, one.why.replace(str(place / index), str(files[int(index)])))


def _is_label(path: Path) -> bool:
    if is_leftover(path.name) or not path.name.endswith(ENDINGS):
        return False
    return "_label" in path.name and not is_leftover(path.parent.name)


def _extracted(path: Path, place: Path) -> Path:
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(one.file_size for one in archive.infolist()) > MOST_VOXELS:
                raise IngestError(f"{path}: is too large once unpacked; unpack it yourself")
            archive.extractall(place)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise IngestError(f"{path}: cannot be unpacked ({error}); download it again") from None
    return place


def _meant(path: Path, known: dict[str, tuple[Labelling, Task]]) -> tuple[Labelling, Task]:
    """The patch that a file's name begins with; browsers add to names what they like."""
    named = [id_ for id_ in known if path.name.startswith(f"{id_}_") or path.name == id_]
    if not named:
        raise IngestError(
            f"{path}: its name begins with no patch of this run; keep the name that tasks.csv "
            f"gives it, such as {min(known, default='PATCH')}_label.nii.gz"
        )
    labelling, task = known[max(named, key=len)]
    if _GIVEN_OUT.match(path.name.removeprefix(task.id)):
        raise IngestError(
            f"{path}: is what people were given, not what anybody painted; correct it and save it "
            f"as {task.id}_label.nii.gz"
        )
    if task.status == "skipped":
        raise IngestError(f"{path}: patch {task.id} was skipped; another one stands in its place")
    return labelling, task


# What is in a file


def _checked(path: Path, id_: str, crop: Crop, classes: dict[int, str]) -> LabelMap:
    """Labels of the box, or an error with what is wrong."""
    if not path.name.endswith(ENDINGS):
        raise IngestError(f"{path}: is no volume that alsweep reads; save as {', '.join(ENDINGS)}")
    volume = read_labels(path, classes)
    said = told_in(path)
    if said not in (None, "", mark(id_)):
        raise IngestError(
            f"{path}: is named after {id_}, but holds the patch that ends in {said}; give it its "
            "own name"
        )
    labels = _codes(path, _on_grid(path, volume, crop), classes)
    _refuse_outside(path, labels, crop)
    inside = labels[crop.box.slices]
    if (inside == IGNORE).all():
        raise IngestError(f"{path}: nothing is painted in the box; paint, or skip the patch")
    return inside


def _on_grid(path: Path, volume: RawVolume, crop: Crop) -> np.ndarray:
    """The volume on the grid that was given out; what a program cut off its edges is background."""
    shape = crop.context.size
    there = np.linalg.inv(crop.affine) @ volume.affine
    shift = np.rint(there[:3, 3])
    moved = np.eye(4)
    moved[:3, 3] = shift
    start = triple(int(n) for n in shift[::-1])
    fits = all(
        a >= 0 and a + s <= n for a, s, n in zip(start, volume.array.shape, shape, strict=True)
    )
    if not fits or displacement(volume.affine, crop.affine @ moved, volume.array.shape) > _OFF:
        raise IngestError(
            f"{path}: has {_by(volume.array.shape)} voxels on another grid than the "
            f"{_by(shape)} of its patch's image; save it on the grid of that image"
        )
    if start == (0, 0, 0) and volume.array.shape == shape:
        return volume.array
    whole = np.zeros(shape, dtype=volume.array.dtype)
    whole[box_slices(start, volume.array.shape)] = volume.array
    return whole


def _codes(path: Path, array: np.ndarray, classes: dict[int, str]) -> LabelMap:
    values = np.unique(array)
    unknown = [float(v) for v in values if v != IGNORE and v not in classes]
    if unknown:
        raise IngestError(
            f"{path}: holds {', '.join(f'{v:g}' for v in unknown[:_FEW])}, expected "
            f"{', '.join(f'{code} {name}' for code, name in classes.items())}, or {IGNORE} "
            "where nothing is painted; correct the numbers"
        )
    return array.astype(np.uint8)


def _refuse_outside(path: Path, labels: LabelMap, crop: Crop) -> None:
    """Background may lie anywhere: programs fill with it what nobody painted."""
    outside = labels.copy()
    outside[crop.box.slices] = IGNORE
    painted = int(((outside != IGNORE) & (outside != 0)).sum())
    if painted:
        raise IngestError(
            f"{path}: {painted} voxels are painted outside the box, from {crop.box.start[::-1]} "
            f"on {_by(crop.box.size)} voxels (x, y, z); erase them there"
        )


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape[::-1]))


def _told(path: Path, id_: str) -> Told:
    """What the page says beside a file; nothing where there is no page."""
    stem = next(path.name.removesuffix(ending) for ending in ENDINGS if path.name.endswith(ending))
    found = path.with_name(f"{stem.removesuffix('.seg')}.json")
    if not found.is_file():
        return Told(patch=id_)
    try:
        told = Told.model_validate(read_json(found))
    except (ValidationError, ValueError, OSError, json.JSONDecodeError) as error:
        first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise IngestError(
            f"{found}: cannot be used ({first}); save it again, or remove it"
        ) from None
    if told.patch != id_:
        raise IngestError(f"{found}: is of patch '{told.patch}', not of {id_}; keep both names")
    return told


def _shown(labelling: Labelling, task: Task, crop: Crop) -> LabelMap | None:
    """The prediction that people were shown, in the box; None where there was none."""
    from alsweep.people.tasks import prediction_path

    path = prediction_path(labelling.tasks_folder(task.loop), task.id)
    if not path.is_file():
        return None
    shown = read_labels(path, labelling.classes).array
    return shown[crop.box.slices].astype(np.uint8) if shown.shape == crop.context.size else None


def _corrections(labels: LabelMap, shown: LabelMap) -> int:
    return int(((labels != shown) & (labels != IGNORE)).sum())
