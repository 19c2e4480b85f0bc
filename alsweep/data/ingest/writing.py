"""How a Dataset folder comes into being: beside its place, then renamed, so whole or not."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from alsweep.data.case import (
    BEFORE,
    FREE,
    MANIFEST,
    ORIGINAL,
    REFERENCE,
    CaseInfo,
    Dataset,
    DatasetManifest,
    NetworkPlan,
    Region,
    Source,
    case_folder,
)
from alsweep.data.channels import Intensities, Normalisation
from alsweep.data.ingest.network_plan import make_plan
from alsweep.data.inside import refuse_inside_dataset
from alsweep.data.ome import CaseAttributes, write_case_group
from alsweep.errors import DatasetError
from alsweep.files import sync_folder, write_json
from alsweep.geometry import triple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from alsweep.data.case import Part, Spacing
    from alsweep.types import LabelMap, Volume


@dataclass(frozen=True)
class DatasetHead:
    """What all cases of a dataset share: see the fields of :class:`DatasetManifest`.

    Attributes:
        outputs: Of the network, which the plan counts with.
        plan: If it is given; else it follows from the shapes of the pool.
        raw: Folder of the source, if somebody will have to look at it again.
    """

    name: str
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    spacing: Spacing
    intensities: tuple[Intensities | None, ...]
    normalisation: tuple[Normalisation, ...]
    outputs: int
    regions: tuple[Region, ...] = ()
    regions_class_order: tuple[int, ...] = ()
    plan: NetworkPlan | None = None
    raw: str | None = None


@dataclass(frozen=True)
class PreparedCase:
    """A case as it will be stored: normalised float32 image and uint8 labels on one grid.

    Attributes:
        original: Reference labels on the grid of the source, to judge predictions there.
        labelled: Whether ``reference`` is stored; if not it tells the shape alone.
        before: What was labelled of a case that is to be labelled.
    """

    id: str
    part: Part
    image: Volume
    reference: LabelMap
    source: Source
    free: LabelMap | None = None
    original: LabelMap | None = None
    labelled: bool = True
    before: LabelMap | None = None


def write_case(root: Path, head: DatasetHead, case: PreparedCase) -> CaseInfo:
    """Write one case durably below ``root`` and return what the manifest says of it."""
    image = np.ascontiguousarray(case.image, dtype="<f4")
    reference = case.reference if case.labelled else None
    given = {REFERENCE: reference, FREE: case.free, ORIGINAL: case.original, BEFORE: case.before}
    labels = {
        place.name: np.ascontiguousarray(volume, dtype=np.uint8)
        for place, volume in given.items()
        if volume is not None
    }
    digests = {name: _sha256(volume) for name, volume in labels.items()}
    folder = case_folder(root, case.id)
    if folder.exists():
        shutil.rmtree(folder)
    write_case_group(
        folder,
        image,
        labels,
        CaseAttributes(case.id, head.channels, head.classes, head.spacing, case.source),
    )
    _sync_tree(folder)
    return CaseInfo(
        id=case.id,
        part=case.part,
        shape=triple(case.reference.shape),
        class_voxels=class_voxels(case.reference, len(head.classes))
        if case.labelled
        else (0,) * len(head.classes),
        original_shape=case.source.shape,
        original_spacing=case.source.spacing,
        crop=case.source.crop,
        affine=case.source.affine,
        sources=case.source.files,
        image_sha256=_sha256(image),
        reference_sha256=digests.get(REFERENCE.name),
        free_sha256=digests.get(FREE.name),
        original_sha256=digests.get(ORIGINAL.name),
        before_sha256=digests.get(BEFORE.name),
    )


def write_manifest(root: Path, head: DatasetHead, cases: Sequence[CaseInfo]) -> DatasetManifest:
    """Write ``dataset.json``, with the plan that the pool's shapes give and the fingerprint."""
    pool = [case.shape for case in cases if case.part == "pool"]
    manifest = DatasetManifest(
        name=head.name,
        classes=head.classes,
        channels=head.channels,
        regions=head.regions,
        regions_class_order=head.regions_class_order,
        spacing=head.spacing,
        intensities=head.intensities,
        normalisation=head.normalisation,
        plan=head.plan or make_plan(pool, head.spacing, head.outputs),
        cases=tuple(sorted(cases, key=lambda case: case.id)),
        fingerprint="",
        raw=head.raw,
    ).sealed()
    write_json(root / MANIFEST, manifest.plain())
    return manifest


@contextmanager
def new_dataset(out: Path, keep: tuple[type[BaseException], ...] = ()) -> Iterator[Path]:
    """Give a folder to write a Dataset in; it becomes ``out`` at the end, or vanishes on failure.

    What a killed predecessor left is in it. A lock on the folder, which the kernel drops with the
    process, tells a dead predecessor from a living one.

    Args:
        out: Must not exist.
        keep: Errors after which the folder stays, for a successor to go on with.

    Raises:
        DatasetError: ``out`` exists, or another process is writing it.
    """
    refuse_existing(out)
    made = [place for place in out.absolute().parents if not place.exists()]
    out.parent.mkdir(parents=True, exist_ok=True)
    root = out.parent / f".{out.name}.alsweep-new"
    root.mkdir(exist_ok=True)
    with _locked(root, out):
        # Whoever held the lock may just have finished.
        refuse_existing(out)
        try:
            yield root
            _drop_strangers(root)
            Dataset.open(root)
            _sync_tree(root)
            root.rename(out)
        except BaseException as error:
            if not isinstance(error, keep):
                shutil.rmtree(root, ignore_errors=True)
                _remove_empty(made)
            raise
        sync_folder(out.parent)


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Give a folder to write in; it becomes ``out`` at the end, or vanishes on failure.

    Raises:
        DatasetError: ``out`` exists, or lies in a Dataset.
    """
    refuse_existing(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    new = out.parent / f".{out.name}.alsweep-new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    try:
        yield new
        new.rename(out)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def _drop_strangers(root: Path) -> None:
    """Remove all that the manifest does not speak of: notes, and cases of an earlier attempt."""
    cases = {case_folder(root, case).name for case in Dataset.open(root).cases}
    strangers = [entry for entry in root.iterdir() if entry.name not in (MANIFEST, "cases")]
    strangers += [entry for entry in (root / "cases").iterdir() if entry.name not in cases]
    for entry in strangers:
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _remove_empty(folders: Sequence[Path]) -> None:
    """Remove folders, innermost first, until one is in use."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def refuse_existing(out: Path) -> None:
    """Raise a DatasetError if ``out`` exists, be it a dangling link, or lies in a Dataset."""
    if os.path.lexists(out):
        raise DatasetError(
            f"{out}: exists already, and nothing is overwritten; choose another --out"
        )
    refuse_inside_dataset(out)


@contextmanager
def _locked(folder: Path, out: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise DatasetError(
            f"{out}: another alsweep is writing it; wait for it or choose another --out"
        ) from None
    finally:
        os.close(descriptor)


def _sync_tree(folder: Path) -> None:
    """Flush all files and folders below ``folder``, and itself."""
    for place, _, files in os.walk(folder, topdown=False):
        for name in files:
            _sync_file(Path(place) / name)
        sync_folder(Path(place))


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def class_voxels(reference: LabelMap, classes: int) -> tuple[int, ...]:
    """Voxels of each class in labels ``(z, y, x)``, background first."""
    # Slice by slice, since bincount makes eight bytes of every voxel.
    counts = sum(np.bincount(plane.ravel(), minlength=256) for plane in reference)
    return tuple(int(count) for count in np.asarray(counts)[:classes])


def _sha256(array: np.ndarray[Any, Any]) -> str:
    return hashlib.sha256(array.data).hexdigest()
