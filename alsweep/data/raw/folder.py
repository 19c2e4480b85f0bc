"""What a raw dataset holds, in nnU-Net or Decathlon layout; reads names and JSON only."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from alsweep.data.raw.decathlon import DecathlonJson, read_decathlon
from alsweep.data.raw.foreign import check_names, inside, parsed, read_foreign
from alsweep.data.raw.layout import DESCRIPTION, SPLITS, RawCase, RawDataset
from alsweep.data.raw.maps import check_names_by_number, check_numbers_by_name
from alsweep.data.raw.nnunet import NnunetJson, read_nnunet
from alsweep.errors import IngestError

_NNUNET = ("channel_names", "labels", "file_ending")
_DECATHLON = ("modality", "labels", "training")


def read_raw(root: Path, *, follow_links: bool = False) -> RawDataset:
    """Find out what a raw dataset holds; the layout is told from ``dataset.json``, not from names.

    Args:
        root: Its folder.
        follow_links: Whether links and paths may lead out of it.

    Raises:
        IngestError: The folder or its ``dataset.json`` is missing or malformed, or two cases have
            the same id.
    """
    if not root.is_dir():
        raise IngestError(f"{root}: is not a folder; {_folder_meant(root)}")
    for name in (DESCRIPTION, SPLITS):
        inside(root, Path(name), follow_links=follow_links)
    dataset = _read(root)
    dataset = replace(
        dataset,
        cases=tuple(sorted(dataset.cases, key=lambda case: case.id)),
        follow_links=follow_links,
    )
    _check_ids(dataset)
    check_names(dataset.labels.classes, f"{root / DESCRIPTION}: 'labels'")
    check_names([r.name for r in dataset.labels.regions], f"{root / DESCRIPTION}: 'labels'")
    check_names(dataset.channels, f"{root / DESCRIPTION}: channels")
    return dataset


def _folder_meant(root: Path) -> str:
    if root.name == DESCRIPTION:
        return f"name its folder, {root.parent}"
    unset = root.is_absolute() and root.parent == Path(root.anchor)
    hint = " (is a variable before it unset?)" if unset else ""
    return f"name an nnU-Net or Decathlon dataset{hint}"


def _read(root: Path) -> RawDataset:
    path = root / DESCRIPTION
    raw = read_foreign(path, f"name the folder that holds it, such as {_example(root)}")
    if not isinstance(raw, dict):
        raise IngestError(f"{path}: must hold a JSON object; write one")
    if "channel_names" in raw and "file_ending" in raw:
        check_names_by_number(raw, "channel_names", str(path))
        check_numbers_by_name(raw, "labels", str(path))
        return read_nnunet(root, parsed(NnunetJson, raw, str(path)))
    if "modality" in raw and "training" in raw:
        check_names_by_number(raw, "modality", str(path))
        check_names_by_number(raw, "labels", str(path))
        return read_decathlon(root, parsed(DecathlonJson, raw, str(path)))
    if raw.get("format") == "alsweep":
        raise IngestError(f"{root}: is a Dataset already; name it in a search space as it is")
    raise IngestError(
        f"{path}: is neither nnU-Net v2 ({', '.join(_NNUNET)}) nor Decathlon or nnU-Net v1 "
        f"({', '.join(_DECATHLON)}); {_key_meant(raw)}"
    )


def _example(root: Path) -> str:
    """A dataset that the folder lies in or that lies in it, if there is one."""
    if (root.parent / DESCRIPTION).is_file():
        return str(root.parent)
    found = min((path.parent for path in root.glob(f"[!.]*/{DESCRIPTION}")), default=None)
    return "Dataset004_Hippocampus" if found is None else str(found)


def _key_meant(raw: dict[str, Any]) -> str:
    """The mend for the format that lacks the fewest keys."""
    if "modality" in raw and "file_ending" in raw:
        return "rename 'modality' to 'channel_names'"
    lacking = min(([k for k in keys if k not in raw] for keys in (_NNUNET, _DECATHLON)), key=len)
    similar = get_close_matches(lacking[0], raw, n=1)
    if similar:
        return f"rename '{similar[0]}' to '{lacking[0]}'"
    return "add " + " and ".join(f"'{key}'" for key in lacking)


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


def check_paths(dataset: RawDataset, case: RawCase) -> None:
    """Check that all files of a case lie where those of the raw dataset may, links followed.

    Raises:
        IngestError: A path or a link leads out of it.
    """
    for path in (path for path in case.files if path != case.before):
        inside(dataset.root, path, follow_links=dataset.follow_links)
