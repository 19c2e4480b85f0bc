"""Small patches for the page, and where each of their voxels must lie on the screen."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import nibabel as nib
import numpy as np

from alsweep.data.case import Box
from alsweep.label_codes import IGNORE
from alsweep.people.page_task import PageTask
from tests.browser import Browser

CLASSES = {0: "background", 1: "liver", 2: 'a <b>vessel</b> & "more"', 7: "tumour"}
SHAPE = (13, 16, 12)
BOX = Box(start=(3, 4, 2), size=(8, 9, 7))
MARGIN = 24
SIZE = (900, 600)
"""Of the window, CSS pixels."""

PLANES = {"axial": (0, 1), "coronal": (0, 2), "sagittal": (1, 2)}
"""Axes of the patient (right, anterior, superior) across and down the screen, which run to the
left, back and feet."""


def turn(degrees: float, first: int, second: int) -> np.ndarray:
    """A rotation in the plane of two axes."""
    matrix, angle = np.eye(3), np.deg2rad(degrees)
    matrix[[first, first, second, second], [first, second, first, second]] = (
        *(np.cos(angle), -np.sin(angle)),
        *(np.sin(angle), np.cos(angle)),
    )
    return matrix


def affine(axes: np.ndarray, spacing: Sequence[float], origin=(-31.5, 12.25, 7.0)) -> np.ndarray:
    """Of unit vectors and voxel sizes."""
    made = np.eye(4)
    made[:3, :3] = axes * np.asarray(spacing)
    made[:3, 3] = origin
    return made


OBLIQUE = turn(14, 0, 1) @ turn(-9, 1, 2) @ np.diag([-1, -1, 1])
TURNED = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]]) @ turn(6, 0, 2)

AFFINES = {
    "plain": affine(np.eye(3), (1, 1, 1)),
    "flat": affine(np.diag([-1, 1, 1]), (0.7, 0.7, 3.0)),
    "oblique": affine(OBLIQUE, (0.9, 1.1, 2.5)),
    "turned": affine(TURNED, (2.0, 0.8, 0.8)),
}


def task(name: str, **changed) -> PageTask:
    """A patch whose prediction and intensities follow from its name alone."""
    rng = np.random.default_rng(len(name))
    codes = rng.choice(list(CLASSES), size=SHAPE).astype(np.uint8)
    label = np.full(SHAPE, IGNORE, dtype=np.uint8)
    label[0, 0, 0] = 1
    image = rng.integers(-1000, 2000, SHAPE).astype(np.float32)
    made = {
        **{"id": f"loop_001-{name}", "case": f"case_{name}", "affine": AFFINES[name], "box": BOX},
        **{"channels": {"CT": image, "PET": rng.normal(size=SHAPE).astype(np.float32)}},
        **{"prediction": codes, "score": rng.random(SHAPE, dtype=np.float32), "label": label},
        "why": "</script><i>because</i>",
    }
    return PageTask(**made | changed)


@dataclass
class Screen:
    """What a patch looks like when it is fitted into its pane."""

    tab: Browser
    task: PageTask

    def __post_init__(self) -> None:
        self.spacing = np.linalg.norm(self.task.affine[:3, :3], axis=0)
        self.ways = nib.io_orientation(self.task.affine)
        self.shape = np.array(self.task.label.shape[::-1])

    def axis(self, patient: int) -> tuple[int, bool]:
        """The voxel axis nearest to one of the patient's, and whether it runs against it."""
        (voxel,) = np.flatnonzero(self.ways[:, 0] == patient)
        return int(voxel), bool(self.ways[voxel, 1] < 0)

    def pixel(self, plane: str, voxel: Sequence[float]) -> tuple[float, float]:
        """The centre of a voxel ``(x, y, z)`` in CSS pixels of the page."""
        left, top, width, height = self.tab.ask(
            f"(({{left, top, width, height}}) => [left, top, width, height])"
            f"(panes[{list(PLANES).index(plane)}].canvas.getBoundingClientRect())"
        )
        axes = [self.axis(patient) for patient in PLANES[plane]]
        start, size = (np.array(at[::-1]) for at in (self.task.box.start, self.task.box.size))
        seen = np.minimum(self.shape, 1.5 * size) * self.spacing
        extents = [seen[axis] for axis, _ in axes]
        scale = min((width - 2 * MARGIN) / extents[0], (height - 2 * MARGIN) / extents[1])
        found = []
        for axis, against in axes:
            away = voxel[axis] + 0.5 - start[axis] - size[axis] / 2
            found.append(scale * self.spacing[axis] * (away if against else -away))
        return left + width / 2 + found[0], top + height / 2 + found[1]

    def stroke(self, plane: str, voxels: Iterable[Sequence[float]], button="left", **more) -> None:
        """Drag from voxel to voxel of the slice through the first of them."""
        places = list(voxels)
        self.tab.ask(f"moveTo({json.dumps([int(v) for v in places[0]])})")
        pixels = [self.pixel(plane, voxel) for voxel in places]
        held = {"button": button, "buttons": {"left": 1, "right": 2, "middle": 4}[button]}
        self.tab.mouse("Moved", *pixels[0], **more)
        self.tab.mouse("Pressed", *pixels[0], clickCount=1, **held, **more)
        for pixel in pixels[1:]:
            self.tab.mouse("Moved", *pixel, **held, **more)
        self.tab.mouse("Released", *pixels[-1], button=button, clickCount=1, **more)

    def label(self) -> np.ndarray:
        """The label as it is painted, ``(z, y, x)``."""
        found = self.tab.ask("[...app.open.label]")
        return np.array(found, dtype=np.uint8).reshape(self.task.label.shape)


def painted(base: PageTask, voxels: Mapping[tuple[int, int, int], int]) -> np.ndarray:
    """The label of a task with voxels ``(x, y, z)`` set, those outside its box left out."""
    label = base.label.copy()
    box = np.zeros(label.shape, dtype=bool)
    box[base.box.slices] = True
    for (x, y, z), code in voxels.items():
        if (np.array([z, y, x]) < label.shape).all() and min(x, y, z) >= 0 and box[z, y, x]:
            label[z, y, x] = code
    return label


NAMED = {name: task(name) for name in AFFINES} | {
    "plain": task("plain", prediction=None, score=None)
}
