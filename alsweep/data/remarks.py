"""What a user should know of a dataset that was ingested all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alsweep.data.layout import few
from alsweep.data.normalise import scheme_for
from alsweep.data.placing import contradictions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alsweep.data.case import Part
    from alsweep.data.layout import RawCase, RawDataset
    from alsweep.data.measuring import CaseFacts
    from alsweep.data.plans_file import Prescription

_MOST_NAMED = 10


def remarks(
    dataset: RawDataset,
    facts: Mapping[RawCase, CaseFacts],
    parts: Mapping[str, Part],
    prescribed: Prescription | None,
) -> tuple[str, ...]:
    """One sentence each; none of it makes the Dataset wrong, all of it may surprise."""
    return (
        *_counts(dataset),
        *_schemes(dataset, prescribed),
        *contradictions(facts),
        *_constant(dataset, facts),
        *_empty(facts),
        *_absent(dataset, facts, parts),
    )


def _counts(dataset: RawDataset) -> list[str]:
    training = sum(case.origin == "training" for case in dataset.cases)
    if dataset.announced in (None, training):
        return []
    return [f"dataset.json announces {dataset.announced} training cases, {training} are there"]


def _schemes(dataset: RawDataset, prescribed: Prescription | None) -> list[str]:
    if prescribed is None:
        return []
    pairs = zip(dataset.channels, prescribed.normalisation, strict=True)
    return [
        f"the plans normalise channel '{name}' by {how.scheme}, its name stands for "
        f"{scheme_for(name)}"
        for name, how in pairs
        if how.scheme != scheme_for(name)
    ]


def _constant(dataset: RawDataset, facts: Mapping[RawCase, CaseFacts]) -> list[str]:
    found = []
    for index, name in enumerate(dataset.channels):
        cases = [case.id for case, fact in facts.items() if index in fact.constant]
        if cases:
            found.append(f"channel '{name}' has one value throughout in {few(cases, _MOST_NAMED)}")
    return found


def _empty(facts: Mapping[RawCase, CaseFacts]) -> list[str]:
    cases = [case.id for case, fact in facts.items() if not fact.present - {0}]
    return [f"no foreground is labelled in {few(cases, _MOST_NAMED)}"] if cases else []


def _absent(
    dataset: RawDataset, facts: Mapping[RawCase, CaseFacts], parts: Mapping[str, Part]
) -> list[str]:
    present: dict[Part, set[int]] = {"pool": set(), "validation": set()}
    for case, fact in facts.items():
        present.setdefault(parts[case.id], set()).update(fact.present)
    return [
        f"class '{name}' occurs in no {part} case"
        for label, name in enumerate(dataset.labels.classes)
        for part in ("pool", "validation")
        if label not in present[part]
    ]
