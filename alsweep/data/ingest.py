"""From a raw dataset to a Dataset: check every case, measure, split, normalise, resample, write."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from alsweep.data.case import CaseInfo, Dataset, Normalisation
from alsweep.data.checking import RawImages, read_case
from alsweep.data.normalise import ct_normalisation, normalise, scheme_for
from alsweep.data.parallel import CasePool
from alsweep.data.raw import SPLITS, Fold, RawCase, RawDataset, read_raw
from alsweep.data.resample import (
    coarse_axis,
    resample_image,
    resample_labels,
    resampled_shape,
    target_spacing,
)
from alsweep.data.splits import draw_validation, group_cases
from alsweep.data.writing import (
    DatasetHead,
    PreparedCase,
    new_dataset,
    refuse_existing,
    write_case,
    write_manifest,
)
from alsweep.errors import IngestError
from alsweep.rng import stream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from jaxtyping import Float32

    from alsweep.data.case import Part, Spacing
    from alsweep.data.writing import Source
    from alsweep.types import Volume

OnCase = Callable[[str, int, int], None]
"""Called with the phase, the number of finished cases and the number of all."""

_SAMPLE_SEED = 12345
_SAMPLES_PER_CASE = 10_000
_BYTES_PER_WORKER = 1 << 25
"""A further process takes about a second to start, so it must have something to do."""


@dataclass(frozen=True)
class IngestOptions:
    """How to ingest.

    Attributes:
        skip_bad: Leave unusable cases out instead of refusing the dataset.
        group_by: Regular expression for the group of a case; see ``data.splits``.
        fold: Fold of ``splits_final.json`` that validates; None means the first, if there is that
            file.
        spacing: Of the resampled grid ``(z, y, x)``, mm; None means the median rule.
        workers: Processes; None means what the CPUs and the amount of data suggest.
    """

    skip_bad: bool = False
    group_by: str | None = None
    fold: int | None = None
    spacing: Spacing | None = None
    workers: int | None = None


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
class _Facts:
    """What the first pass learns of a case; ``foreground``: CT intensities of each channel."""

    case: RawCase
    source: Source
    present: frozenset[int]
    foreground: tuple[Float32[np.ndarray, " voxel"], ...]


@dataclass(frozen=True)
class _Refusal:
    """A case that cannot be used."""

    case: RawCase
    reason: str


@dataclass(frozen=True)
class _Target:
    """All that the second pass needs beside the case."""

    raw: RawDataset
    root: Path
    head: DatasetHead
    parts: Mapping[str, Part]


def ingest(
    raw: Path, out: Path, options: IngestOptions = IngestOptions(), on_case: OnCase | None = None
) -> Ingested:
    """Make the Dataset ``out`` of the raw dataset ``raw``, or leave nothing at ``out``.

    Every volume is read twice, once to check and measure and once to convert, so that memory holds
    one case per process however large the dataset is.

    Args:
        raw: nnU-Net v2 raw or Decathlon folder; told apart by ``dataset.json``.
        out: Must not exist.
        options: See :class:`IngestOptions`.
        on_case: For progress.

    Raises:
        IngestError: Something in ``raw`` is not usable; one line with the file and the mend.
        DatasetError: ``out`` exists.
    """
    refuse_existing(out)
    dataset = read_raw(raw)
    with CasePool(options.workers or _workers(dataset)) as pool:
        facts, skipped = _measure(dataset, options.skip_bad, pool, on_case)
        cases = [fact.case for fact in facts]
        parts = _parts(dataset, cases, options)
        head = _head(dataset, facts, parts, options.spacing)
        with new_dataset(out) as root:
            convert = partial(_convert, _Target(dataset, root, head, parts))
            infos = pool.map(convert, cases, _counting(on_case, "writing", len(cases)))
            write_manifest(root, head, infos)
    return Ingested(Dataset.open(out), skipped, _remarks(dataset, facts, parts))


def _counting(on_case: OnCase | None, phase: str, total: int) -> Callable[[int], None]:
    if on_case is None:
        return lambda done: None
    return lambda done: on_case(phase, done, total)


def _workers(dataset: RawDataset) -> int:
    paths = [dataset.root / path for case in dataset.cases for path in case.images]
    size = sum(path.stat().st_size for path in paths if path.is_file())
    return min(len(os.sched_getaffinity(0)), len(dataset.cases), 1 + size // _BYTES_PER_WORKER)


# First pass


def _measure(
    dataset: RawDataset, skip_bad: bool, pool: CasePool, on_case: OnCase | None
) -> tuple[list[_Facts], dict[str, str]]:
    """Check all cases; bad ones are refused together or left out, each by name."""
    outcomes = pool.map(
        partial(_examine, dataset),
        dataset.cases,
        _counting(on_case, "checking", len(dataset.cases)),
    )
    facts = [outcome for outcome in outcomes if isinstance(outcome, _Facts)]
    refusals = [outcome for outcome in outcomes if isinstance(outcome, _Refusal)]
    if refusals and not (skip_bad and facts):
        others = len(refusals) - 1
        hint = "" if skip_bad else "; see --bad-cases skip"
        more = f" ({others} more bad cases{hint})" if others else ""
        raise IngestError(refusals[0].reason + more)
    return facts, {refusal.case.id: refusal.reason for refusal in refusals}


def _examine(dataset: RawDataset, case: RawCase) -> _Facts | _Refusal:
    try:
        images = _read(dataset, case)
    except IngestError as error:
        return _Refusal(case, str(error))
    inside = images.labels > 0
    return _Facts(
        case=case,
        source=images.source,
        present=frozenset(int(label) for label in np.unique(images.labels)),
        foreground=tuple(
            _sample(channel[inside], case.id) if scheme_for(name) == "ct" else _NOTHING
            for name, channel in zip(dataset.channels, images.channels, strict=True)
        ),
    )


def _read(dataset: RawDataset, case: RawCase) -> RawImages:
    return read_case(
        dataset.root,
        case,
        len(dataset.channels),
        len(dataset.classes),
        stacked=dataset.stacked,
    )


_NOTHING = np.zeros(0, dtype=np.float32)


def _sample(values: np.ndarray[Any, Any], case: str) -> Float32[np.ndarray, " voxel"]:
    """At most ten thousand of the values, as nnU-Net takes per case."""
    if len(values) > _SAMPLES_PER_CASE:
        rng = stream(_SAMPLE_SEED, "intensities", case)
        values = values[rng.choice(len(values), _SAMPLES_PER_CASE, replace=False)]
    return values.astype(np.float32)


# What all cases share


def _parts(
    dataset: RawDataset, cases: Sequence[RawCase], options: IngestOptions
) -> dict[str, Part]:
    """Part of each case: the folders decide, else ``splits_final.json``, else a draw."""
    training = [case.id for case in cases if case.origin == "training"]
    given = {case.id: "validation" for case in cases if case.origin == "validation"}
    if options.fold is not None and (given or dataset.folds is None):
        why = "imagesVal decides the split" if given else f"there is no {SPLITS}"
        raise IngestError(f"--fold {options.fold}: {why} in {dataset.root}; leave --fold out")
    if options.group_by is not None and (given or dataset.folds is not None):
        raise IngestError(
            f"--group-by: the split of {dataset.root} is given by its files; leave --group-by out"
        )
    if given:
        validation = frozenset(given)
    elif dataset.folds is not None:
        validation = _fold(dataset, dataset.folds, training, options.fold or 0)
    else:
        validation = draw_validation(group_cases(training, options.group_by))
    parts: dict[str, Part] = {
        case.id: "test"
        if case.origin == "test"
        else ("validation" if case.id in validation else "pool")
        for case in cases
    }
    for part in ("pool", "validation"):
        if part not in parts.values():
            raise IngestError(f"{dataset.root}: no usable case is left for the {part}; add cases")
    return parts


def _fold(
    dataset: RawDataset, folds: tuple[Fold, ...], training: Sequence[str], number: int
) -> frozenset[str]:
    place = dataset.root / SPLITS
    if not 0 <= number < len(folds):
        raise IngestError(
            f"--fold {number}: {place} has {len(folds)} folds; write 0 to {len(folds) - 1}"
        )
    train, validation = (frozenset(ids) for ids in (folds[number].train, folds[number].val))
    known = {case.id for case in dataset.cases}
    for case in sorted((train | validation) - known):
        raise IngestError(
            f"{place}: fold {number} names case '{case}', which is not there; mend it"
        )
    for case in sorted(set(training) - (train ^ validation)):
        where = "both parts" if case in train else "neither part"
        raise IngestError(f"{place}: case '{case}' is in {where} of fold {number}; mend it")
    return validation


def _head(
    dataset: RawDataset,
    facts: Sequence[_Facts],
    parts: Mapping[str, Part],
    spacing: Spacing | None,
) -> DatasetHead:
    """Spacing and normalisation, measured on the pool alone: validation stays unseen."""
    pool = [fact for fact in facts if parts[fact.case.id] == "pool"]
    sources = [fact.source for fact in pool]
    return DatasetHead(
        name=dataset.name,
        classes=dataset.classes,
        channels=dataset.channels,
        spacing=spacing or target_spacing([s.spacing for s in sources], [s.shape for s in sources]),
        normalisation=tuple(
            _normalisation(name, [fact.foreground[index] for fact in pool])
            for index, name in enumerate(dataset.channels)
        ),
    )


def _normalisation(
    channel: str, foreground: Sequence[Float32[np.ndarray, " voxel"]]
) -> Normalisation:
    scheme = scheme_for(channel)
    if scheme != "ct":
        return Normalisation(scheme=scheme)
    values = np.concatenate(foreground)
    if not len(values):
        raise IngestError(
            f"channel '{channel}': no pool case has foreground to measure the CT window on; "
            "add labels"
        )
    return ct_normalisation(values)


def _remarks(
    dataset: RawDataset, facts: Sequence[_Facts], parts: Mapping[str, Part]
) -> tuple[str, ...]:
    remarks = []
    training = sum(case.origin == "training" for case in dataset.cases)
    if dataset.announced not in (None, training):
        remarks.append(
            f"dataset.json announces {dataset.announced} training cases, {training} are there"
        )
    for label, name in enumerate(dataset.classes):
        for part in ("pool", "validation"):
            if not any(label in f.present for f in facts if parts[f.case.id] == part):
                remarks.append(f"class '{name}' occurs in no {part} case")
    return tuple(remarks)


# Second pass


def _convert(target: _Target, case: RawCase) -> CaseInfo:
    images = _read(target.raw, case)
    head, source = target.head, images.source
    shape = resampled_shape(source.shape, source.spacing, head.spacing)
    coarse = coarse_axis(source.spacing, head.spacing)
    volume: Volume = np.stack(
        [
            resample_image(normalise(channel, how), shape, coarse)
            for channel, how in zip(images.channels, head.normalisation, strict=True)
        ]
    )
    prepared = PreparedCase(
        id=case.id,
        part=target.parts[case.id],
        image=volume,
        reference=resample_labels(images.labels, shape, coarse),
        source=source,
    )
    return write_case(target.root, head, prepared)
