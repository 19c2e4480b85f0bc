import json
import pickle
import shutil

import numpy as np
import pytest
import zarr

from alsweep import Dataset
from alsweep.data.annotator import ReferenceLabels
from alsweep.data.case import IMAGE_CHUNK, MANIFEST, case_folder
from alsweep.errors import DatasetError
from tests.data.raws import nnunet


@pytest.fixture
def copied(phantom, tmp_path):
    """A copy of the phantom that a test may break."""
    shutil.copytree(phantom.path, tmp_path / "copy")
    return tmp_path / "copy"


def test_the_memory_map_equals_what_zarr_reads(phantom):
    for case in phantom.cases:
        group = zarr.open_group(case_folder(phantom.path, case), mode="r")
        image = phantom.image(case)
        assert image.dtype == np.float32
        assert np.array_equal(image, group["0"][:])
        labels = ReferenceLabels(phantom).volume(case)
        assert np.array_equal(labels, group["labels/reference/0"][:])


def test_images_and_labels_cannot_be_written(phantom):
    case = phantom.pool[0]
    for array in (phantom.image(case), ReferenceLabels(phantom).volume(case)):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_a_case_is_a_whole_ome_zarr_image_with_a_label(phantom):
    group = zarr.open_group(case_folder(phantom.path, phantom.pool[0]), mode="r")
    ome = group.attrs["ome"]
    scale = ome["multiscales"][0]
    assert ome["version"] == "0.5"
    assert [axis["name"] for axis in scale["axes"]] == ["c", "z", "y", "x"]
    assert {axis.get("unit") for axis in scale["axes"][1:]} == {"millimeter"}
    transforms = scale["datasets"][0]["coordinateTransformations"]
    assert transforms == [{"type": "scale", "scale": [1.0, 1.0, 1.0, 1.0]}]
    assert group["0"].metadata.dimension_names == ("c", "z", "y", "x")
    assert group["labels"].attrs["ome"]["labels"] == ["reference"]
    label = group["labels/reference"]
    assert label.attrs["ome"]["image-label"]["properties"] == [
        {"label-value": 1, "name": "organ"},
        {"label-value": 2, "name": "lesion"},
    ]
    assert label.attrs["ome"]["image-label"]["source"] == {"image": "../../"}
    assert label["0"].dtype == np.uint8


def test_class_voxels_are_those_of_the_stored_labels(phantom):
    for case in phantom.cases.values():
        labels = ReferenceLabels(phantom).volume(case.id)
        assert case.class_voxels == tuple(np.bincount(labels.ravel(), minlength=3))


def test_the_fingerprint_does_not_depend_on_place_or_name(phantom, copied):
    moved = Dataset.open(copied)
    assert moved.fingerprint == phantom.fingerprint
    renamed = moved.manifest.model_copy(update={"name": "other"})
    assert renamed.sealed().fingerprint == phantom.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"classes": ("background", "organ", "tumour")},
        {"spacing": (1.0, 1.0, 1.5)},
        {"channels": ("T1",)},
    ],
)
def test_the_fingerprint_depends_on_what_results_follow_from(phantom, change):
    assert phantom.manifest.model_copy(update=change).sealed().fingerprint != phantom.fingerprint


@pytest.mark.parametrize("change", [{"part": "pool"}, {"image_sha256": "0"}, {"id": "renamed"}])
def test_the_fingerprint_depends_on_split_voxels_and_ids(phantom, change):
    last = phantom.cases[phantom.validation[-1]]
    others = tuple(case for case in phantom.manifest.cases if case != last)
    changed = (*others, last.model_copy(update=change))
    other = phantom.manifest.model_copy(update={"cases": changed})
    assert other.sealed().fingerprint != phantom.fingerprint


def test_a_dataset_survives_pickling_without_its_voxels(phantom):
    phantom.image(phantom.pool[0])
    content = pickle.dumps(phantom)
    assert len(content) < 20_000
    assert pickle.loads(content).fingerprint == phantom.fingerprint


def test_parts_are_sorted_and_disjoint(phantom):
    assert (len(phantom.pool), len(phantom.validation), phantom.test) == (6, 2, ())
    assert sorted(phantom.pool + phantom.validation) == list(phantom.cases)


def _edit(folder, **changes):
    raw = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(raw | changes))


def _chunk(folder):
    return case_folder(folder, "phantom_003") / IMAGE_CHUNK


FAULTS = {
    "gone": (shutil.rmtree, "no such Dataset"),
    "no manifest": (lambda f: (f / MANIFEST).unlink(), "has no dataset.json"),
    "no JSON": (lambda f: (f / MANIFEST).write_text("{"), "is not JSON"),
    "list": (lambda f: (f / MANIFEST).write_text("[]"), "is a raw dataset"),
    "raw": (lambda f: shutil.rmtree(f) or nnunet(f), "alsweep ingest"),
    "newer": (lambda f: _edit(f, schema_version=3), "newer alsweep"),
    "older": (lambda f: _edit(f, schema_version=1), "format 1 by an older alsweep"),
    "field lost": (lambda f: _edit(f, cases=None), "damaged at 'cases'"),
    "edited": (lambda f: _edit(f, spacing=[9, 9, 9]), "was changed after it was written"),
    "chunk lost": (lambda f: _chunk(f).unlink(), "phantom_003.ome.zarr/0/c/0/0/0/0 is missing"),
    "chunk short": (lambda f: _chunk(f).write_bytes(b"short"), "has 5 bytes, expected 86016"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_folder_that_is_no_whole_dataset_is_told_in_one_sentence(copied, fault):
    spoil, message = FAULTS[fault]
    spoil(copied)
    with pytest.raises(DatasetError, match=message) as error:
        Dataset.open(copied)
    assert str(copied) in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_case_is_named(phantom):
    with pytest.raises(DatasetError, match="no case 'nobody'"):
        phantom.image("nobody")
