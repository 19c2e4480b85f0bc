"""From a raw dataset to a Dataset: check every case, measure, split, normalise, resample, write."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from alsweep.config.base import Frozen
from alsweep.data.air import air_mask
from alsweep.data.case import CaseInfo, Dataset, case_folder
from alsweep.data.ingest.checking import read_case
from alsweep.data.ingest.free import (
    Derivation,
    free_air,
    outside_mask,
    remarks_of_free,
    unlabelled,
)
from alsweep.data.ingest.head import head_of
from alsweep.data.ingest.image import mask_of, network_image
from alsweep.data.ingest.measuring import measure
from alsweep.data.ingest.notes import Notes
from alsweep.data.ingest.parallel import CasePool, WorkerLostError
from alsweep.data.ingest.placing import AFFINE_TOLERANCE, check_resampling, usable
from alsweep.data.ingest.plans_file import read_plans
from alsweep.data.ingest.remarks import Findings, remarks
from alsweep.data.ingest.resample import (
    coarse_axis,
    resample_labels,
    resampled_shape,
)
from alsweep.data.ingest.splits import assign_parts
from alsweep.data.ingest.unlabelled import (
    is_complete,
    labelled_before,
    parts_of_unlabelled,
    remarks_of_unlabelled,
    still_to_label,
)
from alsweep.data.ingest.writing import (
    DatasetHead,
    PreparedCase,
    new_dataset,
    refuse_existing,
    write_case,
    write_manifest,
)
from alsweep.data.raw.folder import read_raw
from alsweep.data.raw.reading import promised_voxels
from alsweep.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from jaxtyping import Shaped

    from alsweep.data.case import Part, Spacing
    from alsweep.data.ingest.crop import Mask
    from alsweep.data.ingest.measuring import CaseFacts
    from alsweep.data.ingest.plans_file import Prescription
    from alsweep.data.raw.layout import RawCase, RawDataset
    from alsweep.geometry import Triple
    from alsweep.types import LabelMap

OnCase = Callable[[str, int, int], None]
"""Called with the phase, the number of finished cases and the number of all."""

_NUMERICS = 3
"""Raised when a case is converted otherwise, so that old notes are not believed."""

_BYTES_PER_WORKER = 1 << 25
"""A further process takes about a second to start, so it must have something to do."""

_BYTES_PER_VOXEL = 40
"""What a process holds at its peak, per voxel and channel; 32 were measured for a CT."""

_MEMORY_SHARE = 0.5


@dataclass(frozen=True)
class IngestOptions:
    """How to ingest.

    Attributes:
        skip_bad: Leave unusable cases out instead of refusing the dataset.
        group_by: Regular expression for the group of a case; see ``data.splits``.
        fold: Fold of ``splits_final.json`` that validates; None means the first, if there is that
            file.
        spacing: Of the resampled grid ``(z, y, x)``, mm; None means the median rule.
        plans: An ``nnUNetPlans.json`` that decides on spacing, normalisation and topology.
        follow_links: Read files that links, or paths in ``dataset.json``, name outside the folder.
        affine_tolerance: Voxels by which files of a case may lie apart.
        workers: Processes; None means what CPUs, memory and the amount of data suggest.
        unlabelled: Let cases lack their labels, and let there be no validation.
        labels_from: Folder with labels of some voxels of them, if somebody gave any before.
        free_air: Label the air round the body background at no cost; see ``data.air``.
    """

    skip_bad: bool = False
    group_by: str | None = None
    fold: int | None = None
    spacing: Spacing | None = None
    plans: Path | None = None
    follow_links: bool = False
    affine_tolerance: float = AFFINE_TOLERANCE
    workers: int | None = None
    free_air: bool = False
    unlabelled: bool = False
    labels_from: Path | None = None


@dataclass(frozen=True)
class Ingested:
    """What came of it.

    Attributes:
        dataset: The new Dataset.
        skipped: Reason by id of each case that was left out.
        remarks: What a user should know.
    """

    dataset: Dataset
    skipped: dict[str, str]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class _Target:
    """What the second pass needs for every case."""

    raw: RawDataset
    notes: Notes
    head: DatasetHead
    free_air: bool


class _Converted(Frozen):
    """A written case, and what is to be said of its free labels."""

    info: CaseInfo
    free: Derivation


@dataclass(frozen=True)
class _Task:
    """A case for the second pass."""

    case: RawCase
    facts: CaseFacts
    part: Part


def ingest(
    raw: Path, out: Path, options: IngestOptions = IngestOptions(), on_case: OnCase | None = None
) -> Ingested:
    """Make the Dataset ``out`` of the raw dataset ``raw``, or leave nothing at ``out``.

    Every volume is read twice, once to check and measure and once to convert, so that memory holds
    one case per process however large the dataset is. An ingest that was killed or interrupted
    leaves a hidden folder beside ``out``; the next one takes over what is finished in it, case by
    case, where it still follows from the content of the raw files.

    Args:
        raw: nnU-Net (v2 or v1) or Decathlon folder; told apart by ``dataset.json``.
        out: Must not exist.
        options: See :class:`IngestOptions`.
        on_case: For progress.

    Raises:
        IngestError: Something in ``raw`` is not usable; one line with the file and the mend.
        DatasetError: ``out`` exists.
    """
    refuse_existing(out)
    dataset = _raw(raw, options)
    prescribed = _prescribed(options, len(dataset.channels))
    with (
        new_dataset(out, keep=(KeyboardInterrupt, WorkerLostError)) as root,
        CasePool(options.workers or _workers(dataset)) as pool,
    ):
        notes = Notes(root)
        on_done = _counting(on_case, "checking", len(dataset.cases))
        found = usable(
            dataset,
            measure(dataset, notes, pool, on_done),
            options.affine_tolerance,
            skip_bad=options.skip_bad,
        )
        parts = _parts(dataset, found.facts, options)
        head = head_of(dataset, found.facts, parts, options.spacing, prescribed)
        check_resampling(dataset, found.facts, head.spacing)
        converted = pool.map(
            partial(_convert, _Target(replace(dataset, cases=()), notes, head, options.free_air)),
            [_Task(case, facts, parts[case.id]) for case, facts in found.facts.items()],
            _counting(on_case, "writing", len(found.facts)),
        )
        write_manifest(root, head, [one.info for one in converted])
    made = Dataset.open(out)
    said = remarks(Findings(dataset, found.facts, made, prescribed))
    derived = {one.info.id: one.free for one in converted}
    of_free = remarks_of_free(derived, air_asked=options.free_air)
    of_labels = remarks_of_unlabelled(dataset, parts) if dataset.unlabelled else ()
    return Ingested(made, found.skipped, (*said, *of_free, *of_labels))


def _raw(raw: Path, options: IngestOptions) -> RawDataset:
    if options.labels_from is not None and not options.unlabelled:
        raise IngestError("--labels-from: is for what is still to be labelled; add --unlabelled")
    dataset = read_raw(raw, follow_links=options.follow_links)
    return still_to_label(dataset, options.labels_from) if options.unlabelled else dataset


def _parts(
    dataset: RawDataset, facts: Mapping[RawCase, CaseFacts], options: IngestOptions
) -> dict[str, Part]:
    if not dataset.unlabelled:
        return assign_parts(dataset, list(facts), options.fold, options.group_by)
    if options.group_by is not None:
        raise IngestError("--group-by: nothing is drawn with --unlabelled; leave one of them out")
    return parts_of_unlabelled(dataset, facts, options.fold)


def _prescribed(options: IngestOptions, channels: int) -> Prescription | None:
    if options.plans is None:
        return None
    if options.spacing is not None:
        raise IngestError("--spacing: --plans decides on the spacing; leave one of them out")
    return read_plans(options.plans, channels)


def _counting(on_case: OnCase | None, phase: str, total: int) -> Callable[[int], None]:
    if on_case is None:
        return lambda done: None
    return lambda done: on_case(phase, done, total)


def _workers(dataset: RawDataset) -> int:
    """As many processes as have a CPU, enough to do, and room for the largest case."""
    paths = [dataset.root / path for case in dataset.cases for path in case.images]
    sizes = {path: path.stat().st_size for path in paths if path.is_file()}
    if not sizes:
        return 1
    voxels = promised_voxels(max(sizes, key=lambda path: sizes[path]))
    needed = _BYTES_PER_VOXEL * voxels * (1 if dataset.stacked else len(dataset.channels))
    memory = _MEMORY_SHARE * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(
        1,
        min(
            len(os.sched_getaffinity(0)),
            len(dataset.cases),
            1 + sum(sizes.values()) // _BYTES_PER_WORKER,
            int(memory // max(needed, 1)),
        ),
    )


# Second pass


def _convert(target: _Target, task: _Task) -> _Converted:
    case, head = task.case, target.head
    key = {
        "numerics": _NUMERICS,
        "source": task.facts.source.plain(),
        "free": None if case.free is None else str(case.free),
        "unlabelled": target.raw.unlabelled,
        "free_air": target.free_air,
        "part": task.part,
        "ignore": target.raw.labels.ignore,
        "reorient": target.raw.reorient,
        "classes": head.classes,
        "channels": head.channels,
        "spacing": head.spacing,
        "normalisation": [how.plain() for how in head.normalisation],
    }
    known = target.notes.known("case", case.id, key, _Converted)
    if known is not None and case_folder(target.notes.root, case.id).is_dir():
        return known
    prepared, free = _prepared(target, task)
    made = _Converted(info=write_case(target.notes.root, head, prepared), free=free)
    target.notes.keep("case", case.id, key, made)
    return made


def _prepared(target: _Target, task: _Task) -> tuple[PreparedCase, Derivation]:
    """The case, cropped, normalised and resampled."""
    case, head, source = task.case, target.head, task.facts.source
    images = read_case(target.raw, case)
    if images.source != source:
        raise IngestError(
            f"{target.raw.root / case.images[0]}: was changed while it was being ingested; "
            "ingest again when it is at rest"
        )
    part_of = source.crop.slices
    channels = [channel[part_of] for channel in images.channels]
    labels = images.labels[part_of]
    shape = resampled_shape(source.crop.size, source.spacing, head.spacing)
    coarse = coarse_axis(source.spacing, head.spacing)
    mask = mask_of(channels, head.normalisation)
    volume = network_image(channels, head.normalisation, mask, shape, coarse)
    reference = resample_labels(labels, shape, coarse)
    derived, free = Derivation(), images.free
    if free is not None:
        free = resample_labels(free[part_of], shape, coarse)
    elif task.part == "pool":
        known = labels if case.label is not None else np.zeros_like(labels)
        derived, own = _derived(target, channels, known, mask, source.spacing)
        known = reference if case.label is not None else np.zeros_like(reference)
        free = None if own is None else unlabelled(resample_labels(own, shape, coarse), known)
    moved = not source.crop.size == source.shape == shape
    prepared = PreparedCase(
        id=case.id,
        part=task.part,
        image=volume,
        reference=reference,
        source=source,
        free=free,
        original=images.labels if moved and task.part != "pool" else None,
        labelled=not target.raw.unlabelled or is_complete(task.facts),
        before=_before(target, task, images.before, labels, shape),
    )
    return prepared, derived


def _before(
    target: _Target, task: _Task, given: LabelMap | None, own: LabelMap, shape: Triple
) -> LabelMap | None:
    """What was labelled of a case that is to be labelled, on the grid of the dataset."""
    if task.part != "pool" or not target.raw.unlabelled:
        return None
    source = task.facts.source
    known = labelled_before(None if given is None else given[source.crop.slices], own)
    if known is None:
        return None
    return resample_labels(known, shape, coarse_axis(source.spacing, target.head.spacing))


def _derived(
    target: _Target,
    channels: Sequence[Shaped[np.ndarray, "z y x"]],
    labels: LabelMap,
    mask: Mask | None,
    spacing: Spacing,
) -> tuple[Derivation, LabelMap | None]:
    """Free labels of a case that brings none of its own."""
    if mask is not None:
        return outside_mask(mask, labels)
    if target.free_air:
        how = target.head.normalisation
        ct = [index for index, one in enumerate(how) if one.scheme == "ct"]
        return free_air(air_mask(channels, spacing, ct), labels)
    return Derivation(), None
