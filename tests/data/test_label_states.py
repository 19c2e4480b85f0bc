"""PartialLabels against a dict of voxels, through any history of annotating and reopening."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import zarr
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from alsweep import PartialLabels, Patch
from alsweep.data.label_store import IGNORE
from alsweep.data.labels.human import HumanLabels
from alsweep.geometry import QueriedPatch
from alsweep.layout import query_path
from alsweep.results.loops import read_query, write_query

SHAPES = {"a": (5, 4, 6), "b": (3, 7, 2)}
CLASSES = 3
FREE = {"a": np.random.default_rng(0).choice([0, 1, IGNORE], SHAPES["a"]).astype(np.uint8)}


@st.composite
def boxes(draw, beyond=0):
    case = draw(st.sampled_from(sorted(SHAPES)))
    size = tuple(draw(st.integers(1, n)) for n in SHAPES[case])
    start = tuple(
        draw(st.integers(-beyond, n - s + beyond)) for n, s in zip(SHAPES[case], size, strict=True)
    )
    return Patch(case, start, size)


def voxels(patch):
    return [
        (patch.case, *(int(a + i) for a, i in zip(patch.start, place, strict=True)))
        for place in np.ndindex(patch.size)
    ]


class Machine(RuleBasedStateMachine):
    """A person annotates patch after patch; the model is a dict from voxel to label."""

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp())
        self.crops = HumanLabels(self.folder / "crops", CLASSES)
        self.store = PartialLabels(SHAPES, CLASSES, self.crops, free=FREE.get)
        self.model, self.log, self.loops = {}, [], 0

    def teardown(self):
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    @rule(patches=st.lists(boxes(), min_size=1, max_size=3, unique=True), seed=st.integers(0, 99))
    def annotate(self, patches, seed):
        new = [patch for patch in patches if patch not in self.log]
        rng = np.random.default_rng(seed)
        for patch in new:
            labels = rng.choice([0, 1, 2, IGNORE], patch.size).astype(np.uint8)
            self.crops.save(patch, labels)
            self.model.update(zip(voxels(patch), labels.ravel().tolist(), strict=True))
        write_query(query_path(self.folder, self.loops), self.loops, map(QueriedPatch, new))
        self.loops += 1
        self.log += new
        self.store = self.store.with_patches(new)

    @rule()
    def reopen_from_the_query_log(self):
        patches = [
            queried.patch
            for loop in range(self.loops)
            for queried in read_query(query_path(self.folder, loop))
        ]
        assert patches == self.log
        crops = HumanLabels(self.folder / "crops", CLASSES)
        self.store = PartialLabels(SHAPES, CLASSES, crops, patches, free=FREE.get)

    @rule(window=boxes(beyond=3))
    def look_through_a_window(self, window):
        seen = self.store.window(window.case, window.start, window.size).ravel().tolist()
        assert seen == [self.shown(voxel) for voxel in voxels(window)]

    def shown(self, voxel):
        label = self.model.get(voxel, IGNORE)
        case, *place = voxel
        inside = all(0 <= p < n for p, n in zip(place, SHAPES[case], strict=True))
        if label == IGNORE and inside and case in FREE:
            return int(FREE[case][tuple(place)])
        return label

    @rule(candidate=boxes(), rho=st.sampled_from([0.0, 0.25, 0.5]))
    def ask_whether_a_candidate_may_be_queried(self, candidate, rho):
        covered = sum(voxel in self.model for voxel in voxels(candidate))
        assert (self.store.overlap(candidate) <= rho) == (covered <= rho * candidate.voxels)

    @precondition(lambda self: self.log)
    @rule(tear=st.booleans())
    def write_the_view(self, tear):
        path = self.folder / "labels.zarr"
        if tear and path.exists():
            for shard in path.glob("*/0/c.0.0.0"):
                shard.write_bytes(shard.read_bytes()[1:])
        self.store.write_zarr(path, ("background", "organ", "lesion"), (1.0, 1.0, 1.0))
        view = zarr.open_group(path, mode="r")
        assert list(view.attrs["ome"]["labels"]) == list(self.store.cases)
        for case in self.store.cases:
            whole = Patch(case, (0, 0, 0), SHAPES[case])
            expected = [self.model.get(voxel, IGNORE) for voxel in voxels(whole)]
            assert view[case]["0"][:].ravel().tolist() == expected

    @invariant()
    def counts_are_those_of_the_model(self):
        if not hasattr(self, "store"):
            return
        assert self.store.patches == tuple(self.log)
        assert self.store.annotated_voxels() == len(self.model)
        labels = [label for label in self.model.values() if label != IGNORE]
        assert self.store.class_voxels().tolist() == np.bincount(labels, minlength=3).tolist()
        assert self.store.cases == tuple(sorted({voxel[0] for voxel in self.model}))


TestLabelStates = Machine.TestCase
TestLabelStates.settings = settings(
    deadline=None, derandomize=True, max_examples=25, stateful_step_count=15
)
