"""Ingested cases and partial labels, opened with a reader that we did not write."""

from dataclasses import dataclass

import ngff_zarr
import numpy as np
import pytest

from alsweep import PartialLabels, Patch
from alsweep.data.annotator import ReferenceLabels
from alsweep.data.case import case_folder
from alsweep.data.ingest.conversion import ingest
from alsweep.rng import stream
from tests.data.raws import nnunet, save, volume


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    place = tmp_path_factory.mktemp("ome")
    raw = nnunet(place / "raw", channels=("T1", "T2"), spacings=((2.5, 1.5, 0.75),))
    free = np.full(volume()[1].shape, 255, np.uint8)
    free[:2] = 0
    save(raw / "addTr/case_1.nii.gz", free, (2.5, 1.5, 0.75))
    return ingest(raw, place / "out").dataset


def opened(path):
    multiscales = ngff_zarr.from_ngff_zarr(str(path), validate=True)
    assert len(multiscales.images) == 1
    return multiscales, multiscales.images[0]


def test_image_axes_scale_and_voxels_are_read_back(dataset):
    multiscales, image = opened(case_folder(dataset.path, "case_1"))
    assert tuple(image.dims) == ("c", "z", "y", "x")
    assert {axis: image.scale[axis] for axis in "zyx"} == {"z": 2.5, "y": 1.5, "x": 0.75}
    assert {image.axes_units[axis] for axis in "zyx"} == {"millimeter"}
    assert image.data.shape == (2, 12, 10, 8)
    assert np.array_equal(np.asarray(image.data), dataset.image("case_1"))
    assert [channel.label for channel in multiscales.metadata.omero.channels] == ["T1", "T2"]
    assert multiscales.metadata.name == "case_1"


def test_viewers_can_tell_channels_of_one_name_apart(tmp_path):
    raw = nnunet(tmp_path / "raw", cases=2, channels=("CT", "PET", "CT"))
    made = ingest(raw, tmp_path / "out").dataset
    multiscales, _ = opened(case_folder(made.path, "case_1"))
    labels = [channel.label for channel in multiscales.metadata.omero.channels]
    assert labels == ["CT (channel 0)", "PET", "CT (channel 2)"]


@pytest.mark.parametrize("name", ["reference", "free"])
def test_labels_are_read_back(dataset, name):
    folder = case_folder(dataset.path, "case_1") / "labels" / name
    _, label = opened(folder)
    volumes = {
        "reference": ReferenceLabels(dataset).volume("case_1"),
        "free": dataset.free("case_1"),
    }
    assert tuple(label.dims) == ("z", "y", "x")
    assert (label.scale["z"], label.scale["y"], label.scale["x"]) == (2.5, 1.5, 0.75)
    assert label.data.dtype == np.uint8
    assert np.array_equal(np.asarray(label.data), volumes[name])


def test_partial_labels_of_a_trajectory_are_read_back(tmp_path):
    shape, names, boxes = (70, 80, 66), ("background", "organ", "lesion"), []
    for start, size in (((0, 0, 0), (20, 30, 40)), ((50, 60, 3), (20, 20, 63))):
        boxes.append(Patch("case_1", start, size))
    rng = stream(0, "partial")
    truth = rng.integers(3, size=shape, dtype=np.uint8)
    labels = PartialLabels({"case_1": shape, "case_2": shape}, 3, Told(truth), boxes)
    labels.write_zarr(tmp_path / "labels.zarr", names, (2.5, 1.5, 0.75))
    _, label = opened(tmp_path / "labels.zarr" / "case_1")
    assert tuple(label.dims) == ("z", "y", "x")
    assert {axis: label.scale[axis] for axis in "zyx"} == {"z": 2.5, "y": 1.5, "x": 0.75}
    assert {label.axes_units[axis] for axis in "zyx"} == {"millimeter"}
    expected = np.full(shape, 255, np.uint8)
    for box in boxes:
        expected[box.slices] = truth[box.slices]
    assert label.data.dtype == np.uint8
    assert np.array_equal(np.asarray(label.data), expected)


@dataclass(frozen=True)
class Told:
    """An annotator who knows one volume."""

    truth: np.ndarray

    def reveal(self, case, start, size):
        return self.truth[Patch(case, start, size).slices].copy()
