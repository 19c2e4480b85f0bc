"""Labels that a person gave: one small file a patch, on disk before anybody builds on it."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alsweep.config.base import fingerprint
from alsweep.errors import DatasetError
from alsweep.files import sync_folder, write_bytes
from alsweep.geometry import Patch
from alsweep.label_codes import IGNORE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from alsweep.geometry import Triple
    from alsweep.types import LabelMap


@dataclass(frozen=True)
class Effort:
    """What labelling a patch took; None where nobody knows.

    Attributes:
        seconds: Of all who labelled it.
        prompts: To an interactive tool.
        corrections: Voxels that differ from the prediction that was shown.
    """

    seconds: float | None = None
    prompts: int | None = None
    corrections: int | None = None


UNKNOWN = Effort()

_READABLE = 40
DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


class HumanLabels:
    """An annotator who has answered already: the crops of one trajectory.

    A crop is an ``.npz`` that any numpy reads: ``labels`` uint8 ``(z, y, x)``, ``case``, ``start``
    and, where it is known, ``effort`` as JSON.
    It never changes, since trainings may follow from it. One process at a time may save.

    Args:
        folder: The trajectory's ``crops``; made by the first :meth:`save`.
        classes: Number of classes, background included.
    """

    def __init__(self, folder: Path, classes: int) -> None:
        self._folder = folder
        self._classes = classes
        self._ready = False

    def save(self, patch: Patch, labels: LabelMap, effort: Effort = UNKNOWN) -> None:
        """Store the labels of a patch; when this returns they outlive a crash and a power cut.

        Args:
            patch: Where they belong.
            labels: uint8 ``(z, y, x)``, IGNORE where the person left voxels out.
            effort: What it took.

        Raises:
            DatasetError: They are of another size or type, hold an unknown class, or the patch was
                labelled otherwise before.
        """
        self._check(patch, labels)
        if self._path(patch).exists():
            self._refuse_other(patch, labels)
            return
        self._make_ready()
        content = io.BytesIO()
        known: dict[str, Any] = {} if effort == UNKNOWN else {"effort": json.dumps(asdict(effort))}
        np.savez_compressed(content, labels=labels, case=patch.case, start=patch.start, **known)
        write_bytes(self._path(patch), content.getvalue())

    def missing(self, patches: Iterable[Patch]) -> tuple[Patch, ...]:
        """Those of ``patches`` that still wait for their labels."""
        return tuple(patch for patch in patches if not self._path(patch).exists())

    def digest(self, patches: Iterable[Patch]) -> str | None:
        """Hash of the labels inside ``patches``, in whatever order.

        Raises:
            DatasetError: As :meth:`reveal`.
        """
        crops = {
            patch: hashlib.sha256(self.reveal(patch.case, patch.start, patch.size).tobytes())
            for patch in patches
        }
        return fingerprint(
            [
                [p.case, p.start, p.size, crop.hexdigest()]
                for p, crop in sorted(crops.items(), key=lambda one: one[0])
            ]
        )

    def reveal(self, case: str, start: Triple, size: Triple) -> LabelMap:
        """Labels of exactly one saved patch, uint8 ``(z, y, x)``.

        Raises:
            DatasetError: The patch has not been labelled, or its file is damaged.
        """
        patch = Patch(case, start, size)
        path = self._path(patch)
        try:
            with np.load(path, allow_pickle=False) as crop:
                labels: LabelMap = crop["labels"]
                told = Patch(str(crop["case"]), tuple(crop["start"].tolist()), labels.shape)
        except FileNotFoundError:
            raise DatasetError(
                f"{path}: no such file, but the query log says that the patch at {start} of case "
                f"'{case}' was labelled; restore the crops folder"
            ) from None
        except DAMAGE as error:
            raise DatasetError(f"{path}: is damaged ({error}); restore it from a copy") from None
        if told != patch:
            raise DatasetError(
                f"{path}: holds the patch at {told.start} of case '{told.case}', expected the one "
                f"at {start} of '{case}'; restore it from a copy"
            )
        return labels

    def effort(self, patch: Patch) -> Effort:
        """What labelling a saved patch took.

        Raises:
            DatasetError: Its file is damaged.
        """
        path = self._path(patch)
        try:
            with np.load(path, allow_pickle=False) as crop:
                return Effort(**json.loads(str(crop["effort"]))) if "effort" in crop else UNKNOWN
        except DAMAGE as error:
            raise DatasetError(f"{path}: is damaged ({error}); restore it from a copy") from None

    def _path(self, patch: Patch) -> Path:
        """The case as far as a file name can show it, and what tells all patches apart."""
        readable = "".join(c if c.isalnum() or c in "._-" else "_" for c in patch.case)
        digest = fingerprint([patch.case, patch.start, patch.size])[:16]
        return self._folder / f"{readable[:_READABLE]}-{digest}.npz"

    def _check(self, patch: Patch, labels: LabelMap) -> None:
        place = f"labels of the patch at {patch.start} of case '{patch.case}'"
        if labels.shape != patch.size or labels.dtype != np.uint8:
            raise DatasetError(
                f"{place}: expected uint8 of shape {patch.size}, got {labels.dtype} of shape "
                f"{labels.shape}; save them on the grid of the patch"
            )
        unknown = np.setdiff1d(labels, [*range(self._classes), IGNORE])
        if len(unknown):
            raise DatasetError(
                f"{place}: hold the label {unknown[0]}, expected 0 to {self._classes - 1}, or "
                f"{IGNORE} for voxels to leave out; label it again"
            )

    def _refuse_other(self, patch: Patch, labels: LabelMap) -> None:
        if not np.array_equal(self.reveal(patch.case, patch.start, patch.size), labels):
            raise DatasetError(
                f"{self._path(patch)}: the patch was labelled otherwise before, and a crop never "
                "changes; move the file elsewhere if nothing was trained on it"
            )

    def _make_ready(self) -> None:
        """Make the folder durably, and remove what a killed process left in it."""
        if self._ready:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        sync_folder(self._folder.parent)
        for leftover in self._folder.glob(".*.tmp"):
            leftover.unlink()
        self._ready = True
