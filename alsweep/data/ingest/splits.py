"""Which cases may be annotated and which are kept to measure Dice; fixed once, at ingest."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from alsweep.data.raw.layout import SPLITS
from alsweep.errors import IngestError
from alsweep.rng import stream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from alsweep.data.case import Part
    from alsweep.data.raw.layout import Fold, RawCase, RawDataset

VALIDATION_SHARE = 0.25
_SEED = 12345
_FEWEST = 2


def group_cases(cases: Sequence[str], pattern: str | None) -> dict[str, str]:
    """Group of each case: what ``pattern`` finds in its id (its first group, if it has one).

    Without a pattern every case is its own group: names are never guessed from.

    Raises:
        IngestError: The pattern is not a regular expression, or does not fit a case.
    """
    if pattern is None:
        return {case: case for case in cases}
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise IngestError(
            f"--group-by '{pattern}': is not a regular expression ({error}); "
            "write one like '^[^_]+'"
        ) from None
    return {case: _group(compiled, case) for case in cases}


def _group(pattern: re.Pattern[str], case: str) -> str:
    match = pattern.search(case)
    if match is None:
        raise IngestError(
            f"--group-by '{pattern.pattern}': does not fit case '{case}'; it must fit every case"
        )
    found: str | None = match.group(1) if pattern.groups else match.group(0)
    return found or ""


def draw_validation(groups: Mapping[str, str]) -> frozenset[str]:
    """Draw a quarter of the cases, at least one, for validation; cases of one group stay together.

    Args:
        groups: Group of each case.

    Raises:
        IngestError: There are fewer than two groups, so that nothing would be left to annotate.

    Source: methods of nnActive (25 %, seed 12345); which cases are drawn differs from it.
    """
    members: dict[str, list[str]] = {}
    for case in sorted(groups):
        members.setdefault(groups[case], []).append(case)
    if len(members) < _FEWEST:
        raise IngestError(
            f"split: needs at least {_FEWEST} cases of different groups, got {len(members)}; "
            "add cases or change --group-by"
        )
    return frozenset(_take(members, max(1, int(VALIDATION_SHARE * len(groups)))))


def _take(members: Mapping[str, Sequence[str]], wanted: int) -> list[str]:
    """Whole groups in random order while they fit, but at least the first one."""
    names = sorted(members)
    chosen: list[str] = []
    for position in stream(_SEED, "validation").permutation(len(names)):
        group = members[names[position]]
        if not chosen or len(chosen) + len(group) <= wanted:
            chosen.extend(group)
    return chosen


def assign_parts(
    dataset: RawDataset, cases: Sequence[RawCase], fold: int | None, group_by: str | None
) -> dict[str, Part]:
    """Part of each usable case: the folders decide, else ``splits_final.json``, else a draw.

    Args:
        dataset: Which says what was there before unusable cases were left out.
        cases: The usable ones.
        fold: Of ``splits_final.json``; None means the first, if there is that file.
        group_by: Regular expression for the group of a case.

    Raises:
        IngestError: An option contradicts the files, or a part would be empty.
    """
    validation = given_validation(dataset, cases, fold)
    if group_by is not None and validation is not None:
        raise IngestError(
            f"--group-by: the split of {dataset.root} is given by its files; leave --group-by out"
        )
    if validation is None:
        training = [case.id for case in cases if case.origin == "training"]
        validation = draw_validation(group_cases(training, group_by))
    parts = {case.id: _part(case, validation) for case in cases}
    for part in ("pool", "validation"):
        if part not in parts.values():
            raise IngestError(f"{dataset.root}: no usable case is left for the {part}; add cases")
    return parts


def given_validation(
    dataset: RawDataset, cases: Sequence[RawCase], fold: int | None
) -> frozenset[str] | None:
    """The cases that validate by folder or by ``splits_final.json``; None where neither says it.

    Raises:
        IngestError: ``fold`` contradicts the files, or these themselves.
    """
    training = [case.id for case in cases if case.origin == "training"]
    given = frozenset(case.id for case in cases if case.origin == "validation")
    if fold is not None and (given or dataset.folds is None):
        why = "imagesVal decides the split" if given else f"there is no {SPLITS}"
        raise IngestError(f"--fold {fold}: {why} in {dataset.root}; leave --fold out")
    if given or dataset.folds is None:
        return given or None
    return _validation_of_fold(dataset, dataset.folds, training, fold or 0)


def _part(case: RawCase, validation: frozenset[str]) -> Part:
    if case.origin == "test":
        return "test"
    return "validation" if case.id in validation else "pool"


def _validation_of_fold(
    dataset: RawDataset, folds: Sequence[Fold], training: Sequence[str], number: int
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
            f"{place}: fold {number} names case '{case[:200]}', which is not there; mend it"
        )
    for case in sorted(set(training) - (train ^ validation)):
        where = "both parts" if case in train else "neither part"
        raise IngestError(f"{place}: case '{case}' is in {where} of fold {number}; mend it")
    return validation
