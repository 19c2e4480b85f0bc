"""Fingerprint, plan, resampling and preprocessing against nnU-Net's own, recorded once."""

import json
from pathlib import Path

import numpy as np
import pytest

from alsweep.data.annotator import ReferenceLabels
from alsweep.data.ingest.conversion import IngestOptions, ingest
from alsweep.data.ingest.network_plan import make_plan, plans_batch_dice
from alsweep.data.ingest.resample import (
    coarse_axis,
    resample_image,
    resample_labels,
    resampled_shape,
    target_spacing,
)
from tests.golden.nnunet_datasets import TINY, grids, listed, write

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/nnunet_plans.json").read_text())
SCHEMES = {"zscore": "ZScoreNormalization", "ct": "CTNormalization"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The tiny datasets, ingested; the pool is what nnU-Net calls training cases."""
    place = tmp_path_factory.mktemp("golden")
    for name in TINY:
        write(place / "raw" / name, name, validation=True)
    return {name: ingest(place / "raw" / name, place / name).dataset for name in TINY}


def in_their_order(values, golden):
    return [values[axis] for axis in golden["transpose_forward"]]


def check_topology(plan, golden):
    assert in_their_order(plan.patch_size, golden) == golden["patch_size"]
    assert plan.batch_size == golden["batch_size"]
    assert [in_their_order(s, golden) for s in plan.strides] == golden["strides"]
    assert [in_their_order(k, golden) for k in plan.kernels] == golden["kernel_sizes"]
    assert in_their_order(plan.median_shape, golden) == golden["median_shape"]


@pytest.mark.parametrize("name", TINY)
def test_spacing_topology_and_normalisation_are_those_of_nnunet(made, name):
    manifest, golden = made[name].manifest, GOLDEN["tiny"][name]["plan"]
    assert in_their_order(manifest.spacing, golden) == pytest.approx(golden["spacing"], rel=1e-6)
    check_topology(manifest.plan, golden)
    schemes = [SCHEMES[how.scheme] for how in manifest.normalisation]
    assert schemes == golden["normalization_schemes"]
    assert [how.masked for how in manifest.normalisation] == golden["use_mask_for_norm"]


@pytest.mark.parametrize("name", TINY)
def test_the_fingerprint_is_that_of_nnunet(made, name):
    dataset, golden = made[name], GOLDEN["tiny"][name]["fingerprint"]
    pool = [dataset.cases[case] for case in dataset.pool]
    assert [list(case.crop.size) for case in pool] == golden["shapes_after_crop"]
    assert [case.original_spacing for case in pool] == [
        pytest.approx(spacing, rel=1e-6) for spacing in golden["spacings"]
    ]
    for index, found in enumerate(dataset.manifest.intensities):
        theirs = golden["foreground_intensity_properties_per_channel"][str(index)]
        # They draw at random; values are integers, so a percentile may be one off.
        assert found.plain() == {
            key: pytest.approx(v, rel=2e-3, abs=1) for key, v in theirs.items()
        }
        assert found.mean == pytest.approx(theirs["mean"], rel=1e-3)
        assert found.std == pytest.approx(theirs["std"], rel=1e-3)


@pytest.mark.parametrize("name", TINY)
def test_a_preprocessed_case_is_that_of_nnunet(made, name):
    dataset, golden = made[name], GOLDEN["tiny"][name]["case_1"]
    image, labels = dataset.image("case_1"), ReferenceLabels(dataset).volume("case_1")
    assert list(labels.shape) == golden["shape"]
    step = golden["every"]
    # The CT window is measured at random there; all else agrees to rounding.
    tolerance = 5e-3 if "CT" in dataset.channels else 1e-4
    assert image.ravel()[::step] == pytest.approx(golden["data"], abs=tolerance)
    assert np.bincount(labels.ravel()).tolist() == golden["label_counts"]
    assert labels.ravel()[::step].tolist() == golden["labels"]


@pytest.mark.parametrize(
    ("name", "entry"), list(listed()), ids=lambda v: v if isinstance(v, str) else ""
)
def test_plans_for_lists_of_shapes_are_those_of_nnunet(name, entry):
    golden = GOLDEN["listed"][name]
    spacing = target_spacing(entry.spacings, entry.shapes)
    assert in_their_order(spacing, golden) == pytest.approx(golden["spacing"], rel=1e-9)
    pairs = zip(entry.shapes, entry.spacings, strict=True)
    shapes = [resampled_shape(shape, own, spacing) for shape, own in pairs]
    plan = make_plan(shapes, spacing, entry.labels)
    check_topology(plan, golden)
    assert plans_batch_dice(plan, spacing, entry.labels) == golden["batch_dice"]


@pytest.mark.parametrize(
    ("name", "image", "labels", "shape", "before", "after"),
    list(grids()),
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_resampling_is_that_of_nnunet(name, image, labels, shape, before, after):
    golden, coarse = GOLDEN["resampled"][name], coarse_axis(before, after)
    assert coarse == {"thick": 0, "thick_x": 2}.get(name)
    zoomed = resample_image(image, shape, coarse)
    assert zoomed.ravel() == pytest.approx(golden["image"], abs=2e-3)
    assert resample_labels(labels, shape, coarse).ravel().tolist() == golden["labels"]


@pytest.mark.parametrize("name", TINY)
def test_a_plans_file_of_nnunet_gives_the_dataset_that_the_same_plans_gave(made, tmp_path, name):
    plans = tmp_path / "nnUNetPlans.json"
    plans.write_text(json.dumps(GOLDEN["tiny"][name]["plans_file"]))
    write(tmp_path / "raw", name, validation=True)
    again = ingest(tmp_path / "raw", tmp_path / "out", IngestOptions(plans=plans)).dataset
    ours, theirs = made[name].manifest, again.manifest
    assert theirs.plan == ours.plan
    assert theirs.spacing == pytest.approx(ours.spacing, rel=1e-6)
    assert [h.masked for h in theirs.normalisation] == [h.masked for h in ours.normalisation]
    for channel, scheme in enumerate(TINY[name].channels):
        mean = GOLDEN["tiny"][name]["fingerprint"]["foreground_intensity_properties_per_channel"]
        expected = mean[str(channel)]["mean"] if scheme == "CT" else None
        assert theirs.normalisation[channel].mean == expected
    image = again.image("case_1")
    step = GOLDEN["tiny"][name]["case_1"]["every"]
    # Now with their very numbers.
    assert image.ravel()[::step] == pytest.approx(GOLDEN["tiny"][name]["case_1"]["data"], abs=1e-4)
