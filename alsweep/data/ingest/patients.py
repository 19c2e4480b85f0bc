"""Whether case ids look like several images of one patient; nothing is ever grouped by it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_DEEPEST = 4
"""Numbers, or parts of a name, that a patient's name may consist of."""

_MOST_OF_THEM = 0.5
_SMALL_GROUP = 3
_PERSON = re.compile(r"(patient|subject|subj|sub|person|pat)[-_ ]?\d+$", re.IGNORECASE)
_SEPARATOR = re.compile(r"[-_. ]")


@dataclass(frozen=True)
class Likeness:
    """Groups that ids seem to fall into.

    Attributes:
        pattern: A regular expression for ``--group-by`` that makes these groups.
        groups: Ids by the patient's part of them, those with several ids alone.
    """

    pattern: str
    groups: Mapping[str, tuple[str, ...]]


def several_per_patient(ids: Sequence[str]) -> Likeness | None:
    """What the ids look like, if most of them look like one of several images of a patient.

    Looked for are ids that begin alike up to a number, and go on with something that is no number,
    such as ``patient001_frame01`` and ``patient001_frame12``; then ids whose last parts come again
    and again, such as ``A0S9V9_ED`` and ``A0S9V9_ES``. The shortest beginning that serves is taken.
    One number that most ids have in common is a year, a centre or the name of the dataset.
    """
    for pattern, by_number in _patterns():
        groups = _groups(re.compile(pattern), ids)
        if _convincing(groups, len(ids), by_number=by_number):
            several = {name: found for name, found in groups.items() if len(found) > 1}
            return Likeness(_fitting(pattern, ids), several)
    return None


def _patterns() -> Iterator[tuple[str, bool]]:
    """Beginnings of an id, the shortest first, and whether they end in a number."""
    for count in range(1, _DEEPEST + 1):
        yield r"^\D*\d+" if count == 1 else rf"^(?:\D*\d+){{{count}}}", True
    for count in range(1, _DEEPEST + 1):
        yield "^[^-_]+" if count == 1 else rf"^[^-_]+(?:[-_][^-_]+){{{count - 1}}}", False


def _groups(pattern: re.Pattern[str], ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Ids by what the pattern finds in them, the id itself where it finds nothing."""
    groups: dict[str, tuple[str, ...]] = {}
    for id_ in sorted(ids):
        match = pattern.match(id_)
        name = match.group(0) if match else id_
        groups[name] = (*groups.get(name, ()), id_)
    return groups


def _fitting(pattern: str, ids: Sequence[str]) -> str:
    """The pattern, or one that fits every id: ``--group-by`` must."""
    return pattern if all(re.match(pattern, id_) for id_ in ids) else f"{pattern}|^.+"


def _convincing(groups: Mapping[str, Sequence[str]], total: int, *, by_number: bool) -> bool:
    several = {name: ids for name, ids in groups.items() if len(ids) > 1}
    rests = [id_[len(name) :] for name, ids in several.items() for id_ in ids]
    if len(several) < 2 or len(rests) <= _MOST_OF_THEM * total:
        return False
    if not all(any(letter.isdigit() for letter in name) for name in several):
        return False
    largest = max(map(len, several.values()))
    if len(groups) < largest and not all(map(_PERSON.search, several)):
        return False
    recurring = 2 * len(set(rests)) <= len(rests)
    if not by_number:
        return recurring and _apart(rests)
    small = len(rests) <= _SMALL_GROUP * len(several) and _apart(rests)
    return _alike(several, total) and (recurring or small)


def _apart(rests: Sequence[str]) -> bool:
    """Whether something stands between the patient's part and the rest."""
    return all(_SEPARATOR.match(rest) for rest in rests if rest)


def _alike(several: Mapping[str, Sequence[str]], total: int) -> bool:
    """Whether the names differ in their numbers alone, for most of the ids."""
    shapes = Counter[str]()
    for name, ids in several.items():
        shapes[re.sub(r"\d+", "0", name)] += len(ids)
    return max(shapes.values()) > _MOST_OF_THEM * total
