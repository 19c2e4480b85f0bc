"""What a raw dataset holds, in nnU-Net v2 or Decathlon layout; reads names and JSON only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from alsweep.data.reading import ENDINGS
from alsweep.errors import IngestError
from alsweep.files import read_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DESCRIPTION = "dataset.json"
SPLITS = "splits_final.json"
MOST_CLASSES = 255
"""Label 255 means "not annotated", so classes end at 254."""

Model = TypeVar("Model", bound=BaseModel)
Origin = Literal["training", "validation", "test"]
_FOLDERS: dict[Origin, str] = {"training": "Tr", "validation": "Val", "test": "Ts"}
_CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})")


@dataclass(frozen=True)
class RawCase:
    """Where the files of a case ought to be, relative to the raw dataset."""

    id: str
    origin: Origin
    images: tuple[Path, ...]
    label: Path


@dataclass(frozen=True)
class RawDataset:
    """A raw dataset.

    Attributes:
        root: Its folder.
        name: For tables and plots.
        classes: Names by label id, background first.
        channels: Names.
        stacked: Whether the channels of a case are the last axis of one file.
        cases: Ascending by id.
        folds: The folds of ``splits_final.json``, or None without that file.
        announced: Training cases that ``dataset.json`` promises, if it does.
    """

    root: Path
    name: str
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    stacked: bool
    cases: tuple[RawCase, ...]
    folds: tuple[Fold, ...] | None
    announced: int | None


class _Foreign(BaseModel):
    """JSON that others write: keys that we do not know are theirs."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Fold(_Foreign):
    """One entry of ``splits_final.json``."""

    train: tuple[str, ...]
    val: tuple[str, ...]


class _Splits(_Foreign):
    folds: tuple[Fold, ...]


class _Nnunet(_Foreign):
    channel_names: dict[str, str]
    labels: dict[str, int | list[int]]
    file_ending: str
    numTraining: int | None = None  # noqa: N815  (the format's own key)


class _Entry(_Foreign):
    image: str
    label: str


class _Decathlon(_Foreign):
    name: str | None = None
    modality: dict[str, str]
    labels: dict[str, str]
    training: list[_Entry]
    numTraining: int | None = None  # noqa: N815  (the format's own key)


def read_raw(root: Path) -> RawDataset:
    """Find out what a raw dataset holds.

    Raises:
        IngestError: The folder or its ``dataset.json`` is missing or malformed, has regions or an
            ignore label, or two cases have the same id.
    """
    if not root.is_dir():
        raise IngestError(f"{root}: is not a folder; name an nnU-Net or Decathlon dataset")
    raw = _read_object(root, DESCRIPTION)
    if "channel_names" in raw and "file_ending" in raw:
        dataset = _nnunet(root, _parsed(_Nnunet, raw))
    elif "modality" in raw and "training" in raw:
        dataset = _decathlon(root, _parsed(_Decathlon, raw))
    elif raw.get("format") == "alsweep":
        raise IngestError(f"{root}: is a Dataset already; name it in a search space as it is")
    else:
        raise IngestError(
            f"{root / DESCRIPTION}: is neither nnU-Net v2 (channel_names, labels, file_ending) nor "
            "Decathlon (modality, labels, training); add the missing keys"
        )
    _check_ids(dataset)
    return dataset


def _read_object(root: Path, name: str) -> dict[str, Any]:
    value = _read_json(root, name)
    if not isinstance(value, dict):
        raise IngestError(f"{root / name}: must hold a JSON object; write one")
    return value


def _read_json(root: Path, name: str) -> Any:
    _inside(root, Path(name))
    try:
        return read_json(root / name)
    except FileNotFoundError:
        raise IngestError(
            f"{root / name}: is missing; name the folder that holds it, "
            "such as Dataset004_Hippocampus"
        ) from None
    except (ValueError, RecursionError) as error:
        reason = str(error).split(":")[0]
        raise IngestError(f"{root / name}: is not valid JSON ({reason}); mend it") from None


def _parsed(model: type[Model], raw: Any, name: str = DESCRIPTION) -> Model:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        place = ".".join(map(str, detail["loc"]))
        raise IngestError(
            f"{name}: '{place}': {detail['msg'].lower()}, got {str(detail['input'])[:60]!r}; "
            "mend it"
        ) from None


# nnU-Net v2


def _nnunet(root: Path, description: _Nnunet) -> RawDataset:
    channels = _by_index(description.channel_names, "channel_names")
    ending = description.file_ending
    if ending not in ENDINGS:
        raise IngestError(
            f"{DESCRIPTION}: 'file_ending': alsweep reads {', '.join(ENDINGS)}, got '{ending}'; "
            "convert the volumes"
        )
    cases = [case for origin in _FOLDERS for case in _cases_in(root, origin, ending, len(channels))]
    return RawDataset(
        root=root,
        name=root.resolve().name,
        classes=_nnunet_classes(description.labels),
        channels=channels,
        stacked=False,
        cases=tuple(sorted(cases, key=lambda case: case.id)),
        folds=_folds(root),
        announced=description.numTraining,
    )


def _nnunet_classes(labels: Mapping[str, int | list[int]]) -> tuple[str, ...]:
    for name, label in labels.items():
        if isinstance(label, list):
            raise IngestError(
                f"{DESCRIPTION}: 'labels.{name}': regions (lists of labels) are not supported yet; "
                "write one integer per class"
            )
    if "ignore" in labels:
        raise IngestError(
            f"{DESCRIPTION}: 'labels.ignore': an ignore label is not supported yet; leave out the "
            "cases that have it and remove the key"
        )
    return _by_index({str(label): name for name, label in _unique(labels).items()}, "labels")


def _unique(labels: Mapping[str, Any]) -> dict[str, int]:
    if len(set(labels.values())) < len(labels):
        raise IngestError(f"{DESCRIPTION}: 'labels': two classes have the same number; number them")
    return dict(labels)


def _by_index(names: Mapping[str, str], key: str) -> tuple[str, ...]:
    """Names in the order of their integer keys, which must be 0, 1, 2..."""
    wanted = [str(index) for index in range(len(names))]
    if not names or sorted(names) != sorted(wanted):
        raise IngestError(
            f"{DESCRIPTION}: '{key}': numbers must run 0, 1, 2... without a gap, got "
            f"{', '.join(sorted(names)) or 'none'}; renumber them"
        )
    if len(names) > MOST_CLASSES:
        raise IngestError(
            f"{DESCRIPTION}: '{key}': at most {MOST_CLASSES} are possible; merge some"
        )
    ordered = tuple(names[index] for index in wanted)
    if len(set(ordered)) < len(ordered):
        raise IngestError(f"{DESCRIPTION}: '{key}': two have the same name; rename one")
    return ordered


def _cases_in(root: Path, origin: Origin, ending: str, channels: int) -> list[RawCase]:
    """Cases of one pair of folders; a test image without a label is of no use and no case."""
    images, labels = (f"{kind}{_FOLDERS[origin]}" for kind in ("images", "labels"))
    if not (root / images).is_dir():
        if origin == "training":
            raise IngestError(f"{root / images}: is missing; an nnU-Net dataset has that folder")
        return []
    imaged = {_case_of(root, images, name, ending, channels) for name in _files(root, images)}
    labelled = {_without(root, labels, name, ending) for name in _files(root, labels)}
    return [
        RawCase(
            id=case,
            origin=origin,
            images=tuple(Path(images, f"{case}_{c:04d}{ending}") for c in range(channels)),
            label=Path(labels, f"{case}{ending}"),
        )
        for case in sorted(labelled if origin == "test" else imaged | labelled)
    ]


def _files(root: Path, folder: str) -> list[str]:
    place = root / folder
    if not place.is_dir():
        return []
    return sorted(entry.name for entry in place.iterdir() if not entry.name.startswith("."))


def _without(root: Path, folder: str, name: str, ending: str) -> str:
    if not name.endswith(ending):
        raise IngestError(
            f"{root / folder / name}: does not end in {ending}, the file_ending of {DESCRIPTION}; "
            "convert or remove it"
        )
    return name.removesuffix(ending)


def _case_of(root: Path, folder: str, name: str, ending: str, channels: int) -> str:
    match = _CHANNEL.fullmatch(_without(root, folder, name, ending))
    if match is None:
        raise IngestError(
            f"{root / folder / name}: must be named CASE_0000{ending} with the channel's number; "
            "rename it"
        )
    if int(match["channel"]) >= channels:
        raise IngestError(
            f"{root / folder / name}: is channel {int(match['channel'])}, but {DESCRIPTION} names "
            f"{channels}; add it to channel_names or remove the file"
        )
    return match["case"]


def _folds(root: Path) -> tuple[Fold, ...] | None:
    if not (root / SPLITS).exists():
        return None
    return _parsed(_Splits, {"folds": _read_json(root, SPLITS)}, SPLITS).folds


# Decathlon


def _decathlon(root: Path, description: _Decathlon) -> RawDataset:
    cases = [
        RawCase(
            id=_stem(entry.image),
            origin="training",
            images=(Path(entry.image),),
            label=Path(entry.label),
        )
        for entry in description.training
        if not Path(entry.image).name.startswith(".")
    ]
    return RawDataset(
        root=root,
        name=root.resolve().name,
        classes=_by_index(description.labels, "labels"),
        channels=_by_index(description.modality, "modality"),
        stacked=True,
        cases=tuple(sorted(cases, key=lambda case: case.id)),
        folds=_folds(root),
        announced=description.numTraining,
    )


def _stem(image: str) -> str:
    name = Path(image).name
    for ending in ENDINGS:
        if name.endswith(ending) and name != ending:
            return name.removesuffix(ending)
    raise IngestError(
        f"{DESCRIPTION}: 'training': '{image}' is no volume; alsweep reads {', '.join(ENDINGS)}"
    )


# Checks of both


def _check_ids(dataset: RawDataset) -> None:
    if not dataset.cases:
        raise IngestError(f"{dataset.root}: holds no training case; add images and labels")
    seen: dict[str, RawCase] = {}
    for case in dataset.cases:
        # Not every file system tells upper from lower case.
        other = seen.setdefault(case.id.casefold(), case)
        if other is not case:
            raise IngestError(
                f"{dataset.root / case.images[0]}: case id '{case.id}' occurs twice, also as "
                f"{other.images[0]}; rename one of them"
            )


def check_paths(root: Path, case: RawCase) -> None:
    """Check that all files of a case lie in the raw dataset, links followed.

    Raises:
        IngestError: A path or a link leads out of it.
    """
    for path in _all_files(case):
        _inside(root, path)


def _all_files(case: RawCase) -> Iterable[Path]:
    return (*case.images, case.label)


def _inside(root: Path, path: Path) -> None:
    try:
        target = (root / path).resolve()
    except (OSError, RuntimeError):
        raise IngestError(
            f"{root / path}: is a link in a circle; put the file itself there"
        ) from None
    if not target.is_relative_to(root.resolve()):
        raise IngestError(
            f"{root / path}: leads out of the dataset, to {target}; put the file itself there"
        )
