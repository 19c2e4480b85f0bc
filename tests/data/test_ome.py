"""An ingested case, opened with a reader that we did not write."""

import ngff_zarr
import numpy as np
import pytest

from alsweep.data.annotator import ReferenceLabels
from alsweep.data.case import case_folder
from alsweep.data.ingest import ingest
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
