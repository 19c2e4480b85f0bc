"""What every raw dataset comes down to, whichever way its files are laid out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import RootModel

from alsweep.data.raw.foreign import Foreign, parsed, read_foreign
from alsweep.errors import IngestError
from alsweep.files import is_litter
from alsweep.label_codes import IGNORE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from alsweep.data.case import Region

DESCRIPTION = "dataset.json"
SPLITS = "splits_final.json"
MOST_CLASSES = IGNORE
"""Classes count from 0 and end before the code that means "not annotated"."""

_RENUMBER = {
    "labels": "renumber them, here and in the label files alike",
    "channel_names": "renumber them, here and in the names of the files alike",
}

Origin = Literal["training", "validation", "test"]


@dataclass(frozen=True)
class RawCase:
    """Where the files of a case ought to be, relative to the raw dataset.

    Attributes:
        id: Unique in the dataset.
        origin: The part that the layout gives it.
        images: One file per channel, or one for all.
        label: The reference labels; None for a case that is still to be labelled.
        free: Labels that cost nothing, if there are any.
        before: Labels of some voxels that somebody gave earlier, elsewhere; absolute.
    """

    id: str
    origin: Origin
    images: tuple[Path, ...]
    label: Path | None
    free: Path | None = None
    before: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them."""
        rest = (self.label, self.free, self.before)
        return (*self.images, *(path for path in rest if path is not None))


@dataclass(frozen=True)
class RawLabels:
    """What the numbers in a label file mean.

    Attributes:
        classes: Names by label id, background first.
        ignore: The number that says that nobody labelled the voxel, if there is one.
        regions: Overlapping sets of labels that are segmented instead of classes, if any.
        regions_class_order: The label that each region is painted with, in the order of painting.
        declared: Entries of ``labels``: what nnU-Net counts as outputs of the network.
    """

    classes: tuple[str, ...]
    ignore: int | None = None
    regions: tuple[Region, ...] = ()
    regions_class_order: tuple[int, ...] = ()
    declared: int = 0


class Fold(Foreign):
    """One entry of ``splits_final.json``."""

    train: tuple[str, ...]
    val: tuple[str, ...]


@dataclass(frozen=True)
class RawDataset:
    """A raw dataset.

    Attributes:
        root: Its folder.
        name: For tables and plots.
        labels: What its labels mean.
        channels: Names.
        stacked: Whether the channels of a case are the last axis of one file.
        reorient: Whether volumes are turned to the axes of RAS as they are read.
        cases: Ascending by id.
        folds: The folds of ``splits_final.json``, or None without that file.
        announced: Training cases that ``dataset.json`` promises, if it does.
        mask_for_norm: Channel by channel, whether z-scores are taken within the nonzero mask, if
            ``dataset.json`` says so.
        follow_links: Whether links and paths may lead out of ``root``.
        unlabelled: Whether cases of the training part are still to be labelled.
        cropped: Whether what was to be cropped is gone already, and every grid is kept whole.
    """

    root: Path
    name: str
    labels: RawLabels
    channels: tuple[str, ...]
    stacked: bool
    reorient: bool
    cases: tuple[RawCase, ...]
    folds: tuple[Fold, ...] | None
    announced: int | None
    mask_for_norm: tuple[bool, ...] | None = None
    follow_links: bool = False
    cropped: bool = False
    unlabelled: bool = False


class _Splits(RootModel[tuple[Fold, ...]]):
    pass


def read_folds(root: Path) -> tuple[Fold, ...] | None:
    """The folds of ``splits_final.json``, or None without that file.

    Raises:
        IngestError: It is malformed.
    """
    path = root / SPLITS
    if not path.exists() and not path.is_symlink():
        return None
    raw = read_foreign(path)
    if isinstance(raw, dict) and {"train", "val"} <= raw.keys():
        raise IngestError(f"{path}: is a fold, not a list of folds; put [ before it and ] after it")
    folds = parsed(_Splits, raw, str(path)).root
    if not folds:
        raise IngestError(
            f'{path}: lists no fold; write one as [{{"train": [CASES], "val": [CASES]}}], or move '
            "the file elsewhere to have the split drawn"
        )
    return folds


def by_index(names: Mapping[str, str], key: str, *, repeats: bool = False) -> tuple[str, ...]:
    """Names in the order of their integer keys, which must be 0, 1, 2...

    Args:
        names: Name by key.
        key: What to call the mapping in messages.
        repeats: Whether two may have the same name, as channels that are normalised alike have.

    Raises:
        IngestError: They are not, or two have the same name and must not.
    """
    if not names:
        raise IngestError(f"{DESCRIPTION}: '{key}': is empty; name at least one, number 0")
    wanted = [str(index) for index in range(len(names))]
    if sorted(names) != sorted(wanted):
        raise IngestError(
            f"{DESCRIPTION}: '{key}': numbers must run 0, 1, 2... without a gap, got "
            f"{few(sorted(names))}; {_RENUMBER.get(key, 'renumber them')}"
        )
    if len(names) > MOST_CLASSES:
        raise IngestError(
            f"{DESCRIPTION}: '{key}': at most {MOST_CLASSES} are possible; merge some"
        )
    ordered = tuple(names[index] for index in wanted)
    if not repeats and len(set(ordered)) < len(ordered):
        raise IngestError(f"{DESCRIPTION}: '{key}': two have the same name; rename one")
    return ordered


def is_leftover(name: str) -> bool:
    """Whether an entry of a raw folder is nobody's data: hidden, or what systems leave behind."""
    return name.startswith(".") or is_litter(name)


def distinct(channels: Sequence[str]) -> tuple[str, ...]:
    """Channel names to show, with the number where several channels have one name.

    >>> distinct(("CT", "PET", "CT"))
    ('CT (channel 0)', 'PET', 'CT (channel 2)')
    """
    repeated = {name for name, count in Counter(channels).items() if count > 1}
    return tuple(
        f"{name} (channel {index})" if name in repeated else name
        for index, name in enumerate(channels)
    )


def few(values: Iterable[object], most: int = 5) -> str:
    """The first of the values, as a text."""
    shown = [str(value) for value in values]
    return ", ".join(shown[:most]) + (", ..." if len(shown) > most else "")
