"""Cases that are predicted, scored and judged in slabs, against those that are taken whole."""

import weakref
from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.inferers import sliding_window_inference
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from alsweep.errors import TrajectoryFailedError
from alsweep.geometry import Patch
from alsweep.model import cut, ensemble_mean, inference
from alsweep.model.cut import CutPrediction
from alsweep.model.device import Compute
from alsweep.model.inference import Tiling, predict
from alsweep.model.lattice import whole
from alsweep.model.memory import GIB, Need
from alsweep.model.outputs import predicted_labels
from alsweep.model.sliding import slide
from alsweep.query import PoolCase, Request, aggregate, make_strategy, voxels
from alsweep.rng import stream

CPU = Compute(torch.device("cpu"), "fp32")
WINDOW = (6, 4, 4)
SHAPE = (13, 5, 7)


class Convolving(nn.Module):
    """A network with neighbours, an encoder stage and a norm over the window."""

    def __init__(self, classes=3, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.inside = nn.Conv3d(1, 4, 3, padding=1)
        self.norm = nn.InstanceNorm3d(4, affine=True)
        self.down = nn.Sequential(nn.AvgPool3d(2))
        self.out = nn.Conv3d(4, classes, 1)
        nn.init.normal_(self.out.weight, std=2)

    def forward(self, windows):
        features = self.norm(self.inside(windows)).relu()
        self.down(features)
        return self.out(features)


NETWORKS = [Convolving(seed=seed).eval() for seed in range(2)]
TILING = Tiling(WINDOW, 0.5, (), CPU, encoder=lambda network: network.down, outputs=3)
FORMS = {
    "plain": TILING,
    "mirrored": replace(TILING, axes=(0, 2)),
    "regions": replace(TILING, regions=True, gaussian=False, step=0.75),
}


def image(shape=SHAPE, seed=0):
    return np.random.default_rng(seed).normal(size=(1, *shape)).astype(np.float32)


@cache
def taken_whole(needs, form="plain"):
    found = predict(NETWORKS, image(), FORMS[form], needs)
    assert not isinstance(found, CutPrediction)
    return found


def cut_in(planes, needs=("probs",), form="plain"):
    """The same, cut in slabs of so many planes."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(inference._Source, "planes", lambda self: planes)
        found = predict(NETWORKS, image(), FORMS[form], needs)
    assert isinstance(found, CutPrediction)
    return found


@pytest.mark.parametrize("flips", [(), (0,), (1, 2)])
@pytest.mark.parametrize("shape", [SHAPE, (5, 3, 20), (6, 4, 4)])
def test_sliding_is_monais_to_the_last_bit(shape, flips):
    volume, dims = torch.from_numpy(image(shape)), [axis + 1 for axis in flips]
    with torch.no_grad():
        found = slide(NETWORKS[0], volume, TILING, flips=flips)
        expected = sliding_window_inference(
            volume.flip(dims)[None],
            WINDOW,
            2,
            # As is said of it, a lone window goes twice.
            lambda w: NETWORKS[0](w.repeat(2, 1, 1, 1, 1) if len(w) == 1 else w)[: len(w)],
            overlap=0.5,
            mode="gaussian",
            sigma_scale=0.125,
        )
    assert torch.equal(found, expected[0].flip(dims))


ALL = ("probs", "mean_entropy", "embedding")


@given(st.sampled_from(list(FORMS)), st.integers(1, 12), st.data())
@settings(max_examples=15)
def test_any_part_of_a_case_is_that_of_the_whole(form, planes, data):
    taken, parts = taken_whole(ALL, form), cut_in(planes, ALL, form)
    assert parts.shape == taken.shape
    assert (parts.channels, parts.foreground_channels) == (
        taken.channels,
        taken.foreground_channels,
    )
    for _ in range(2):
        z, y, x = (
            slice(a, data.draw(st.integers(a + 1, n)))
            for n in SHAPE
            for a in [data.draw(st.integers(0, n - 1))]
        )
        for found, expected in (
            (parts.part(z, y), taken.part(z, y)),
            (parts.box((z, y, x)), taken.box((z, y, x))),
        ):
            assert torch.equal(found.mean_probs, expected.mean_probs)
            assert torch.equal(found.mean_entropy, expected.mean_entropy)
            assert found.regions == expected.regions


@pytest.mark.parametrize("form", list(FORMS))
def test_who_reads_all_of_a_case_gets_all_of_it(form):
    taken, parts = taken_whole(ALL, form), cut_in(4, ALL, form)
    assert torch.equal(parts.embedding.features, taken.embedding.features)
    assert parts.embedding.cell == taken.embedding.cell
    assert torch.equal(parts.mean_probs, taken.mean_probs)
    assert torch.equal(parts.mean_entropy, taken.mean_entropy)


@pytest.mark.parametrize(
    ("windows", "at_once"),
    [(1, 2), (2, 2), (3, 3), (4, 4), (5, 3), (6, 3), (7, 4), (9, 3), (10, 4)],
)
def test_a_card_computes_few_windows_for_nothing(windows, at_once):
    card = replace(
        TILING, window=(6, 4, 4), step=1.0, compute=Compute(torch.device("cuda"), "fp16")
    )
    assert card.windows_at_once((6 * windows, 4, 4)) == at_once
    # A window of 128x128x128 with 104 classes is 0.8 GiB of logits.
    body = replace(card, window=(128, 128, 128), outputs=104)
    assert body.windows_at_once((600, 512, 512)) == 1


class OneCase:
    """A pool of one case."""

    classes = ("background", "a", "b")
    foreground = 2

    def __init__(self, prediction, workers=1):
        self.prediction, self.workers = prediction, workers
        taken = (Patch("c", (3, 1, 1), (4, 3, 3)),)
        self.cases = (PoolCase("c", prediction.shape, taken),)

    def predictions(self):
        yield self.cases[0], self.prediction

    def annotated_classes(self, patch):
        return np.array([4, 3, 2])


def ask(strategy, prediction, workers=1, size=(4, 3, 3), stride=(2, 1, 1)):
    request = Request(3, size, stride, 0.0, 6, 1, 4)
    rng = partial(stream, 0, "query", 1)
    return make_strategy(strategy).query(OneCase(prediction, workers), request, rng)


def composed(**stages):
    return {"name": "composed", **stages}


STRATEGIES = [
    "predictive_entropy",
    "mutual_information",
    "clasp_pe",
    "power_pe",
    "kmeans_bald",
    "purity_pe",
]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("form", ["plain", "mirrored"])
def test_queries_are_those_of_the_whole(strategy, form):
    needs = make_strategy(strategy).needs
    expected = ask(strategy, taken_whole(needs, form), workers=2)
    assert len(expected) == 3
    for planes in (3, 7):
        assert ask(strategy, cut_in(planes, needs, form), workers=2) == expected


@pytest.mark.parametrize("order", [(), (2, 1, 2)])
def test_labels_are_those_of_the_whole(order):
    form = "regions" if order else "plain"
    painted = predicted_labels(taken_whole(("probs",), form), order)
    assert len(np.unique(painted)) > 1
    assert np.array_equal(predicted_labels(cut_in(5, form=form), order), painted)


class Peak(TorchDispatchMode):
    """The most bytes of tensors that were alive at once, made while it looked on."""

    def __init__(self):
        super().__init__()
        self.held, self.most, self._known = 0, 0, set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for one in tree_leaves(out):
            if isinstance(one, torch.Tensor):
                self._count(one.untyped_storage())
        return out

    def _count(self, storage):
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.held += size
        self.most = max(self.most, self.held)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key, size):
        self._known.remove(key)
        self.held -= size


CLASSES, MEMBERS = 104, 5
BODY = Need((600, 512, 512), CLASSES, volumes=2, beside=GIB)


def test_a_body_of_104_classes_fits_4_gib():
    planes = BODY.planes_in(4 * GIB)
    assert planes * BODY.each_plane + BODY.beside <= 4 * GIB < (planes + 1) * BODY.each_plane + GIB
    # The whole would take 30 times as much, and parts between starts 8 planes apart are 8 planes.
    assert BODY.shape[0] * BODY.each_plane > 30 * 4 * GIB
    assert planes >= 8


@pytest.mark.parametrize("strategy", ["mutual_information", "clasp_pe"])
def test_a_case_is_predicted_and_scored_within_what_is_allowed(strategy, monkeypatch):
    # The body with planes 256 times smaller, of which there are fewer; and 4 GiB likewise.
    shape, allowed = (40, 32, 32), 4 * GIB // 256
    monkeypatch.setattr(ensemble_mean, "_CACHED_VALUES", ensemble_mean._VALUES_ON_CARD // 256)
    for module in (aggregate, voxels):
        monkeypatch.setattr(module, "CACHED_VOXELS", 1 << 10)
    networks = [nn.Conv3d(1, CLASSES, 1).eval() for _ in range(MEMBERS)]
    tiling = Tiling((8, 16, 16), 0.75, (), replace(CPU, allowed=allowed), outputs=CLASSES)
    needs = make_strategy(strategy).needs

    with Peak() as peak:
        prediction = predict(networks, image(shape), tiling, needs)
        found = ask(strategy, prediction, size=(16, 16, 16), stride=(8, 8, 8))
    assert len(found) == 3
    assert isinstance(prediction, CutPrediction)
    assert len(prediction.slabs) >= 3
    assert allowed / 2 < peak.most < allowed
    assert Need(shape, CLASSES, 2, 0).each_plane * shape[0] > 2 * allowed


class Failing:
    """Predicts nothing where more than so many planes are asked for."""

    def __init__(self, most, monkeypatch):
        self.asked, self._most, self._box = [], most, inference._Source.box
        monkeypatch.setattr(inference._Source, "box", lambda source, box: self(source, box))

    def __call__(self, source, box):
        planes = box[0].stop - box[0].start
        self.asked.append(planes)
        if planes > self._most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self._box(source, box)


def test_a_slab_that_does_not_fit_is_tried_once_more_with_half_of_it(monkeypatch):
    taken, parts = taken_whole(("probs",)), cut_in(8)
    failing = Failing(4, monkeypatch)
    found = [parts.part(planes, slice(None)).mean_probs for planes in (slice(0, 3), slice(3, 7))]
    assert torch.equal(torch.cat(found, dim=1), taken.mean_probs[:, :7])
    assert failing.asked[0] > 4
    assert max(failing.asked[1:]) <= 4
    parts = cut_in(8)
    Failing(2, monkeypatch)
    with pytest.raises(
        TrajectoryFailedError, match=r"memory does not suffice.*gpu_memory_gib.*gpus"
    ):
        parts.part(slice(0, 2), slice(None))


def test_a_case_that_does_not_fit_is_tried_once_more_in_halves(monkeypatch):
    expected = predict(NETWORKS, image(), TILING).mean_probs
    Failing(9, monkeypatch)
    found = predict(NETWORKS, image(), TILING)
    assert isinstance(found, CutPrediction)
    assert torch.equal(found.part(slice(0, 5), slice(None)).mean_probs, expected[:, :5])
    with pytest.raises(TrajectoryFailedError, match="as its strategy needs"):
        found.mean_probs  # noqa: B018
    Failing(3, monkeypatch)
    with pytest.raises(TrajectoryFailedError, match="planes of a case"):
        predict(NETWORKS, image(), TILING).part(slice(0, 5), slice(None))


def test_what_cannot_be_cut_says_so_in_one_line(monkeypatch):
    def full(source):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(inference._Source, "all", full)
    with pytest.raises(TrajectoryFailedError, match=r"to predict a case of .*resources.gpus"):
        predict(NETWORKS, image(), TILING, ("probs", "members"))


def test_what_a_card_is_short_of_is_let_go_first(monkeypatch):
    emptied = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))
    cut.give_back(torch.device("cpu"))
    assert not emptied
    cut.give_back(torch.device("cuda"))
    assert emptied


def test_all_of_a_case_is_its_own_part():
    assert whole(SHAPE) == tuple(slice(0, n) for n in SHAPE)
