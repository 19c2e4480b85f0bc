"""All that people painted, as they painted it: who, when, and how long it took."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from alsweep.config.base import fingerprint
from alsweep.data.labels.human import DAMAGE, UNKNOWN, Effort
from alsweep.errors import DatasetError
from alsweep.files import write_bytes
from alsweep.label_codes import IGNORE
from alsweep.layout import annotations_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from alsweep.types import LabelMap


@dataclass(frozen=True, eq=False)
class Annotation:
    """What one person painted in one patch.

    Attributes:
        annotator: Who; a name as it was given.
        labels: Of the patch's box on the grid of the source, ``(z, y, x)``; 255 unpainted.
        time: When it arrived, UTC, ISO 8601.
        effort: What it took.
        file: Name of the file that it came in.
    """

    annotator: str
    labels: LabelMap
    time: str
    effort: Effort = UNKNOWN
    file: str = ""

    @property
    def digest(self) -> str:
        """Equal for the same labels by the same person."""
        content = hashlib.sha256(self.annotator.encode() + b"\0")
        content.update(str(self.labels.shape).encode() + self.labels.tobytes())
        return content.hexdigest()[:16]


class Annotations:
    """The annotations of a run. Nothing is ever changed or removed; any process may add.

    Args:
        run: The run folder.
    """

    def __init__(self, run: Path) -> None:
        self._folder = annotations_folder(run)

    def add(self, task: str, annotation: Annotation) -> bool:
        """Store what somebody painted; when this returns it outlives a crash and a power cut.

        Args:
            task: Id of the patch.
            annotation: What was painted.

        Returns:
            False where this is what the same person painted last: then nothing changes.
        """
        path = self._folder / task / f"{annotation.digest}.npz"
        if path.exists():
            if self._said_last(task, annotation):
                return False
            # They have changed their mind, and have changed it back since.
            path = path.with_stem(f"{annotation.digest}-{fingerprint([annotation.time])[:8]}")
        told = {key: getattr(annotation, key) for key in ("annotator", "time", "file")}
        about = json.dumps({**told, "effort": asdict(annotation.effort)})
        content = io.BytesIO()
        np.savez_compressed(content, labels=annotation.labels, about=about)
        write_bytes(path, content.getvalue())
        return True

    def _said_last(self, task: str, annotation: Annotation) -> bool:
        own = [one for one in self.of(task) if one.annotator == annotation.annotator]
        return bool(own) and own[-1].digest == annotation.digest

    def tasks(self) -> list[str]:
        """Ids of the patches that somebody painted in, ascending."""
        if not self._folder.is_dir():
            return []
        return sorted(path.name for path in self._folder.iterdir() if any(path.glob("*.npz")))

    def of(self, task: str) -> list[Annotation]:
        """All annotations of a patch, in the order in which they arrived.

        Raises:
            DatasetError: A file is damaged.
        """
        found = [_read(path) for path in (self._folder / task).glob("[!.]*.npz")]
        return sorted(found, key=lambda one: (one.time, one.digest))


def _read(path: Path) -> Annotation:
    try:
        with np.load(path, allow_pickle=False) as stored:
            about = json.loads(str(stored["about"]))
            effort = Effort(**about.pop("effort"))
            return Annotation(labels=stored["labels"], effort=effort, **about)
    except DAMAGE as error:
        raise DatasetError(f"{path}: is damaged ({error}); restore it from a copy") from None


def latest(annotations: Iterable[Annotation]) -> list[Annotation]:
    """The last annotation of each person, by name."""
    last = {one.annotator: one for one in annotations}
    return [last[name] for name in sorted(last)]


def consensus(annotations: Iterable[Annotation]) -> LabelMap:
    """The labels that a network learns from, whoever painted first.

    A voxel has the label that more of those who painted it gave than any other; where two labels
    have equally many it has none, since nobody can say which is right.

    Args:
        annotations: At least one; the last of each person counts.
    """
    painted = np.stack([one.labels for one in latest(annotations)])
    codes = np.unique(painted[painted != IGNORE])
    if not len(codes):
        nothing: LabelMap = painted[0]
        return nothing
    votes = np.stack([(painted == code).sum(axis=0) for code in codes])
    most = votes.max(axis=0)
    settled = (most > 0) & ((votes == most).sum(axis=0) == 1)
    agreed: LabelMap = np.where(settled, codes[votes.argmax(axis=0)], np.uint8(IGNORE))
    return agreed.astype(np.uint8)


def effort_of_all(annotations: Sequence[Annotation]) -> Effort:
    """What a patch took all who labelled it together, as far as it is known."""
    efforts = [one.effort for one in latest(annotations)]
    seconds = [one.seconds for one in efforts if one.seconds is not None]
    prompts = [one.prompts for one in efforts if one.prompts is not None]
    corrections = [one.corrections for one in efforts if one.corrections is not None]
    return Effort(
        sum(seconds) if seconds else None,
        sum(prompts) if prompts else None,
        sum(corrections) if corrections else None,
    )


class Pair(NamedTuple):
    """How two people agree on a patch that both labelled.

    Attributes:
        one: A name.
        other: A later one in the alphabet.
        voxels: That both painted.
        same: Of these, those with the same label.
        dice: Mean Dice over the foreground classes that either painted there; None without any.
    """

    one: str
    other: str
    voxels: int
    same: int
    dice: float | None


def pairs(annotations: Iterable[Annotation]) -> list[Pair]:
    """How each two of those who labelled a patch agree; what one of them left out is left out."""
    return [_pair(one, other) for one, other in combinations(latest(annotations), 2)]


def _pair(one: Annotation, other: Annotation) -> Pair:
    both = (one.labels != IGNORE) & (other.labels != IGNORE)
    a, b = one.labels[both], other.labels[both]
    codes = [code for code in np.union1d(a, b) if code]
    dice = [2 * ((a == c) & (b == c)).sum() / ((a == c).sum() + (b == c).sum()) for c in codes]
    mean = float(np.mean(dice)) if dice else None
    return Pair(one.annotator, other.annotator, int(both.sum()), int((a == b).sum()), mean)
