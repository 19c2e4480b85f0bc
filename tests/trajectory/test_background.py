"""Patches that show nothing but what is round the body."""

import logging

import numpy as np
import pytest

from alsweep import Dataset, Trajectory
from alsweep.data.phantom import _Scene, write_phantom
from alsweep.geometry import Patch
from alsweep.results.background import query_backgrounds
from alsweep.rng import stream
from alsweep.trajectory.annotator import annotated, make_annotator
from alsweep.trajectory.background import Backgrounds, _blocks, tell_backgrounds
from tests.trajectory.conftest import make_config

SHAPE = (32, 32, 32)


@pytest.fixture(scope="module")
def phantom_32(tmp_path_factory) -> Dataset:
    out = tmp_path_factory.mktemp("background") / "dataset"
    return write_phantom(out, cases=4, shape=SHAPE, seed=2)


def labels_in(dataset, patches):
    config = make_config(dataset)
    return annotated(dataset, make_annotator(config, dataset), patches)


def count(dataset, *patches):
    return Backgrounds(dataset).count(labels_in(dataset, patches), patches)


def test_patches_of_air_are_counted_and_those_of_the_body_are_not(phantom_32):
    rng = np.random.default_rng(0)
    for case in phantom_32.pool:
        body = _Scene(stream(2, "phantom", case), SHAPE).body
        for _ in range(60):
            start = tuple(int(n) for n in rng.integers(0, 24, 3))
            patch = Patch(case, start, (8, 8, 8))
            share = 1 - body[patch.slices].mean()
            if share < 0.3:
                assert count(phantom_32, patch) == 0
            elif share == 1:
                assert count(phantom_32, patch) == 1


def test_a_patch_with_a_foreground_voxel_is_not_counted_however_dark(phantom_32):
    case = phantom_32.pool[0]
    patch = Patch(case, (0, 0, 0), (6, 6, 6))
    assert count(phantom_32, patch) == 1
    labels = labels_in(phantom_32, [patch])
    crop = labels.crop(patch).copy()
    crop[5, 5, 5] = 1
    labels._crops[patch] = crop
    assert Backgrounds(phantom_32).count(labels, [patch]) == 0
    crop[5, 5, 5] = 255  # not to be labelled: no foreground
    assert Backgrounds(phantom_32).count(labels, [patch]) == 1


def test_in_a_case_without_air_dark_tissue_is_not_counted(phantom_32, monkeypatch):
    z = np.linspace(0, 1, 32)[:, None, None]
    image = np.broadcast_to(z, SHAPE)[None].astype(np.float32)
    monkeypatch.setattr(Dataset, "image", lambda self, case: image)
    assert count(phantom_32, Patch(phantom_32.pool[0], (0, 0, 0), (4, 4, 4))) == 0


def test_where_intensities_are_masked_what_is_zero_counts(phantom_32, monkeypatch):
    manifest = phantom_32.manifest
    masked = (manifest.normalisation[0].model_copy(update={"masked": True}),)
    changed = Dataset(phantom_32.path, manifest.model_copy(update={"normalisation": masked}))
    # Tissue of either sign, and zeros beside it in which there is a label nowhere.
    image = np.random.default_rng(0).normal(0, 1, (1, *SHAPE)).astype(np.float32)
    image[:, :, :, :6] = 0
    monkeypatch.setattr(Dataset, "image", lambda self, case: image)
    case = changed.pool[0]
    assert count(changed, Patch(case, (0, 0, 0), (4, 4, 8))) == 1
    assert count(changed, Patch(case, (0, 0, 4), (4, 4, 8))) == 0


def test_blocks_are_means_and_short_axes_stay():
    channel = np.arange(4 * 9 * 200, dtype=np.float32).reshape(4, 9, 200)
    blocks = _blocks(channel)
    assert blocks.shape == (4, 4, 66)
    assert blocks[1, 2, 3] == pytest.approx(channel[1, 4:6, 9:12].mean())


def test_records_count_the_patches_of_their_labels_so_far(phantom_32, tmp_path, caplog):
    config = make_config(phantom_32, strategy="random", query={"patches": 6})
    trajectory = Trajectory(config, tmp_path, dataset=phantom_32)
    with caplog.at_level(logging.INFO, logger="alsweep.trajectory.background"):
        records = trajectory.run()
    patches = trajectory.labels.patches
    for record in records:
        annotated_then = patches[: record.annotated_patches]
        assert record.background_patches == count(phantom_32, *annotated_then)
    queries = query_backgrounds(records)
    assert [query.loop for query in queries] == [0, 1, 2]
    assert [query.patches for query in queries] == [6, 6, 6]
    told = [line.getMessage() for line in caplog.records]
    assert len(told) == 3
    for query, line in zip(queries, told, strict=True):
        assert f"{query.background} of 6 patches" in line
        assert line.startswith("warning: ") == (query.background > 1.5)


def test_the_log_warns_from_a_quarter_of_a_query_on(caplog):
    with caplog.at_level(logging.INFO, logger="alsweep.trajectory.background"):
        tell_backgrounds(0, 2, 8)
        tell_backgrounds(3, 3, 8)
        tell_backgrounds(4, 0, 0)
    first, second = caplog.records
    assert first.getMessage().startswith("2 of 8 patches of the starting budget (25 %) hold no")
    assert second.getMessage().startswith("warning: 3 of 8 patches of query 3 (38 %) hold no")
    assert (first.levelname, second.levelname) == ("INFO", "WARNING")
