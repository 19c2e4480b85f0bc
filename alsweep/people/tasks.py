"""The files that people get: images, predictions and empty labels of the patches of a query."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from alsweep.data.case import Box
from alsweep.data.exchange.volumes import NIFTI, SLICER, write_segmentation, write_volume
from alsweep.data.source_images import SourceImages
from alsweep.errors import IngestError
from alsweep.files import read_json, write_bytes, write_json
from alsweep.label_codes import IGNORE
from alsweep.layout import task_explanation, task_overview, task_table
from alsweep.people.explained import Explained, explain
from alsweep.people.labelling import mark
from alsweep.people.overview import overview
from alsweep.people.page import write_page
from alsweep.people.page_task import PageTask

if TYPE_CHECKING:
    from pathlib import Path

    from alsweep.data.case import Dataset
    from alsweep.geometry import Patch
    from alsweep.people.grid import Crop
    from alsweep.people.labelling import Labelling, Task
    from alsweep.types import LabelMap, Probs, ScoreMap

_log = logging.getLogger(__name__)

COLUMNS = ("patch", "case", "start", "size", "image", "label", "status")

Networks = Callable[[str], "tuple[Probs, ScoreMap]"]
"""Mean probabilities and voxel scores of a case, by the networks that chose the patches."""


@dataclass(frozen=True)
class TaskOptions:
    """What people get besides.

    Attributes:
        raw: Where the images come from; where the Dataset says if left out.
        segmentations: Whether labels are written for 3D Slicer, too.
    """

    raw: Path | None = None
    segmentations: bool = False

    def check(self, dataset: Dataset) -> None:
        """Refuse a folder that holds no images, before anybody has waited for networks.

        Raises:
            IngestError: It was named, and is no raw dataset.
        """
        if self.raw is not None:
            SourceImages(dataset, self.raw)


PLAIN = TaskOptions()


class _Seen(NamedTuple):
    """What networks say of a crop."""

    prediction: LabelMap
    score: np.ndarray[Any, Any]


def label_path(folder: Path, id_: str) -> Path:
    """The file that somebody paints in."""
    return folder / f"{id_}_label{NIFTI}"


def prediction_path(folder: Path, id_: str) -> Path:
    """What the networks would paint in the box; unpainted outside of it."""
    return folder / f"{id_}_prediction{NIFTI}"


def box_path(folder: Path, id_: str) -> Path:
    """Where the box lies, for programs that do not show it: 1 inside, 0 outside."""
    return folder / f"{id_}_box{NIFTI}"


def image_paths(folder: Path, id_: str, channels: int) -> list[Path]:
    """The image, a file a channel."""
    if channels == 1:
        return [folder / f"{id_}_image{NIFTI}"]
    return [folder / f"{id_}_image_{channel:04d}{NIFTI}" for channel in range(channels)]


def write_tasks(
    labelling: Labelling, networks: Networks | None, options: TaskOptions = PLAIN
) -> Path:
    """Write what people need to label the pending query; what they have painted in stays.

    A call that was cut short is made good by the next one; where nothing has changed it brings the
    table up to date alone.

    Args:
        labelling: With a pending query.
        networks: Those that chose it; None for a starting budget.
        options: What people get besides.

    Returns:
        The folder.
    """
    tasks, folder = labelling.open_tasks(), labelling.tasks_folder(labelling.loop)
    folder.mkdir(parents=True, exist_ok=True)
    if not _is_written(folder, tasks, options):
        _write_all(labelling, tasks, folder, networks, options)
    write_table(labelling)
    return folder


def write_table(labelling: Labelling) -> Path:
    """Write ``tasks.csv`` of the pending query; returns its path.

    ``start`` and ``size`` are ``z y x`` on the resampled grid, as in the query log.
    """
    folder = labelling.tasks_folder(labelling.loop)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    skipped = [task for task in labelling.skipped_tasks() if task.loop == labelling.loop]
    for task in [*labelling.open_tasks(), *skipped]:
        images = image_paths(folder, task.id, len(labelling.dataset.channels))
        table.writerow(
            [
                task.id,
                task.patch.case,
                " ".join(map(str, task.patch.start)),
                " ".join(map(str, task.patch.size)),
                " ".join(path.name for path in images),
                label_path(folder, task.id).name,
                task.status,
            ]
        )
    path = task_table(folder)
    write_bytes(path, text.getvalue().encode())
    return path


def read_explained(folder: Path) -> list[Explained]:
    """Why each patch of a folder of tasks was chosen, best first."""
    return [Explained.model_validate(one) for one in read_json(task_explanation(folder))["patches"]]


def _is_written(folder: Path, tasks: Sequence[Task], options: TaskOptions) -> bool:
    """Whether all is there: the explanation is written last."""
    path = task_explanation(folder)
    if not path.exists() or (options.raw is not None and read_json(path).get("resampled")):
        return False
    told = [one.patch for one in read_explained(folder)]
    labels = [label_path(folder, task.id) for task in tasks]
    if options.segmentations:
        labels += [_segmentation_path(folder, task.id) for task in tasks]
    return told == [task.id for task in tasks] and all(label.exists() for label in labels)


def _segmentation_path(folder: Path, id_: str) -> Path:
    return folder / f"{id_}_label{SLICER}"


def _write_all(
    labelling: Labelling,
    tasks: Sequence[Task],
    folder: Path,
    networks: Networks | None,
    options: TaskOptions,
) -> None:
    image, resampled = _images(labelling, options.raw)
    before = _before(labelling)
    pages: dict[str, PageTask] = {}
    explained: dict[str, Explained] = {}
    # Case by case, since each is read, and predicted, once.
    for task in sorted(tasks, key=lambda task: task.patch):
        crop = labelling.crop(task.patch)
        seen = None if networks is None else _seen(labelling, crop, networks(task.patch.case))
        inside = None if seen is None else seen.prediction[crop.box.slices]
        explained[task.id] = explain(labelling, task, len(tasks), inside, before)
        page = _page_task(task, crop, image(crop), seen, explained[task.id].words)
        _write_files(labelling, page, folder, options)
        pages[task.id] = page
    ordered = [pages[task.id] for task in tasks]
    title = f"{labelling.dataset.name}, loop {labelling.loop}"
    write_page(folder, ordered, labelling.classes, title)
    write_bytes(task_overview(folder), overview(ordered))
    told = [explained[task.id].plain() for task in tasks]
    write_json(task_explanation(folder), {"patches": told, "resampled": resampled})


def _before(labelling: Labelling) -> tuple[Patch, ...]:
    return labelling.log.patches(labelling.loop - 1)


_Images = Callable[["Crop"], dict[str, np.ndarray[Any, Any]]]


def _images(labelling: Labelling, raw: Path | None) -> tuple[_Images, bool]:
    """What gives the image of a crop, and whether that is the Dataset's, since its files are gone.

    Raises:
        IngestError: Where the files are was said, and they are not there.
    """
    try:
        source = SourceImages(labelling.dataset, raw)
    except IngestError as error:
        if raw is not None:
            raise
        return _resampled_images(labelling, error), True
    read = cache(source.channels)

    def image(crop: Crop) -> dict[str, np.ndarray[Any, Any]]:
        channels = read(crop.info.id)
        return {name: channel[crop.context.slices] for name, channel in channels.items()}

    return image, False


def _resampled_images(labelling: Labelling, error: IngestError) -> _Images:
    import torch

    from alsweep.data.raw.layout import distinct
    from alsweep.model.regrid import on_source

    _log.warning(
        "warning: people are shown the images that networks see, not their own: %s; say where they "
        "are by --raw FOLDER",
        error,
    )
    dataset = labelling.dataset

    def image(crop: Crop) -> dict[str, np.ndarray[Any, Any]]:
        volume = torch.from_numpy(np.array(dataset.image(crop.info.id)))
        channels = on_source(volume, crop.info, crop.spacing, crop.context)
        return dict(zip(distinct(dataset.channels), channels, strict=True))

    return image


def _seen(labelling: Labelling, crop: Crop, said: tuple[Probs, ScoreMap]) -> _Seen:
    import torch

    from alsweep.model.outputs import label_map
    from alsweep.model.regrid import on_source

    probs, score = said
    here = on_source(probs, crop.info, crop.spacing, crop.context)
    order = labelling.dataset.manifest.regions_class_order
    scores = on_source(score[None], crop.info, crop.spacing, crop.context)[0]
    return _Seen(label_map(torch.from_numpy(here), order), scores)


def _page_task(
    task: Task,
    crop: Crop,
    channels: dict[str, np.ndarray[Any, Any]],
    seen: _Seen | None,
    why: str,
) -> PageTask:
    return PageTask(
        id=task.id,
        case=task.patch.case,
        channels=channels,
        affine=crop.affine,
        box=crop.box,
        prediction=None if seen is None else seen.prediction,
        score=None if seen is None else seen.score,
        label=np.full(crop.context.size, IGNORE, dtype=np.uint8),
        why=why,
    )


def _write_files(labelling: Labelling, page: PageTask, folder: Path, options: TaskOptions) -> None:
    images = image_paths(folder, page.id, len(page.channels))
    for path, channel in zip(images, page.channels.values(), strict=True):
        write_volume(path, _storable(channel), page.affine, mark(page.id))
    if page.prediction is not None and page.score is not None:
        inside = within(page.prediction, page.box)
        write_volume(prediction_path(folder, page.id), inside, page.affine, mark(page.id))
        score = page.score.astype(np.float32)
        write_volume(folder / f"{page.id}_score{NIFTI}", score, page.affine, mark(page.id))
    inside = np.zeros(page.label.shape, dtype=np.uint8)
    inside[page.box.slices] = 1
    write_volume(box_path(folder, page.id), inside, page.affine, mark(page.id))
    # Somebody may have painted in it already.
    if not (path := label_path(folder, page.id)).exists():
        write_volume(path, page.label, page.affine, mark(page.id))
    if options.segmentations and not (path := _segmentation_path(folder, page.id)).exists():
        # Not what the networks see: nobody is to hand that in by mistake.
        write_segmentation(path, page.label, page.affine, labelling.classes)


def within(labels: LabelMap, box: Box) -> LabelMap:
    """The labels in a box and nothing painted outside, so that they can be handed in so."""
    inside = np.full(labels.shape, IGNORE, dtype=np.uint8)
    inside[box.slices] = labels[box.slices]
    return inside


def _storable(channel: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The channel in a type that every program reads."""
    if channel.dtype.kind == "f":
        return channel.astype(np.float32)
    if channel.dtype.itemsize > 4 or channel.dtype == np.uint32:
        return channel.astype(np.float64 if np.abs(channel).max() >= 2**31 else np.int32)
    return channel.astype(np.uint8) if channel.dtype.kind == "b" else channel
