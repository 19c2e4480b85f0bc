"""An ingested Dataset: a manifest and one OME-Zarr group a case, whose chunk is memory-mapped."""

from collections.abc import Mapping
from functools import cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from pydantic import Field, PositiveInt, model_validator

from alsweep.config.base import Frozen, added, fingerprint
from alsweep.data.channels import Intensities, Normalisation
from alsweep.errors import DatasetError
from alsweep.geometry import Triple, box_slices
from alsweep.storage.place import absolute, is_remote

if TYPE_CHECKING:
    from jaxtyping import Int64

SCHEMA = 2
"""Version of the Dataset folder; a reader refuses any other.

2: plan as nnU-Net v2 makes it, crop, regions, free labels.
"""

MANIFEST = "dataset.json"
IMAGE_CHUNK = Path("0/c/0/0/0/0")
REFERENCE = Path("labels/reference")
REFERENCE_CHUNK = REFERENCE / "0/c/0/0/0"
FREE = Path("labels/free")
FREE_CHUNK = FREE / "0/c/0/0/0"
ORIGINAL = Path("labels/original")
ORIGINAL_CHUNK = ORIGINAL / "0/c/0/0/0"
BEFORE = Path("labels/before")
BEFORE_CHUNK = BEFORE / "0/c/0/0/0"

Spacing = tuple[float, float, float]
AffineRow = tuple[float, float, float, float]
Affine = tuple[AffineRow, AffineRow, AffineRow, AffineRow]
Part = Literal["pool", "validation", "test"]


class Box(Frozen):
    """A part of a grid: lowest corner and size ``(z, y, x)``, voxels."""

    start: Triple
    size: Triple

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """For an array of the grid."""
        return box_slices(self.start, self.size)


class Region(Frozen):
    """A set of labels that is segmented as one thing; regions may overlap."""

    name: str
    labels: tuple[int, ...]


class NetworkPlan(Frozen):
    """A network topology that fits the dataset; it follows from shapes and spacing, not labels.

    All axes are ``(z, y, x)``, where nnU-Net puts the coarsest axis first.

    Attributes:
        patch_size: Training patch, voxels; divisible by ``2 ** pooling``.
        batch_size: Training patches per step.
        strides: By which each stage of the encoder begins; the first is 1.
        kernels: Of the convolutions of each stage.
        median_shape: Median shape of the pool on the resampled grid.
    """

    patch_size: Triple
    batch_size: PositiveInt
    strides: tuple[Triple, ...] = Field(min_length=1)
    kernels: tuple[Triple, ...] = Field(min_length=1)
    median_shape: tuple[float, float, float]

    @property
    def pooling(self) -> Triple:
        """How often each axis is halved."""
        z, y, x = (sum(stride[axis] == 2 for stride in self.strides) for axis in range(3))
        return z, y, x


class Source(Frozen):
    """Where a case came from: see the fields of :class:`CaseInfo`."""

    shape: Triple
    spacing: Spacing
    affine: Affine
    crop: Box
    files: dict[str, str]


class CaseInfo(Frozen):
    """What is known of one case without reading it.

    Attributes:
        id: Case id, unique in the dataset.
        part: Where the case belongs.
        shape: Resampled grid ``(z, y, x)``.
        class_voxels: Voxels of each class on that grid, background first; those with the ignore
            label are in none.
        original_shape: Grid of the source ``(z, y, x)``.
        crop: The part of that grid which was resampled: voxels outside were zero.
        original_spacing: Voxel size of the source ``(z, y, x)``, mm.
        affine: Of the source: voxel index ``(x, y, z)`` to RAS, mm.
        sources: SHA-256 of each source file, by path relative to the raw dataset.
        image_sha256: Of the stored float32 image.
        reference_sha256: Of the stored uint8 reference labels; None for a case of the pool that has
            none, whose class_voxels are zeros.
        free_sha256: Of the stored uint8 free labels, if there are any.
        original_sha256: Of the stored uint8 reference labels on the grid of the source; None where
            that is the resampled grid, in the pool, and in a Dataset older than this field.
        before_sha256: Of the stored uint8 labels of a case of the pool that somebody gave before
            anybody was asked, if there are any.
    """

    id: str
    part: Part
    shape: Triple
    class_voxels: tuple[int, ...]
    original_shape: Triple
    original_spacing: Spacing
    crop: Box
    affine: Affine
    sources: dict[str, str]
    image_sha256: str
    reference_sha256: str | None
    free_sha256: str | None = None
    original_sha256: str | None = added(None, neutral=None)
    before_sha256: str | None = added(None, neutral=None)

    @property
    def voxels(self) -> int:
        """Voxels of the resampled grid."""
        return prod(self.shape)

    @property
    def has_reference(self) -> bool:
        """Whether reference labels are stored."""
        return self.reference_sha256 is not None

    @property
    def is_original(self) -> bool:
        """Whether the resampled grid is that of the source: nothing was cropped or resampled."""
        return self.crop.size == self.original_shape == self.shape

    @property
    def has_original(self) -> bool:
        """Whether reference labels are stored on the grid of the source."""
        return self.original_sha256 is not None or (self.is_original and self.has_reference)

    def content(self) -> dict[str, Any]:
        """All of it that a result can follow from, as JSON values."""
        stored = {"id", "part", "shape", "image_sha256", "reference_sha256", "free_sha256"}
        if self.original_sha256 is not None:
            stored |= {"original_sha256", "original_shape", "original_spacing", "crop"}
        if self.before_sha256 is not None:
            stored |= {"before_sha256"}
        return self.model_dump(mode="json", include=stored)

    @model_validator(mode="after")
    def _judged_by_its_reference(self) -> Self:
        if not self.has_reference and self.part != "pool":
            raise ValueError(f"case '{self.id}' has no reference labels, but is of the {self.part}")
        return self


class DatasetManifest(Frozen):
    """Content of ``dataset.json``. The index of a class in ``classes`` is its label id.

    Attributes:
        regions: Sets of labels that nnU-Net would segment instead of the classes; mostly none.
        regions_class_order: The label that each region is painted with, in the order of painting.
        intensities: Of each channel, over the foreground of the pool; none without foreground.
        raw: Folder that it was made of, where cases were still to be labelled: people are shown its
            images.
    """

    format: Literal["alsweep"] = "alsweep"
    schema_version: Literal[2] = 2
    name: str
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    regions: tuple[Region, ...] = ()
    regions_class_order: tuple[int, ...] = ()
    spacing: Spacing
    intensities: tuple[Intensities | None, ...]
    normalisation: tuple[Normalisation, ...]
    plan: NetworkPlan
    cases: tuple[CaseInfo, ...]
    fingerprint: str
    raw: str | None = added(None, neutral=None)

    def content_fingerprint(self) -> str:
        """Hash of all that a result can follow from.

        Voxels, classes, channels, spacing, split, normalisation and plan enter; the name, the
        source files and where the folder lies do not.
        """
        cases = [case.content() for case in sorted(self.cases, key=lambda case: case.id)]
        told = ("name", "fingerprint", "raw")
        content = {k: v for k, v in self.identity().items() if k not in told}
        return fingerprint({**content, "cases": cases})

    def sealed(self) -> "DatasetManifest":
        """The same manifest with the fingerprint that its content has."""
        return self.model_copy(update={"fingerprint": self.content_fingerprint()})


def case_folder(dataset: Path, case: str) -> Path:
    """The OME-Zarr group of a case."""
    return dataset / "cases" / f"{case}.ome.zarr"


class Dataset:
    """An immutable, shareable dataset, without a way to the ground truth; see ``data.annotator``.

    Attributes:
        path: Where it lies: a folder, absolute, or a place in an object store.
        manifest: What ``dataset.json`` says.
        cases: Case infos by id, ids ascending.
        pool: Ids of the cases that may be annotated, ascending.
        validation: Ids of the cases that Dice is measured on, ascending.
        test: Ids of the optional test part, ascending.
    """

    def __init__(self, path: Path, manifest: DatasetManifest) -> None:
        self.path = absolute(path)
        self.manifest = manifest
        self.cases: Mapping[str, CaseInfo] = {
            case.id: case for case in sorted(manifest.cases, key=lambda case: case.id)
        }
        self.pool = self._part("pool")
        self.validation = self._part("validation")
        self.test = self._part("test")

    @classmethod
    def open(cls, path: Path | str) -> "Dataset":
        """Open a Dataset and check that it is whole; reads manifest and file sizes only.

        Args:
            path: Its folder; or its place in an object store, from which files come when needed.

        Raises:
            DatasetError: There is none, it is something else, it is newer than this version, or it
                is torn.
            StoreError: The object store that it lies in refuses.
        """
        if is_remote(path):
            from alsweep.data.remote import RemoteDataset

            return RemoteDataset.open(path)
        from alsweep.data.opening import check_sizes, read_manifest

        folder = Path(path)
        dataset = cls(folder, read_manifest(folder))
        check_sizes(dataset, folder)
        return dataset

    @cached_property
    def pool_shapes(self) -> "Int64[np.ndarray, 'case 3']":
        """Grids ``(z, y, x)`` of the pool cases; planning asks for each trajectory."""
        return np.array([self.cases[case].shape for case in self.pool], dtype=np.int64)

    @property
    def name(self) -> str:
        """Name for tables and plots."""
        return self.manifest.name

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the content, independent of where the folder lies."""
        return self.manifest.fingerprint

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; the index is the label id, 0 the background."""
        return self.manifest.classes

    @property
    def channels(self) -> tuple[str, ...]:
        """Channel names."""
        return self.manifest.channels

    @property
    def targets(self) -> tuple[Region, ...]:
        """What is segmented and judged: the regions, or each foreground class by itself."""
        classes = enumerate(self.classes[1:], start=1)
        own = tuple(Region(name=name, labels=(label,)) for label, name in classes)
        return self.manifest.regions or own

    def unreferenced(self, part: Part) -> tuple[str, ...]:
        """Targets of which no case of a part has a voxel, so that none can be judged by it."""
        counts = [self.cases[case].class_voxels for case in self._part(part)]
        there = {label for voxels in counts for label, found in enumerate(voxels) if found}
        return tuple(target.name for target in self.targets if there.isdisjoint(target.labels))

    def image(self, case: str) -> "np.memmap[Any, np.dtype[np.float32]]":
        """The normalised image of a case, float32 ``(channel, z, y, x)``, read-only.

        It is the file of the Zarr chunk itself, memory-mapped: all processes of a node share its
        pages.

        Raises:
            DatasetError: There is no such case.
        """
        shape = (len(self.channels), *self.case(case).shape)
        return np.memmap(self._file(case, IMAGE_CHUNK), "<f4", "r", shape=shape)

    def free(self, case: str) -> "np.memmap[Any, np.dtype[np.uint8]] | None":
        """Labels of a case that cost nothing, uint8 ``(z, y, x)``, 255 where there is none.

        Read-only and memory-mapped; None if the case has no such labels.

        Raises:
            DatasetError: There is no such case.
        """
        info = self.case(case)
        if info.free_sha256 is None:
            return None
        return np.memmap(self._file(case, FREE_CHUNK), np.uint8, "r", shape=info.shape)

    def case(self, case: str) -> CaseInfo:
        """What is known of a case.

        Raises:
            DatasetError: There is no such case.
        """
        try:
            return self.cases[case]
        except KeyError:
            raise DatasetError(
                f"{self.path}: has no case '{case}'; alsweep inspect lists the cases"
            ) from None

    def _file(self, case: str, chunk: Path) -> Path:
        return case_folder(self.path, case) / chunk

    def _part(self, part: Part) -> tuple[str, ...]:
        return tuple(case.id for case in self.cases.values() if case.part == part)


def chunk_file(dataset: Dataset, case: str, chunk: Path) -> Path:
    """The file of a case's only chunk, such as :data:`REFERENCE_CHUNK`, on this node.

    No method of a Dataset, which knows no way to the labels.

    Raises:
        DatasetError: It cannot be fetched from where the Dataset lies.
    """
    return dataset._file(case, chunk)
