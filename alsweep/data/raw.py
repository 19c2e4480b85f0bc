"""What a raw dataset holds, in nnU-Net v2 or Decathlon layout; reads names and JSON only."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from pathlib import Path

from alsweep.data.decathlon import DecathlonJson, read_decathlon
from alsweep.data.foreign import check_names, inside, parsed, read_foreign
from alsweep.data.layout import DESCRIPTION, SPLITS, RawCase, RawDataset
from alsweep.data.nnunet import NnunetJson, read_nnunet
from alsweep.errors import IngestError


def read_raw(root: Path) -> RawDataset:
    """Find out what a raw dataset holds; the layout is told from ``dataset.json``, not from names.

    Raises:
        IngestError: The folder or its ``dataset.json`` is missing or malformed, or two cases have
            the same id.
    """
    if not root.is_dir():
        raise IngestError(f"{root}: is not a folder; name an nnU-Net or Decathlon dataset")
    for name in (DESCRIPTION, SPLITS):
        inside(root, Path(name))
    dataset = _read(root)
    dataset = replace(dataset, cases=tuple(sorted(dataset.cases, key=lambda case: case.id)))
    _check_ids(dataset)
    check_names(dataset.labels.classes, f"{root / DESCRIPTION}: 'labels'")
    check_names([r.name for r in dataset.labels.regions], f"{root / DESCRIPTION}: 'labels'")
    check_names(dataset.channels, f"{root / DESCRIPTION}: channels")
    return dataset


def _read(root: Path) -> RawDataset:
    path = root / DESCRIPTION
    raw = read_foreign(path)
    if not isinstance(raw, dict):
        raise IngestError(f"{path}: must hold a JSON object; write one")
    if "channel_names" in raw and "file_ending" in raw:
        return read_nnunet(root, parsed(NnunetJson, raw, str(path)))
    if "modality" in raw and "training" in raw:
        return read_decathlon(root, parsed(DecathlonJson, raw, str(path)))
    if raw.get("format") == "alsweep":
        raise IngestError(f"{root}: is a Dataset already; name it in a search space as it is")
    raise IngestError(
        f"{path}: is neither nnU-Net v2 (channel_names, labels, file_ending) nor "
        "Decathlon (modality, labels, training); add the missing keys"
    )


def _check_ids(dataset: RawDataset) -> None:
    if not dataset.cases:
        raise IngestError(f"{dataset.root}: holds no training case; add images and labels")
    check_names([case.id for case in dataset.cases], str(dataset.root))
    seen: dict[str, RawCase] = {}
    for case in dataset.cases:
        # Not every file system tells upper from lower case, or one way to write an accent from
        # another.
        other = seen.setdefault(unicodedata.normalize("NFC", case.id).casefold(), case)
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
    for path in case.files:
        inside(root, path)
