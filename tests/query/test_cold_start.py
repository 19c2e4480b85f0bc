"""Starts of images alone: no label, no network, features by name."""

from importlib.metadata import EntryPoint

import numpy as np
import pytest
import torch

from alsweep.errors import StrategyError
from alsweep.geometry import Patch
from alsweep.query import Embedding, Features, make_strategy
from alsweep.query import features as room
from alsweep.query.presets.cold_start import body_mask, intensity_entropy
from alsweep.testing.pools import ArrayPool, make_request, make_streams
from alsweep.testing.strategy_contract import CHECKS

STARTS = ["kmeans_start", "typiclust_start", "urds_start"]
HERE = __name__


class Imaged(ArrayPool):
    """A pool whose images are given."""

    def image(self, case):
        return self.references[case].astype(np.float32)[None]


def striped(cases=2):
    """Cases of three stripes along x: dark, bright, noisy; each as long as three tiles."""
    volumes = {}
    for index in range(cases):
        volume = np.zeros((4, 4, 36), dtype=np.float32)
        volume[..., 12:24] = 9
        volume[..., 24:] = np.random.default_rng(index).normal(4, 6, size=(4, 4, 12))
        volumes[f"case_{index}"] = volume
    return Imaged(volumes, oracle=False, labels=False)


def ask(pool, name, patches, seed=0, **parameters):
    made = make_strategy({"name": name, **parameters})
    request = make_request(patches, (4, 4, 4))
    return [choice.patch for choice in made.query(pool, request, make_streams(seed))]


@pytest.mark.parametrize("name", STARTS)
@pytest.mark.parametrize("features", ["intensity", "texture"])
def test_one_patch_of_each_kind_is_chosen(name, features):
    kinds = []
    for seed in range(6):
        patches = ask(striped(), name, 3, seed, features=features)
        kinds.append({(patch.start[2] + 2) // 12 for patch in patches})
    # Tiles lie anywhere, so that one may hold half of each; most queries show all three.
    assert sum(kind == {0, 1, 2} for kind in kinds) >= 4


def test_statistics_of_a_patch_are_as_named():
    image = np.arange(64, dtype=np.float32).reshape(1, 4, 4, 4)
    patch = Patch("a", (0, 0, 0), (1, 1, 4))
    found = room.Intensity()(image, [patch])
    assert found.shape == (1, 7)
    assert found[0, :2] == pytest.approx([1.5, np.std([0, 1, 2, 3])])
    assert found[0, 4] == pytest.approx(1.5)
    flat = room.Texture()(np.ones((2, 6, 6, 6), np.float32), [patch])
    assert flat.shape == (1, 30)
    assert np.abs(flat[0, 14:]).max() == pytest.approx(0, abs=1e-3)


def test_entropy_of_intensities_is_that_of_their_histogram():
    image = np.zeros((1, 1, 2, 8), dtype=np.float32)
    image[0, 0, 0] = [0, 0, 0, 0, 1, 1, 1, 1]
    found = intensity_entropy(
        image, [Patch("a", (0, 0, 2), (1, 1, 4)), Patch("a", (0, 0, 0), (1, 1, 4))]
    )
    assert found == pytest.approx([np.log(2), 0])


def test_random_bodies_are_where_it_is_bright_and_no_label_is_read():
    volume = np.zeros((12, 12, 12), dtype=np.float32)
    volume[2:6, 2:6, 2:6] = 5
    pool = Imaged({f"c{i}": volume for i in range(30)}, oracle=False, labels=False)
    placed = ask(pool, "random_body", 30)
    assert len(placed) == 30
    assert all(volume[patch.slices].any() for patch in placed)
    assert body_mask(volume[None]).sum() == 64
    assert body_mask(np.ones((1, 2, 2, 2), np.float32)).all()


class Shapeless(Features):
    """Gives one row too few."""

    def __call__(self, image, patches):
        return np.zeros((len(patches) - 1, 2))


class Endless(Features):
    """Gives what is no number."""

    def __call__(self, image, patches):
        return np.full((len(patches), 2), np.nan)


class First(Features):
    """Tells patches apart by where they begin."""

    def __call__(self, image, patches):
        return np.array([patch.start for patch in patches], dtype=float)


@pytest.fixture
def bring(monkeypatch):
    """Entry points of a package that brings features."""

    def add(**values):
        points = {n: EntryPoint(n, value, room.GROUP) for n, value in values.items()}
        monkeypatch.setattr(room, "_points", lambda: {**points, **{p.name: p for p in room._OWN}})

    return add


def test_features_of_other_packages_are_found_by_name(bring):
    bring(first=f"{HERE}:First")
    assert len(ask(striped(), "kmeans_start", 3, features="first")) == 3


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("textur", "unknown features 'textur'; did you mean 'texture'"),
        ("dinosaur", "known: .*intensity.* alsweep.features"),
        ("gone", "cannot be made from alsweep.nothing_here"),
        ("other", "gives no alsweep.query.Features"),
        ("shapeless", r"features Shapeless: \d+ patches got an array of the shape"),
        ("endless", "features Endless: some are not finite"),
    ],
)
def test_features_that_cannot_work_say_why(bring, name, words):
    bring(
        gone="alsweep.nothing_here:X",
        other="builtins:dict",
        shapeless=f"{HERE}:Shapeless",
        endless=f"{HERE}:Endless",
    )
    with pytest.raises(StrategyError, match=words):
        ask(striped(), "kmeans_start", 3, features=name)


@pytest.mark.parametrize("name", STARTS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_starts_by_a_pretrained_encoder_keep_the_contract(name, check):
    check(make_strategy({"name": name, "features": "pretrained"}))


class Seen(Imaged):
    """A pool whose encoder tells the three stripes apart, which the images do not."""

    def image(self, case):
        return np.zeros((1, *self.references[case].shape), dtype=np.float32)

    def pretrained(self, case):
        self.encoder_reads += 1
        cells = torch.tensor([[1.0, 0, 0]] * 3 + [[0, 1, 0]] * 3 + [[0, 0, 1]] * 3).T
        return Embedding(cells.reshape(3, 1, 1, 9), (4, 4, 4))


@pytest.mark.parametrize("name", STARTS)
def test_an_encoder_tells_patches_apart_and_is_asked_once_a_case(name):
    kinds = []
    for seed in range(6):
        pool = Seen(striped().references, oracle=False, labels=False)
        patches = ask(pool, name, 3, seed, features="pretrained")
        kinds.append({(patch.start[2] + 2) // 12 for patch in patches})
        assert pool.encoder_reads == 2
    assert sum(kind == {0, 1, 2} for kind in kinds) >= 4
