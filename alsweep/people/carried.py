"""What a page carries of a task: all of what is asked, and of what lies round it enough to see."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from alsweep.data.case import Box
from alsweep.files import canonical_json
from alsweep.geometry import triple
from alsweep.people.packing import coarsened, label_text, pack, volume_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float

    from alsweep.geometry import Triple
    from alsweep.people.page_task import PageTask

_NEAR = 8
"""Voxels round the box in which the image is as fine as its file; farther away, a block is one."""

_SAVES = 2
"""Where the crop has not so many times the voxels of what is near, all of it is fine."""

_SCORE_STEPS = 63
"""A coloured overlay shows no more."""


@dataclass
class Carried:
    """A task as a page carries it.

    Attributes:
        task: The task.
        prefix: Of the ids of its blocks, unique in the page.
        blocks: Volumes as text, by id; filled by ``description``.
    """

    task: PageTask
    prefix: str
    blocks: dict[str, str] = field(default_factory=dict)

    def description(self) -> dict[str, Any]:
        """Everything but the voxels, which it refers to; axes are in the order of the files."""
        task = self.task
        place = {
            **{"id": task.id, "case": task.case},
            **{"shape": _xyz(task.label.shape), "affine": np.asarray(task.affine).tolist()},
            "box": _plain(task.box),
        }
        channels = [self._channel(name) for name in task.channels]
        return {
            **place,
            **{"key": _key([place, *self.blocks.values()]), "why": task.why, "channels": channels},
            "label": self._block(label_text(task.label)),
            "prediction": self._prediction(),
            "score": self._score(),
        }

    def _block(self, text: str) -> str:
        name = f"{self.prefix}-{len(self.blocks)}"
        self.blocks[name] = text
        return name

    def _channel(self, name: str) -> dict[str, Any]:
        packed = pack(np.asarray(self.task.channels[name]))
        told: dict[str, Any] = {"name": name, "slope": packed.slope, "offset": packed.offset}
        near = near_box(self.task)
        if packed.codes.size < _SAVES * np.prod(near.size):
            return told | {"block": self._block(volume_text(packed.codes)), "far": None}
        factors = _factors(self.task.affine)
        far = coarsened(packed.codes, factors)
        coarse = {"shape": _xyz(far.shape), "factors": _xyz(factors)}
        return told | {
            "block": self._block(volume_text(packed.codes[near.slices])),
            "near": _plain(near),
            "far": coarse | {"block": self._block(volume_text(far))},
        }

    def _prediction(self) -> str | None:
        """The prediction inside the box; nothing shows outside."""
        if self.task.prediction is None:
            return None
        codes = np.zeros(self.task.label.shape, dtype=np.uint8)
        codes[self.task.box.slices] = self.task.prediction[self.task.box.slices]
        return self._block(label_text(codes))

    def _score(self) -> dict[str, Any] | None:
        """The score inside the box, which is what was queried for it; nothing shows outside."""
        if self.task.score is None:
            return None
        inside = pack(np.asarray(self.task.score)[self.task.box.slices], _SCORE_STEPS)
        codes = np.zeros(self.task.label.shape, dtype=np.uint16)
        codes[self.task.box.slices] = inside.codes
        numbers = {"slope": inside.slope, "offset": inside.offset, "levels": int(codes.max()) + 1}
        return numbers | {"block": self._block(volume_text(codes)), "far": None}


def _key(seen: object) -> str:
    """What a browser keeps a patch's progress under: the image and the box, whatever else is asked.

    So it is there again where another patch was put in the place of one that cannot be labelled.
    """
    return hashlib.sha256(canonical_json(seen).encode()).hexdigest()[:16]


def near_box(task: PageTask) -> Box:
    """The box and a little round it, within the crop."""
    low = np.maximum(0, np.subtract(task.box.start, _NEAR))
    stop = np.add(task.box.start, task.box.size) + _NEAR
    return Box(start=triple(low), size=triple(np.minimum(task.label.shape, stop) - low))


def _factors(affine: Float[np.ndarray, "4 4"]) -> Triple:
    """By how much ``(z, y, x)`` become coarser: thick slices stay, and the others pay for them."""
    edges = np.linalg.norm(np.asarray(affine)[:3, :3], axis=0)[::-1]
    fine = edges < 2 * edges.min()
    return triple(np.where(fine, 2 if fine.all() else 3, 1))


def _plain(box: Box) -> dict[str, list[int]]:
    return {"start": _xyz(box.start), "size": _xyz(box.size)}


def _xyz(values: Sequence[int]) -> list[int]:
    """An axis triple as the files have it."""
    return [int(value) for value in reversed(values)]
