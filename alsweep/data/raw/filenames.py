"""File names of nnU-Net's folders, and what is meant where one of them is off."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alsweep.data.raw.layout import DESCRIPTION, is_leftover
from alsweep.data.raw.reading import ENDINGS
from alsweep.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

_CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})", re.DOTALL)
_LABELS = re.compile(r"_0000|.*(seg|label|mask|gt|truth|annot|contour|free)", re.I | re.DOTALL)
"""What may follow a case's id in the name of its labels; ``_2`` may be another case."""

_SLICER = ".seg"
"""What 3D Slicer puts before the ending of a segmentation."""


@dataclass(frozen=True)
class Volumes:
    """The volumes of one folder.

    Attributes:
        place: The folder.
        ending: That all of them have.
        stems: Names without the ending, ascending; none if there is no such folder.
    """

    place: Path
    ending: str
    stems: tuple[str, ...]

    def path(self, stem: str) -> Path:
        """Where the volume of that name is, or would be."""
        return self.place / f"{stem}{self.ending}"


def volumes_in(place: Path, ending: str) -> Volumes:
    """The volumes of a folder; what file systems leave in it counts for nothing.

    Raises:
        IngestError: Something in it has another ending.
    """
    names: list[str] = []
    if place.is_dir():
        names = sorted(e.name for e in place.iterdir() if not is_leftover(e.name))
    return Volumes(place, ending, tuple(_stem(place, name, ending) for name in names))


def _stem(place: Path, name: str, ending: str) -> str:
    if name.endswith(ending):
        return name.removesuffix(ending)
    other = next((known for known in ENDINGS if name.lower().endswith(known)), None)
    if other is None:
        mend = "move it out of that folder"
    else:
        stem = name[: -len(other)].removesuffix(_SLICER) + ending
        verb = "rename" if other == ending else "convert"
        mend = f"{verb} it to {stem}"
        if other != ending and name.endswith(other):
            mend += f', or write "file_ending": "{other}" if all volumes end so'
    raise IngestError(
        f"{place / name}: does not end in {ending}, the file_ending of {DESCRIPTION}; {mend}"
    )


def cases_of(images: Volumes, labels: Collection[str], channels: int) -> set[str]:
    """Ids of the cases that images belong to.

    Args:
        images: Named ``CASE_0000``, the number being that of the channel.
        labels: Ids of the cases that have labels, which tell an id that ends in four digits from
            one with a channel.
        channels: How many there are.

    Raises:
        IngestError: A name has no channel's number, or one that is too high.
    """
    stems = set(images.stems)
    bare = [stem for stem in images.stems if _lacks_channel(stem, stems, labels)]
    # Where all end so, it is rather their labels that were named like images of a first channel.
    if not all(_CHANNEL.fullmatch(stem) and stem.endswith("_0000") for stem in bare):
        raise IngestError(_without_channel(images, bare[0], len(bare) - 1, channels))
    return {_case_of(images, stem, labels, channels) for stem in images.stems}


def _lacks_channel(stem: str, stems: Collection[str], labels: Collection[str]) -> bool:
    match = _CHANNEL.fullmatch(stem)
    if match is None:
        return True
    return stem in labels and match["case"] not in labels and f"{stem}_0000" not in stems


def _without_channel(images: Volumes, stem: str, more: int, channels: int) -> str:
    target = images.path(f"{stem}_0000")
    if target.exists():
        mend = f"{target.name} is there already, so move it out of that folder"
    else:
        mend = f"rename it to {target.name}"
        mend += ", or _0001... as its channel is" if channels > 1 else ""
        mend += f", and so the {more} others like it" if more else ""
    return f"{images.path(stem)}: its name lacks the number of a channel; {mend}"


def _case_of(images: Volumes, stem: str, labels: Collection[str], channels: int) -> str:
    match = _CHANNEL.fullmatch(stem)
    assert match is not None  # for the type checker: those without one were refused
    case, channel = match["case"], int(match["channel"])
    if channel < channels:
        return case
    said = f"{DESCRIPTION} names {channels}, counted from 0000"
    if case in labels or f"{case}_0000" in images.stems:
        raise IngestError(
            f"{images.path(stem)}: is channel {channel}, but {said}; add it to channel_names, "
            "or move the file out of that folder"
        )
    raise IngestError(
        f"{images.path(stem)}: would be channel {channel} of case '{case}', but {said}; if "
        f"{match['channel']} belongs to the case's name, rename it to "
        f"{images.path(stem + '_0000').name}, else add the channel to channel_names"
    )


def check_labels(labels: Volumes, cases: Collection[str]) -> None:
    """Check that labels bear the name of their case and nothing more.

    Labels of no case at all are left to whoever reads the case.

    Args:
        labels: Named ``CASE``.
        cases: Ids of the cases that have images.

    Raises:
        IngestError: Labels are named like a case and that they are labels, and the case has none.
    """
    lonely = set(cases) - set(labels.stems)
    longer = {stem: case for stem, case in _longer(labels.stems, cases) if case in lonely}
    if not longer:
        return
    stem, case = next(iter(longer.items()))
    if Counter(longer.values())[case] > 1:
        raise IngestError(
            f"{labels.path(stem)}: is one of several labels of case '{case}'; merge them into "
            f"{labels.path(case).name}"
        )
    more = f", and so the {len(longer) - 1} others like it" if len(longer) > 1 else ""
    raise IngestError(
        f"{labels.path(stem)}: labels bear the name of their case alone; rename it to "
        f"{labels.path(case).name}{more}"
    )


def check_free(free: Volumes, cases: Collection[str]) -> None:
    """Check that free labels belong to training cases.

    Raises:
        IngestError: One does not.
    """
    strangers = sorted(set(free.stems) - set(cases))
    if strangers:
        meant = dict(_longer(strangers[:1], cases)).get(strangers[0])
        known = meant is not None and not free.path(meant).exists()
        mend = f"rename it to {free.path(meant or '').name}" if known else "rename it as its case"
        raise IngestError(
            f"{free.path(strangers[0])}: belongs to no training case; {mend}, or move it out of "
            "that folder"
        )


def _longer(stems: Iterable[str], cases: Collection[str]) -> Iterator[tuple[str, str]]:
    """Names that say of which case they are the labels, and that; each with the longest such id."""
    known = set(cases)
    for stem in stems:
        if stem in known:
            continue
        cuts = (cut for cut in range(len(stem) - 1, 0, -1) if not stem[cut].isalnum())
        case = next((stem[:cut] for cut in cuts if stem[:cut] in known), None)
        if case is not None and _LABELS.match(stem, len(case)):
            yield stem, case
