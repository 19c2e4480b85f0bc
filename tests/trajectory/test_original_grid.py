"""Dice on the grid of the source, held against SimpleITK and the raw label files."""

import json
import shutil
from dataclasses import dataclass

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
import torch
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from alsweep import Dataset
from alsweep.config.trajectory import EvaluationConfig, TrajectoryConfig
from alsweep.data.annotator import ReferenceLabels
from alsweep.data.case import MANIFEST, ORIGINAL, DatasetManifest, case_folder
from alsweep.data.exchange.nnunet import grid_affine
from alsweep.data.ingest.conversion import IngestOptions, ingest
from alsweep.data.phantom import write_phantom
from alsweep.errors import ConfigError, DatasetError
from alsweep.model.regrid import original_labels
from alsweep.model.surfaces import case_surfaces
from alsweep.query import Prediction
from alsweep.trajectory.evaluation import Evaluator
from alsweep.trajectory.resolving import resolve
from tests.data.raws import describe, volume

SHAPE = (13, 22, 18)
"""(z, y, x), of which a rim is zero and cropped."""

OBLIQUE = Rotation.from_euler("zyx", (20, -10, 5), degrees=True).as_matrix()


@dataclass(frozen=True)
class Grids:
    """Voxel sizes ``(z, y, x)`` in mm of the source and of the Dataset, and what they make."""

    source: tuple[float, float, float]
    target: tuple[float, float, float]
    coarse: int | None = None


GRIDS = {
    "isotropic": Grids((1.0, 1.0, 1.0), (1.4, 1.3, 1.6)),
    "finer": Grids((2.0, 1.5, 1.5), (1.1, 1.1, 1.1)),
    "anisotropic": Grids((5.0, 1.0, 1.0), (4.0, 1.2, 1.2), coarse=0),
    "sagittal": Grids((1.0, 1.0, 4.0), (1.3, 1.2, 3.0), coarse=2),
    "cropped alone": Grids((1.0, 1.0, 1.0), (1.0, 1.0, 1.0)),
}


@pytest.fixture(scope="module", params=GRIDS)
def made(request, tmp_path_factory):
    """A Dataset of oblique, cropped cases, its raw folder and its grids."""
    place, grids = tmp_path_factory.mktemp("original"), GRIDS[request.param]
    raw = place / "raw"
    for part in ("imagesTr", "labelsTr"):
        (raw / part).mkdir(parents=True)
    affine = np.eye(4)
    affine[:3, :3] = OBLIQUE @ np.diag(grids.source[::-1])
    affine[:3, 3] = (-30, 12, 7)
    for index in range(4):
        image, labels = volume(SHAPE, seed=index)
        image[:2], image[:, -3:], image[:, :, :1] = 0, 0, 0
        labels[0, 0, index] = 2  # outside of the crop, where nothing is ever predicted
        for file, array in ((f"imagesTr/c_{index}_0000", image), (f"labelsTr/c_{index}", labels)):
            nib.save(nib.Nifti1Image(array.T, affine), raw / f"{file}.nii.gz")
    describe(
        raw,
        channel_names={"0": "MR"},
        labels={"background": 0, "organ": 1, "lesion": 2},
        numTraining=4,
        file_ending=".nii.gz",
    )
    dataset = ingest(raw, place / "out", IngestOptions(spacing=grids.target)).dataset
    return dataset, raw, grids


def probabilities(shape, seed):
    """Smooth random probabilities of three classes."""
    noise = np.random.default_rng(seed).normal(size=(3, *shape))
    logits = torch.from_numpy(np.stack([8 * gaussian_filter(one, 1.5) for one in noise]))
    return logits.softmax(dim=0).float()


def itk(array, affine):
    """An ITK image of a ``(z, y, x)`` array; its space is that of the affine, unturned."""
    image = SimpleITK.GetImageFromArray(np.asarray(array))
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(sizes.tolist())
    image.SetDirection((affine[:3, :3] / sizes).ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    return image


def by_itk(probs, case, grids):
    """The labels that SimpleITK's interpolation gives on the source, by physical position."""
    source, ours = np.asarray(case.affine), grid_affine(case)
    like = itk(np.zeros(case.original_shape, np.float32), source)
    channels = [itk(one.numpy(), ours) for one in probs]
    if grids.coarse is not None:
        # In the slices as they are first, so that only then the nearest slice is taken.
        axis = 2 - grids.coarse
        middle = itk(np.zeros(case.original_shape, np.float32), source)
        size, spacing, origin = (list(getattr(middle, f"Get{what}")()) for what in KINDS)
        size[axis] = channels[0].GetSize()[axis]
        spacing[axis] = channels[0].GetSpacing()[axis]
        along = ours[:3, axis] / np.linalg.norm(ours[:3, axis])  # parallel to the source's
        offset = along @ (ours[:3, 3] - source[:3, 3])
        origin = (np.asarray(origin) + offset * along).tolist()
        channels = [
            SimpleITK.Resample(
                one,
                size,
                SimpleITK.Transform(),
                SimpleITK.sitkLinear,
                origin,
                spacing,
                like.GetDirection(),
            )
            for one in channels
        ]
    how = SimpleITK.sitkLinear if grids.coarse is None else SimpleITK.sitkNearestNeighbor
    found = [SimpleITK.Resample(one, like, SimpleITK.Transform(), how, -1.0) for one in channels]
    stacked = np.stack([SimpleITK.GetArrayFromImage(one) for one in found])
    return np.where(stacked[0] < 0, 0, stacked.argmax(axis=0))


KINDS = ("Size", "Spacing", "Origin")


def raw_labels(raw, case):
    return np.asarray(nib.load(raw / "labelsTr" / f"{case}.nii.gz").dataobj).T


def test_labels_lie_where_itk_puts_them(made):
    dataset, _, grids = made
    for case in (dataset.cases[name] for name in dataset.validation):
        probs = probabilities(case.shape, seed=3)
        found = original_labels(Prediction(probs), case, dataset.manifest.spacing, ())
        expected = by_itk(probs, case, grids)
        # Where two classes are as good as equal, rounding decides.
        assert (found != expected).mean() < 1e-3
        assert len(np.unique(found)) == 3
        assert found.shape == SHAPE


def test_dice_is_that_of_the_raw_label_files(made):
    dataset, raw, grids = made
    config = EvaluationConfig(grid="original", surface={"tolerance_mm": 1.5})

    def predict(case):
        return Prediction(probabilities(dataset.cases[case].shape, seed=5))

    scores, _ = Evaluator(dataset, config, predict, lambda *where: None).scores()
    for case, dice in scores.case_dice.items():
        predicted = by_itk(predict(case).mean_probs, dataset.cases[case], grids).astype(np.uint8)
        true = raw_labels(raw, case)
        for label, name in ((1, "organ"), (2, "lesion")):
            both = ((predicted == label) & (true == label)).sum()
            size = (predicted == label).sum() + (true == label).sum()
            assert dice[name] == pytest.approx(2 * both / size, abs=2e-3)
        surfaces = case_surfaces(predicted, true, dataset.targets, grids.source, 1.5)
        found = scores.surface.case_surface_dice[case]
        assert list(found.values()) == pytest.approx([s.surface_dice for s in surfaces], abs=5e-3)


def test_labels_that_are_kept_are_those_of_the_raw_files(made):
    dataset, raw, _ = made
    reference = ReferenceLabels(dataset)
    for case in dataset.validation:
        assert np.array_equal(reference.original(case), raw_labels(raw, case))
    for case in dataset.pool:
        assert dataset.cases[case].original_sha256 is None
        with pytest.raises(DatasetError, match="ingest again"):
            reference.original(case)


def test_a_few_planes_at_a_time_give_what_all_give(made, monkeypatch):
    dataset, _, _ = made
    case, spacing = dataset.cases[dataset.validation[0]], dataset.manifest.spacing
    probs = Prediction(probabilities(case.shape, seed=7))
    for order in ((), (1, 2, 1)):
        whole = original_labels(probs, case, spacing, order)
        with monkeypatch.context() as patching:
            patching.setattr("alsweep.model.regrid._VALUES_AT_ONCE", 3000)
            assert np.array_equal(original_labels(probs, case, spacing, order), whole)


def test_the_content_enters_the_fingerprint_and_is_checked(made, tmp_path):
    dataset, _, _ = made
    manifest, case = dataset.manifest, dataset.validation[0]
    for field, value in (("original_sha256", "0" * 64), ("original_spacing", (9.0, 9.0, 9.0))):
        cases = tuple(
            info.model_copy(update={field: value}) if info.id == case else info
            for info in manifest.cases
        )
        changed = manifest.model_copy(update={"cases": cases})
        assert changed.content_fingerprint() != manifest.fingerprint
    copy = shutil.copytree(dataset.path, tmp_path / "copy")
    (chunk,) = case_folder(copy, case).glob(f"{ORIGINAL}/0/c/0/0/0")
    chunk.chmod(0o644)
    chunk.write_bytes(chunk.read_bytes()[:-1])
    with pytest.raises(DatasetError, match="expected"):
        Dataset.open(copy)


def without_originals(dataset, folder):
    """The Dataset as an alsweep wrote it that did not keep the original labels."""
    shutil.copytree(dataset.path, folder)
    plain = json.loads((folder / MANIFEST).read_text())
    for case in plain["cases"]:
        del case["original_sha256"]
    old = DatasetManifest.model_validate(plain).sealed().plain()
    for case in old["cases"]:
        del case["original_sha256"]
    (folder / MANIFEST).write_text(json.dumps(old))
    return Dataset.open(folder)


def config_on(dataset, **changes):
    query = {"patches": 2, "patch_size": [4, 4, 4], "loops": 2}
    start = {"strategy": "random"}
    return TrajectoryConfig.model_validate(
        {"dataset": str(dataset.path), "query": query, "starting_budget": start, **changes}
    )


def test_a_dataset_without_original_labels_is_refused_and_told_how_to_mend_it(made, tmp_path):
    dataset, _, _ = made
    old = without_originals(dataset, tmp_path / "old")
    assert old.fingerprint != dataset.fingerprint
    resolve(config_on(old), old)
    for changes in ({"evaluation": {"grid": "original"}}, {"training": {"preset": "nnunet"}}):
        with pytest.raises(ConfigError, match=r"^base.evaluation.grid: .*ingest it again") as told:
            resolve(config_on(old, **changes), old)
        assert "\n" not in str(told.value)
        resolve(config_on(dataset, **changes), dataset)


def test_where_nothing_was_resampled_both_grids_are_one(tmp_path):
    dataset = write_phantom(tmp_path / "phantom", cases=5, shape=(16, 16, 16))
    assert all(case.original_sha256 is None for case in dataset.cases.values())

    def predict(case):
        return Prediction(probabilities(dataset.cases[case].shape, seed=11))

    resampled, original = (
        Evaluator(dataset, EvaluationConfig(grid=grid), predict, lambda *where: None).scores()
        for grid in ("resampled", "original")
    )
    assert resampled == original
    assert resampled[0].mean_dice > 0
