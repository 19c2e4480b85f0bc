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
from alsweep.data.case import CaseInfo, Dataset, Normalisation, case_folder
from alsweep.data.ingest.checking import read_case
from alsweep.data.ingest.crop import nonzero_mask
from alsweep.data.ingest.free import (
    Derivation,
    free_air,
    outside_mask,
    remarks_of_free,
    unlabelled,
)
from alsweep.data.ingest.intensities import pooled
from alsweep.data.ingest.measuring import measure
from alsweep.data.ingest.normalise import ct_normalisation, masked_by_default, normalise, scheme_for
from alsweep.data.ingest.notes import Notes
from alsweep.data.ingest.parallel import CasePool, WorkerLostError
from alsweep.data.ingest.placing import AFFINE_TOLERANCE, check_resampling, usable
from alsweep.data.ingest.plans_file import read_plans
from alsweep.data.ingest.remarks import Findings, remarks
from alsweep.data.ingest.resample import (
    coarse_axis,
    resample_image,
    resample_labels,
    resampled_shape,
    target_spacing,
)
from alsweep.data.ingest.splits import assign_parts
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

    from alsweep.data.case import Intensities, Part, Spacing
    from alsweep.data.ingest.crop import Mask
    from alsweep.data.ingest.measuring import CaseFacts
    from alsweep.data.ingest.plans_file import Prescription
    from alsweep.data.raw.layout import RawCase, RawDataset
    from alsweep.types import LabelMap, Volume

OnCase = Callable[[str, int, int], None]
"""Called with the phase, the number of finished cases and the number of all."""

_NUMERICS = 3
"""Raised when a case is converted otherwise, so that old notes are not believed."""

_SMALL_CROP = 0.75
"""As in nnU-Net: where the median case keeps less, z-scores are taken within the nonzero mask."""

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
    dataset = read_raw(raw, follow_links=options.follow_links)
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
        parts = assign_parts(dataset, list(found.facts), options.fold, options.group_by)
        head = _head(dataset, found.facts, parts, options.spacing, prescribed)
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
    return Ingested(made, found.skipped, (*said, *of_free))


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


# What all cases share


def _head(
    dataset: RawDataset,
    facts: Mapping[RawCase, CaseFacts],
    parts: Mapping[str, Part],
    spacing: Spacing | None,
    prescribed: Prescription | None,
) -> DatasetHead:
    """Spacing and normalisation, measured on the pool alone: validation stays unseen."""
    pool = [fact for case, fact in facts.items() if parts[case.id] == "pool"]
    intensities = tuple(_intensities(pool, index) for index in range(len(dataset.channels)))
    return DatasetHead(
        name=dataset.name,
        classes=dataset.labels.classes,
        channels=dataset.channels,
        regions=dataset.labels.regions,
        regions_class_order=dataset.labels.regions_class_order,
        spacing=prescribed.spacing if prescribed else spacing or _target_spacing(pool),
        intensities=intensities,
        normalisation=prescribed.normalisation
        if prescribed
        else _normalisations(dataset, pool, intensities),
        outputs=dataset.labels.declared,
        plan=prescribed.plan if prescribed else None,
    )


def _target_spacing(pool: Sequence[CaseFacts]) -> Spacing:
    sources = [fact.source for fact in pool]
    return target_spacing([s.spacing for s in sources], [s.crop.size for s in sources])


def _intensities(pool: Sequence[CaseFacts], channel: int) -> Intensities | None:
    sketches = [fact.sketches[channel] for fact in pool]
    found = [one for one in sketches if one is not None]
    return pooled(found) if found else None


def _normalisations(
    dataset: RawDataset, pool: Sequence[CaseFacts], intensities: Sequence[Intensities | None]
) -> tuple[Normalisation, ...]:
    small = float(np.median([fact.kept_share for fact in pool])) < _SMALL_CROP
    masked = dataset.mask_for_norm or (small,) * len(dataset.channels)
    return tuple(
        _normalisation(*channel)
        for channel in zip(dataset.channels, intensities, masked, strict=True)
    )


def _normalisation(channel: str, found: Intensities | None, masked: bool) -> Normalisation:
    scheme = scheme_for(channel)
    if scheme != "ct":
        return Normalisation(scheme=scheme, masked=masked and masked_by_default(scheme))
    if found is None:
        raise IngestError(
            f"channel '{channel}': no pool case has foreground to measure the CT window on; "
            "add labels"
        )
    return ct_normalisation(found)


# Second pass


def _convert(target: _Target, task: _Task) -> _Converted:
    case, head = task.case, target.head
    key = {
        "numerics": _NUMERICS,
        "source": task.facts.source.plain(),
        "free": None if case.free is None else str(case.free),
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
    mask = nonzero_mask(channels) if any(how.masked for how in head.normalisation) else None
    volume: Volume = np.empty((len(channels), *shape), dtype=np.float32)
    for index, how in enumerate(head.normalisation):
        values = normalise(channels[index], how, mask if how.masked else None)
        volume[index] = resample_image(values, shape, coarse)
    reference = resample_labels(labels, shape, coarse)
    derived, free = Derivation(), images.free
    if free is not None:
        free = resample_labels(free[part_of], shape, coarse)
    elif task.part == "pool":
        derived, own = _derived(target, channels, labels, mask, source.spacing)
        free = None if own is None else unlabelled(resample_labels(own, shape, coarse), reference)
    prepared = PreparedCase(case.id, task.part, volume, reference, source, free)
    return prepared, derived


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
