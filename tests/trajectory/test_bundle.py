"""Bundles run by MONAI alone, in another process that could not import alsweep."""

import json
import os
import shutil
import subprocess
import sys

import nibabel
import numpy as np
import pytest
import torch

from alsweep import Dataset, Trajectory
from alsweep.data.channels import Normalisation
from alsweep.data.exchange.orientation import axis_codes
from alsweep.data.ingest.normalise import zscore
from alsweep.data.ingest.resample import resample_image
from alsweep.data.phantom import make_case
from alsweep.errors import ConfigError, RunFolderError
from alsweep.model.inference import Tiling, predict
from alsweep.model.outputs import label_map
from alsweep.results.records import TrajectoryFolder
from alsweep.rng import stream
from alsweep.trajectory.bundle import export_bundle
from alsweep.trajectory.stored_networks import StoredNetworks
from tests.trajectory.conftest import make_config
from tests.trajectory.region_phantom import change_manifest, write_region_phantom

TRAINING = {"epochs": 2, "iterations_per_epoch": 25, "members": 2, "deep_supervision": True}
TRAINING |= {"features": [4, 8, 8, 8], "patch_size": [8, 16, 16], "ensemble": "seeds"}
SHAPE = (24, 24, 24)


def made(dataset, run, **changes):
    """A trajectory of one training on a few large patches."""
    query = {"patches": 6, "patch_size": [16, 16, 16], "loops": 1}
    start = {"strategy": "random_fg66"}
    config = make_config(dataset, query=query, training=TRAINING | changes, starting_budget=start)
    trajectory = Trajectory(config, run / "trajectory", dataset=dataset, models=run / "models")
    records = trajectory.run()
    folder = run / "trajectory"
    return TrajectoryFolder(trajectory.id, folder, trajectory.config, records, "done", None)


@pytest.fixture(scope="module")
def trained(phantom, tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    return run, made(phantom, run)


def call(bundle, *arguments):
    """Run ``monai.bundle`` where importing alsweep is an error."""
    trap = bundle.parent / "trap"
    trap.mkdir(exist_ok=True)
    (trap / "alsweep.py").write_text("raise ImportError('a bundle must not need alsweep')\n")
    done = subprocess.run(
        [sys.executable, "-m", "monai.bundle", *arguments],
        cwd=bundle,
        env={**os.environ, "PYTHONPATH": str(trap)},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr


def run_bundle(bundle, images):
    call(bundle, "run", "--config_file", "configs/inference.json", "--dataset_dir", str(images))


def write_image(path, volume, affine):
    """Write a ``(z, y, x)`` volume."""
    path.parent.mkdir(exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.asarray(volume).T, affine), path)


def predicted(run, trajectory, dataset, image, shape=SHAPE):
    """Our own labels of a prepared image, from probabilities that are brought to ``shape``."""
    stored = StoredNetworks(trajectory, 1, dataset=dataset, models=run / "models")
    setup, step = stored.setup, trajectory.config.evaluation.step
    tiling = Tiling(setup.topology.window, step, (), setup.compute, setup.regions)
    folded = predict(stored.networks, image, tiling)
    probs = torch.stack(
        [torch.from_numpy(resample_image(one.numpy(), shape, None)) for one in folded.mean_probs]
    )
    return label_map(probs, dataset.manifest.regions_class_order)


def agreement(one, other):
    """Dice of each label, of those that are there."""
    labels = set(np.unique(one)) | set(np.unique(other))
    return {
        int(c): 2 * ((one == c) & (other == c)).sum() / ((one == c).sum() + (other == c).sum())
        for c in labels
    }


def raw_phantom(dataset, case):
    """The intensities that a case of the phantom had before it was normalised."""
    return make_case(stream(3, "phantom", case), SHAPE)[0]


@pytest.mark.slow
def test_monai_runs_a_bundle_and_predicts_what_alsweep_does(phantom, trained, tmp_path):
    run, trajectory = trained
    bundle = export_bundle(run, trajectory, None, tmp_path / "bundle")
    case = phantom.validation[0]
    volume = raw_phantom(phantom, case)
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = 7, -3, 2
    write_image(tmp_path / "images" / "a.nii.gz", volume, affine)
    # The same, lying the other way in the file, with air around it.
    padded = np.pad(volume, ((1, 0), (0, 2), (3, 0)))
    turned = affine @ [[-1, 0, 0, 26], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    write_image(tmp_path / "images" / "b.nii.gz", padded[:, :, ::-1], turned)
    run_bundle(bundle, tmp_path / "images")

    ours = predicted(run, trajectory, phantom, phantom.image(case))
    assert set(np.unique(ours)) >= {0, 1}
    found = nibabel.load(bundle / "eval" / "a.nii.gz")
    np.testing.assert_allclose(found.affine, affine)
    assert found.get_data_dtype() == np.uint8
    assert min(agreement(np.asarray(found.dataobj).T, ours).values()) >= 0.99

    other = nibabel.load(bundle / "eval" / "b.nii.gz")
    np.testing.assert_allclose(other.affine, turned)
    labels = np.asarray(other.dataobj).T[:, :, ::-1]
    assert labels.shape == padded.shape
    assert min(agreement(labels[1:, :-2, 3:], ours).values()) >= 0.99
    assert not labels[0].any()


@pytest.mark.slow
def test_a_bundle_of_regions_paints_them_and_takes_a_channel_a_file(tmp_path):
    dataset = write_region_phantom(tmp_path / "dataset")
    ct = Normalisation(scheme="ct", low=-5.0, high=5.0, mean=0.0, std=1.0)
    dataset = change_manifest(dataset, normalisation=(ct,), spacing=(2.0, 1.0, 1.0))
    trajectory = made(dataset, tmp_path)
    bundle = export_bundle(tmp_path, trajectory, 0, tmp_path / "bundle")
    case = dataset.validation[0]
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    write_image(tmp_path / "images" / "a.nii.gz", dataset.image(case)[0], affine)
    run_bundle(bundle, tmp_path / "images")
    found = np.asarray(nibabel.load(bundle / "eval" / "a.nii.gz").dataobj).T
    ours = predicted(tmp_path, trajectory, dataset, dataset.image(case))
    assert min(agreement(found, ours).values()) >= 0.99


@pytest.mark.slow
def test_an_image_of_another_spacing_gets_labels_on_its_own_grid(phantom, trained, tmp_path):
    run, trajectory = trained
    bundle = export_bundle(run, trajectory, None, tmp_path / "bundle")
    case = phantom.validation[0]
    volume = resample_image(raw_phantom(phantom, case), (48, 24, 24), None)
    affine = np.diag([1.0, 1.0, 0.5, 1.0])
    affine[:3, 3] = 5, -7, 11
    write_image(tmp_path / "images" / "thin.nii.gz", volume, affine)
    run_bundle(bundle, tmp_path / "images")
    found = np.asarray(nibabel.load(bundle / "eval" / "thin.nii.gz").dataobj).T
    assert found.shape == volume.shape
    image = resample_image(zscore(volume), SHAPE, None)[None]
    ours = predicted(run, trajectory, phantom, image, volume.shape)
    assert agreement(found, ours)[1] >= 0.99
    assert (found == ours).mean() >= 0.999


@pytest.mark.slow
def test_the_metadata_says_what_the_network_takes_and_gives(trained, tmp_path):
    bundle = export_bundle(*trained, None, tmp_path / "bundle")
    files = ("--meta_file", "configs/metadata.json", "--config_file", "configs/inference.json")
    call(bundle, "verify_net_in_out", "network_def", *files)


def test_a_bundle_holds_what_the_specification_asks_for(trained, tmp_path):
    run, trajectory = trained
    bundle = export_bundle(run, trajectory, None, tmp_path / "bundle")
    written = {str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()}
    assert written == {
        "LICENSE",
        "configs/inference.json",
        "configs/metadata.json",
        "docs/README.md",
        "models/member_0.pt",
        "models/member_1.pt",
    }
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    assert metadata["label_classes"] == "0 background, 1 organ, 2 lesion"
    inference = json.loads((bundle / "configs" / "inference.json").read_text())
    # The files' axes are those of NIfTI.
    assert inference["inferer"]["roi_size"] == [16, 16, 8]
    assert inference["inferer"]["overlap"] == 0.5


def test_what_cannot_be_exported_is_named(phantom, trained, tmp_path):
    run, trajectory = trained
    with pytest.raises(RunFolderError, match="training 1 is not finished"):
        export_bundle(run, trajectory, 1, tmp_path / "bundle")
    raw = trajectory.config.plain()
    raw["training"]["learner"] = "nnunetv2"
    config = type(trajectory.config).model_validate(raw)
    foreign = TrajectoryFolder("x", run, config, trajectory.records, "done", None)
    with pytest.raises(ConfigError, match="learner 'nnunetv2' are not MONAI's"):
        export_bundle(run, foreign, None, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_images_that_lie_differently_are_left_as_they_are(phantom, tmp_path):
    assert axis_codes(phantom) == "RAS"
    copy = Dataset.open(shutil.copytree(phantom.path, tmp_path / "dataset"))
    first, *rest = copy.manifest.cases
    rows = list(first.affine)
    turned = first.model_copy(update={"affine": ((-1.0, 0.0, 0.0, 0.0), *rows[1:])})
    assert axis_codes(change_manifest(copy, cases=(turned, *rest))) is None
