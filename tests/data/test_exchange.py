import json
import os
import subprocess
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from alsweep import PartialLabels, Patch
from alsweep.data.annotator import Oracle, ReferenceLabels
from alsweep.data.case import CaseInfo
from alsweep.data.exchange import read_loops, write_loops, write_raw_dataset
from alsweep.data.exchange.images import images_in
from alsweep.data.exchange.nnunet import grid_affine
from alsweep.data.ingest.conversion import ingest
from alsweep.data.ingest.resample import resampled_shape
from alsweep.data.label_store import IGNORE
from alsweep.errors import DatasetError, IngestError
from tests.data.raws import describe, nnunet
from tests.data.raws import volume as made_volume

SHAPES = {"kits_1": (9, 8, 7), "kits_10": (5, 6, 12), "kits.v2 ä": (4, 4, 4)}
NNUNET_PYTHON = "ALSWEEP_TEST_NNUNET_PYTHON"
"""A Python that has nnunetv2; with it, tests ask nnU-Net itself whether it takes our files."""


def info(case, shape, **changes):
    plain = {
        "id": case,
        "part": "pool",
        "shape": shape,
        "class_voxels": (1, 1),
        "original_shape": shape,
        "original_spacing": (1.0, 1.0, 1.0),
        "crop": {"start": (0, 0, 0), "size": shape},
        "affine": np.eye(4).tolist(),
        "sources": {f"imagesTr/{case}_0000.nrrd": "0", f"labelsTr/{case}.nrrd": "0"},
        "image_sha256": "0",
        "reference_sha256": "0",
    }
    return CaseInfo.model_validate(plain | changes)


CASES = {case: info(case, shape) for case, shape in SHAPES.items()}


@st.composite
def patches(draw):
    case = draw(st.sampled_from(sorted(SHAPES)))
    size = tuple(draw(st.integers(1, n)) for n in SHAPES[case])
    start = tuple(draw(st.integers(0, n - s)) for n, s in zip(SHAPES[case], size, strict=True))
    return Patch(case, start, size)


@given(st.lists(st.lists(patches(), max_size=4), min_size=1, max_size=4))
def test_loop_files_come_back_as_they_were_written(tmp_path_factory, loops):
    folder = tmp_path_factory.mktemp("loops")
    write_loops(folder, loops, CASES)
    assert read_loops(folder, CASES) == tuple(tuple(loop) for loop in loops)


def test_a_loop_file_holds_what_nnactive_reads_and_no_more(tmp_path):
    whole = Patch("kits_10", (0, 0, 0), (5, 6, 12))
    (path,) = write_loops(tmp_path, [[Patch("kits_1", (1, 2, 3), (4, 4, 4)), whole]], CASES)
    assert path.name == "loop_000.json"
    assert json.loads(path.read_text()) == {
        "patches": [
            {"file": "kits_1.nrrd", "coords": [1, 2, 3], "size": [4, 4, 4]},
            {"file": "kits_10.nrrd", "coords": [0, 0, 0], "size": "whole"},
        ]
    }


def loop_file(folder, *entries, number=0):
    folder.mkdir(exist_ok=True)
    patches = [dict(zip(("file", "coords", "size"), entry, strict=True)) for entry in entries]
    text = json.dumps({"patches": patches, "later": "versions may say more"})
    (folder / f"loop_{number:03d}.json").write_text(text)


def test_a_patch_longer_than_its_case_is_the_whole_axis(tmp_path):
    loop_file(tmp_path, ("kits_1.nii.gz", [0, 1, 0], [64, 4, 7]))
    assert read_loops(tmp_path, CASES) == ((Patch("kits_1", (0, 1, 0), (9, 4, 7)),),)


def test_other_files_of_an_experiment_are_left_alone(tmp_path):
    loop_file(tmp_path, ("kits_1.nii.gz", [0, 0, 0], "whole"))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "loop_000").mkdir()
    assert read_loops(tmp_path, CASES) == ((Patch("kits_1", (0, 0, 0), (9, 8, 7)),),)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (("../kits_1.nii.gz", [0, 0, 0], "whole"), "no case for the file '../kits_1.nii.gz'"),
        (("kits_2.nii.gz", [0, 0, 0], "whole"), "no case for the file 'kits_2.nii.gz'"),
        (("kits_1.nii.gz", [8, 0, 0], [2, 2, 2]), "leaves case 'kits_1'"),
        (("kits_1.nii.gz", [-1, 0, 0], [2, 2, 2]), "leaves case 'kits_1'"),
        (("kits_1.nii.gz", [0, 0], [2, 2, 2]), r"patches\.0\.coords"),
        (("kits_1.nii.gz", [0, 0, 0], "half"), r"patches\.0\.size"),
    ],
)
def test_a_patch_that_is_not_of_the_dataset_is_refused(tmp_path, entry, message):
    loop_file(tmp_path, entry)
    with pytest.raises(DatasetError, match=message):
        read_loops(tmp_path, CASES)


def test_a_gap_in_the_loops_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="no such folder"):
        read_loops(tmp_path / "nowhere", CASES)
    with pytest.raises(DatasetError, match=r"no loop_000\.json"):
        read_loops(tmp_path, CASES)
    for number in (0, 2):
        loop_file(tmp_path, number=number)
    with pytest.raises(DatasetError, match="loop 1 is missing before loop 2"):
        read_loops(tmp_path, CASES)


@pytest.mark.parametrize("text", ["{", "[]", '{"patches": 3}', "\0", "[" * 100_000])
def test_what_is_no_loop_file_is_refused_in_one_line(tmp_path, text):
    (tmp_path / "loop_000.json").write_text(text)
    with pytest.raises(DatasetError, match=r"loop_000\.json") as caught:
        read_loops(tmp_path, CASES)
    assert "\n" not in str(caught.value)


def annotated(dataset, **options):
    first, second = dataset.pool[:2]
    shapes = {case: dataset.cases[case].shape for case in dataset.pool}
    boxes = [Patch(first, (2, 3, 4), (8, 8, 8)), Patch(second, (0, 0, 0), (24, 5, 6))]
    return PartialLabels(shapes, len(dataset.classes), Oracle(dataset), boxes, **options)


@pytest.fixture(scope="module")
def exported(phantom, tmp_path_factory):
    out = tmp_path_factory.mktemp("raw") / "Dataset500_Phantom"
    write_raw_dataset(out, phantom, annotated(phantom), ReferenceLabels(phantom))
    return out


def volume(path):
    return np.asarray(nibabel.load(path).dataobj).T


def test_the_raw_dataset_says_what_nnunet_asks_for(phantom, exported):
    told = json.loads((exported / "dataset.json").read_text())
    assert told["labels"] == {"background": 0, "organ": 1, "lesion": 2, "ignore": 3}
    assert told["channel_names"] == {"0": "noNorm"}
    assert (told["numTraining"], told["file_ending"]) == (4, ".nii.gz")
    (fold,) = json.loads((exported / "splits_final.json").read_text())
    assert fold == {"train": list(phantom.pool[:2]), "val": list(phantom.validation)}
    cases = sorted((*fold["train"], *fold["val"]))
    assert sorted(p.name for p in (exported / "imagesTr").iterdir()) == [
        f"{case}_0000.nii.gz" for case in cases
    ]
    assert sorted(p.name for p in (exported / "labelsTr").iterdir()) == [
        f"{case}.nii.gz" for case in cases
    ]


def test_what_is_not_annotated_is_ignore_and_validation_cases_are_complete(phantom, exported):
    for case in phantom.pool[:2]:
        window = annotated(phantom).window(case, (0, 0, 0), phantom.cases[case].shape)
        expected = np.where(window == IGNORE, 3, window)
        assert np.array_equal(volume(exported / f"labelsTr/{case}.nii.gz"), expected)
        assert np.array_equal(
            volume(exported / f"imagesTr/{case}_0000.nii.gz"), phantom.image(case)[0]
        )
    for case in phantom.validation:
        found = volume(exported / f"labelsTr/{case}.nii.gz")
        assert np.array_equal(found, ReferenceLabels(phantom).volume(case))


def test_free_labels_are_exported(phantom, tmp_path):
    free = np.zeros((24, 28, 32), np.uint8)
    labels = annotated(phantom, free=lambda case: free)
    write_raw_dataset(tmp_path / "out", phantom, labels, ReferenceLabels(phantom))
    assert 3 not in volume(tmp_path / f"out/labelsTr/{phantom.pool[0]}.nii.gz")


def test_the_affine_has_the_spacing_of_the_dataset_about_the_centre_of_the_source():
    source = np.array([[0, -2.0, 0, 10], [0.5, 0, 0, -7], [0, 0, 3.0, 100], [0, 0, 0, 1]])
    crop = {"start": (1, 4, 2), "size": (3, 20, 16)}
    case = info("a", (6, 10, 8), original_shape=(9, 30, 20), affine=source.tolist(), crop=crop)
    affine = grid_affine(case, (1.6, 3.9, 1.0))
    assert affine @ [3.5, 4.5, 2.5, 1] == pytest.approx(source @ [9.5, 13.5, 2, 1])
    assert affine[:3, :3] == pytest.approx(np.array([[0, -3.9, 0], [1.0, 0, 0], [0, 0, 1.6]]))


@given(
    st.tuples(*[st.integers(2, 60)] * 3),
    st.tuples(*[st.floats(0.4, 6)] * 3),
    st.tuples(*[st.floats(0.4, 3)] * 3),
    st.tuples(*[st.floats(-1, 1)] * 3),
)
def test_the_faces_stay_within_a_quarter_of_a_voxel_of_the_source(size, spacing, target, lean):
    assume(all(n * s >= t for n, s, t in zip(size, spacing, target, strict=True)))
    turn = Rotation.from_rotvec(lean).as_matrix()
    source = np.eye(4)
    source[:3, :3] = turn @ np.diag(spacing[::-1])
    source[:3, 3] = lean
    shape = resampled_shape(size, spacing, target)
    crop = {"start": (3, 0, 1), "size": size}
    case = info("a", shape, affine=source.tolist(), crop=crop)
    affine = grid_affine(case, target)
    assert np.linalg.norm(affine[:3, :3], axis=0) == pytest.approx(target[::-1])
    to_grid = np.linalg.solve(affine, source)
    first = np.array([1, 0, 3])
    for corner in (first - 0.5, first + np.array(size[::-1]) - 0.5):
        found = (to_grid @ [*corner, 1])[:3]
        faces = -0.5, np.array(shape[::-1]) - 0.5
        assert np.minimum(np.abs(found - faces[0]), np.abs(found - faces[1])).max() <= 0.25 + 1e-9


def test_an_export_that_is_ingested_again_has_the_same_grids_and_labels(tmp_path):
    """Two channels, anisotropic cases of many spacings, turned in the scanner, zeros round them."""
    raw = nnunet(tmp_path / "raw", cases=6, channels=("CT", "CT"))
    describe(raw, use_mask_for_norm=True)
    turn = Rotation.from_rotvec([0.1, -0.2, 0.3]).as_matrix()
    steps = [(4.0, 0.6, 0.6), (5.0, 0.75, 0.7), (3.0, 0.55, 0.65)]
    for index in range(6):
        affine = np.eye(4)
        affine[:3, :3] = turn @ np.diag(steps[index % 3][::-1])
        affine[:3, 3] = index
        image, labels = made_volume((12, 53, 47), seed=index)
        image[:2], image[:, -5:] = 0, 0
        for kind, name, array in (
            ("imagesTr", f"case_{index}_0000", image),
            ("imagesTr", f"case_{index}_0001", image[::-1]),
            ("labelsTr", f"case_{index}", labels),
        ):
            nibabel.save(nibabel.Nifti1Image(array.T, affine), raw / kind / f"{name}.nii.gz")
    first = ingest(raw, tmp_path / "first").dataset
    assert len({case.shape for case in first.cases.values()}) == 3
    shapes = {case: first.cases[case].shape for case in first.pool}
    whole = [Patch(case, (0, 0, 0), shape) for case, shape in shapes.items()]
    labels = PartialLabels(shapes, len(first.classes), Oracle(first), whole)
    write_raw_dataset(tmp_path / "Dataset1_Out", first, labels, ReferenceLabels(first))
    zooms = [nibabel.load(p).header.get_zooms() for p in tmp_path.glob("Dataset1_Out/*/*.nii.gz")]
    assert np.ptp(zooms, axis=0) == pytest.approx(0, abs=1e-6)
    assert zooms[0] == pytest.approx(first.manifest.spacing[::-1])
    again = ingest(tmp_path / "Dataset1_Out", tmp_path / "again").dataset
    assert again.manifest.spacing == pytest.approx(first.manifest.spacing)
    assert (again.pool, again.validation) == (first.pool, first.validation)
    for case, known in first.cases.items():
        assert again.cases[case].shape == known.shape
        assert again.cases[case].image_sha256 == known.image_sha256
        assert again.cases[case].reference_sha256 == known.reference_sha256


def test_nothing_is_overwritten_and_nothing_half_written_stays(phantom, tmp_path, exported):
    with pytest.raises(DatasetError, match="exists already"):
        write_raw_dataset(exported, phantom, annotated(phantom), ReferenceLabels(phantom))

    def stop(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_raw_dataset(
            tmp_path / "new", phantom, annotated(phantom), ReferenceLabels(phantom), stop
        )
    assert list(tmp_path.iterdir()) == []


def test_without_a_patch_there_is_nothing_to_export(phantom, tmp_path):
    nothing = PartialLabels({}, 3, Oracle(phantom))
    with pytest.raises(DatasetError, match="no patch is annotated yet"):
        write_raw_dataset(tmp_path / "new", phantom, nothing, ReferenceLabels(phantom))


@pytest.mark.skipif(NNUNET_PYTHON not in os.environ, reason=f"{NNUNET_PYTHON} is not set")
def test_stock_nnunet_accepts_the_raw_dataset(exported):
    script = Path(__file__).parent.parent / "golden" / "nnunet_accepts.py"
    command = [os.environ[NNUNET_PYTHON], str(script), str(exported)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "accepted 4 cases, ignore label 3" in told.stdout


def test_an_image_to_predict_that_is_not_there_is_named(tmp_path):
    with pytest.raises(IngestError, match=r"new\.nii\.gz: no such file; name images"):
        images_in([tmp_path / "new.nii.gz"], 1)
