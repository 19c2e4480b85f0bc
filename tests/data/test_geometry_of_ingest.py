"""What an ingest makes of geometry, against a computation that shares no code with it."""

import nibabel as nib
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from alsweep.data.annotator import ReferenceLabels
from alsweep.data.exchange.nnunet import grid_affine
from alsweep.data.ingest.conversion import IngestOptions, ingest
from tests.data import raws

MM = {"mm": 1.0, "meter": 1000.0, "micron": 1e-3}
FORMS = [(1, 0), (0, 1), (1, 1), (2, 1), (0, 2), (4, 3)]
"""Codes of sform and qform; where both are set they agree."""


@st.composite
def affines(draw):
    """Turned, mirrored, permuted and anisotropic: voxel index ``(x, y, z)`` to mm."""
    quaternion = np.array([1.3, *draw(st.tuples(*[st.floats(-1, 1)] * 3))])
    turn = nib.quaternions.quat2mat(quaternion / np.linalg.norm(quaternion))
    axes = np.eye(3)[:, draw(st.permutations(range(3)))]
    signs = draw(st.tuples(*[st.sampled_from([1, -1])] * 3))
    affine = np.eye(4)
    affine[:3, :3] = (turn @ axes * signs) * draw(st.tuples(*[st.sampled_from([0.7, 1, 2.5])] * 3))
    affine[:3, 3] = draw(st.tuples(*[st.floats(-200, 200)] * 3))
    return affine


HEADERS = st.tuples(st.sampled_from(sorted(MM)), st.sampled_from(FORMS))
SHAPES = st.tuples(*[st.integers(6, 9)] * 3)


def write(path, array, affine, header):
    """Write an array ``(x, y, z)``; the header says the affine in its unit, in its forms."""
    unit, (sform, qform) = header
    stored = np.diag([1 / MM[unit]] * 3 + [1]) @ affine
    image = nib.Nifti1Image(array, stored)
    image.set_sform(stored, sform)
    image.set_qform(stored, qform)
    image.header.set_xyzt_units(unit)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)


@settings(max_examples=10)
@given(
    st.lists(st.tuples(affines(), SHAPES, HEADERS, HEADERS), min_size=3, max_size=3),
    st.sampled_from([".nii", ".nii.gz"]),
)
def test_voxels_and_mm_are_those_of_the_files(tmp_path_factory, cases, ending):
    root = tmp_path_factory.mktemp("geometry")
    raws.describe(
        root / "raw",
        channel_names={"0": "noNorm"},
        labels={"background": 0, "a": 1, "b": 2},
        numTraining=len(cases),
        file_ending=ending,
    )
    rng, arrays = np.random.default_rng(0), {}
    for index, (affine, shape, of_image, of_labels) in enumerate(cases):
        image = rng.normal(100, 10, shape).astype(np.float32)
        labels = rng.integers(0, 3, shape).astype(np.uint8)
        write(root / f"raw/imagesTr/c{index}_0000{ending}", image, affine, of_image)
        write(root / f"raw/labelsTr/c{index}{ending}", labels, affine, of_labels)
        arrays[f"c{index}"] = image, labels, affine
    made = ingest(root / "raw", root / "ds", IngestOptions(workers=1)).dataset
    spacing = np.array(made.manifest.spacing)
    for case, (image, labels, affine) in arrays.items():
        info, reference = made.cases[case], ReferenceLabels(made).volume(case)
        old, new = np.array(image.shape[::-1]), np.array(info.shape)
        edges = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))[::-1]
        np.testing.assert_allclose(info.original_spacing, edges, rtol=1e-3)
        np.testing.assert_allclose(info.affine, affine, rtol=1e-4, atol=2e-3)
        assert (np.abs(new - np.maximum(old * edges / spacing, 1)) <= 0.5 + 1e-3).all()
        assert list(info.class_voxels) == [int((reference == label).sum()) for label in range(3)]
        if (old == new).all():
            np.testing.assert_array_equal(reference, labels.T)
            np.testing.assert_allclose(made.image(case)[0], image.T, rtol=1e-6)
        # An export has the dataset's voxels, about the middle of the source, mirrored as it is.
        exported = grid_affine(info, made.manifest.spacing)
        np.testing.assert_allclose((exported[:3, :3] ** 2).sum(axis=0) ** 0.5, spacing[::-1])
        middles = [
            a @ np.array([*(n[::-1] - 1) / 2, 1]) for a, n in ((exported, new), (affine, old))
        ]
        np.testing.assert_allclose(*middles, atol=5e-3)
        directions = exported[:3, :3] / spacing[::-1], affine[:3, :3] / edges[::-1]
        np.testing.assert_allclose(*directions, atol=1e-3)
