import multiprocessing
import time

import numpy as np
import pytest
import zarr

from alsweep import PartialLabels, Patch
from alsweep.data.labels.human import HumanLabels
from alsweep.errors import RunFolderError
from alsweep.geometry import QueriedPatch
from alsweep.results.loops import read_query
from alsweep.rng import stream
from alsweep.trajectory.human import acknowledge
from alsweep.trajectory.query_log import QueryLog
from tests.trajectory.annotating import CLASSES, PER_LOOP, SHAPES, annotate, opinion, query

KILLS = 100
LOOPS = 400


@pytest.fixture(scope="module")
def processes():
    """Forked from a server that has imported everything: each is at work in milliseconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.trajectory.annotating", "alsweep.data.ome"])
    return context


def lines(told):
    return told.read_text().splitlines() if told.exists() else []


def check(folder, told, kills):
    """Nothing that was acknowledged is lost, and nothing appears twice."""
    crops, log = HumanLabels(folder / "crops", CLASSES), QueryLog(folder)
    committed = [k for k in range(LOOPS) if log.has(k)]
    assert committed == list(range(len(committed)))
    patches = log.patches(len(committed) - 1)
    assert list(patches) == [q.patch for k in committed for q in query(k)]
    assert len(set(patches)) == len(patches)
    pending = [q.patch for q in query(len(committed))]
    stored: list = [*patches, *(p for p in pending if not crops.missing([p]))]
    assert len(list((folder / "crops").glob("*.npz"))) == len(stored)
    heard = [line.split(maxsplit=2) for line in lines(told)]
    acknowledged = [tuple(words[1:]) for words in heard if words[0] == "patch"]
    assert len(set(acknowledged)) == len(acknowledged)
    assert set(acknowledged) <= {
        (str(k // PER_LOOP), f"{p.start} {p.size}") for k, p in enumerate([*patches, *pending])
    }
    assert {words[1] for words in heard if words[0] == "loop"} <= set(map(str, committed))
    # A kill between storing and telling leaves one patch that nobody was told of.
    assert len(acknowledged) <= len(stored) <= len(acknowledged) + kills
    for patch in stored[-3 * PER_LOOP :]:
        assert np.array_equal(crops.reveal(patch.case, patch.start, patch.size), opinion(patch))
    return patches, crops


def test_killed_a_hundred_times_no_acknowledged_patch_is_lost_and_none_appears_twice(
    tmp_path, processes
):
    folder, told = tmp_path / "trajectory", tmp_path / "told"
    folder.mkdir()
    rng = stream(0, "moments")
    landed = 0
    for kill in range(KILLS):
        before = len(lines(told))
        process = processes.Process(target=annotate, args=(folder, told, LOOPS))
        process.start()
        while len(lines(told)) == before:
            time.sleep(0.001)
        time.sleep(float(rng.uniform(0, 0.07)))
        assert process.is_alive()
        process.kill()
        process.join()
        landed += len(lines(told)) > before + 1
        patches, crops = check(folder, told, kill + 1)
    assert landed > KILLS / 50, "some kills must fall after an acknowledgement of their process"

    labels = PartialLabels(SHAPES, CLASSES, crops, patches)
    labels.write_zarr(folder / "labels.zarr", tuple("abcd"), (1.0, 1.0, 1.0))
    view = zarr.open_group(folder / "labels.zarr", mode="r")
    for case, shape in SHAPES.items():
        dense = np.full(shape, 255, np.uint8)
        for patch in patches:
            if patch.case == case:
                dense[patch.slices] = opinion(patch)
        assert np.array_equal(view[case]["0"][:], dense)


def made(tmp_path, saved=(0, 1)):
    patches = [Patch("a", (0, 0, 2 * i), (2, 2, 2)) for i in range(2)]
    crops = HumanLabels(tmp_path / "crops", 3)
    for i in saved:
        crops.save(patches[i], np.ones((2, 2, 2), np.uint8))
    return QueryLog(tmp_path), crops, [QueriedPatch(patch) for patch in patches]


def test_patches_without_labels_never_enter_the_query_log(tmp_path):
    log, crops, queried = made(tmp_path, saved=(0,))
    with pytest.raises(RunFolderError, match=r"1 of 2 patches of loop 0 .* at \(0, 0, 2\)"):
        acknowledge(log, crops, 0, queried)
    assert not log.has(0)


def test_acknowledging_again_changes_nothing(tmp_path):
    log, crops, queried = made(tmp_path)
    acknowledge(log, crops, 0, queried)
    acknowledge(log, crops, 0, queried)
    assert read_query(tmp_path / "queries/loop_000.json") == queried


def test_a_loop_is_not_acknowledged_with_other_patches(tmp_path):
    log, crops, queried = made(tmp_path)
    acknowledge(log, crops, 0, queried[:1])
    with pytest.raises(RunFolderError, match="annotated with other patches"):
        acknowledge(log, crops, 0, queried)


@pytest.mark.parametrize("second", [[0], [1, 1]])
def test_a_patch_is_acknowledged_once(tmp_path, second):
    log, crops, queried = made(tmp_path)
    acknowledge(log, crops, 0, queried[:1])
    with pytest.raises(RunFolderError, match="a second time"):
        acknowledge(log, crops, 1, [queried[i] for i in second])
    assert not log.has(1)
