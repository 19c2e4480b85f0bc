"""What every learner must keep, as checks to run in a test; for ours and for those of others.

In a test module::

    import pytest
    from alsweep.testing.learner_contract import CHECKS, make_bench

    @pytest.fixture(scope="module")
    def bench(tmp_path_factory):
        return make_bench(tmp_path_factory.mktemp("learner"))

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_my_learner_keeps_the_contract(check, bench):
        check(MyLearner(), bench)

Each check raises an AssertionError that says what is wrong.
"""

import io
import pickle
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from alsweep.config.augmentation import AugmentationConfig
from alsweep.config.trajectory import TrainingConfig
from alsweep.data.annotator import Oracle
from alsweep.data.case import IMAGE_CHUNK, REFERENCE_CHUNK, Dataset, case_folder
from alsweep.data.label_store import PartialLabels
from alsweep.data.phantom import write_phantom
from alsweep.geometry import Patch
from alsweep.model.device import Compute
from alsweep.model.embedding import outputs_of
from alsweep.model.gradients import inputs_of
from alsweep.model.learner import Learner, Setup, TrainingData

_TRAINING: dict[str, Any] = {
    "preset": "nnunet",
    "epochs": 2,
    "iterations_per_epoch": 2,
    "patch_size": [16, 16, 16],
    "features": [4, 4, 8],
}

_OTHER: dict[str, Any] = {
    "iterations_per_epoch": 3,
    "batch_size": 3,
    "features": (4, 8, 8),
    "blocks": "residual",
    "optimizer": "adamw_onecycle",
    "learning_rate": 2e-2,
    "weight_decay": 0.1,
    "momentum": 0.5,
    "batch_dice": True,
    "foreground_share": 1.0,
    "case_sampling": "annotated_volume",
    "foreground_sampling": "class_first",
    "foreground_place": "anywhere",
    "augmentation": AugmentationConfig.model_validate("none"),
    "gradient_clip": 1e-3,
}
"""Other values than the recipe's. The rest has no effect in so small a network, on a CPU."""


@dataclass(frozen=True)
class Bench:
    """What learners are tried on.

    Attributes:
        setup: A recipe of a few steps on a small phantom.
        poisoned: The same, where all reference labels outside the annotated patches are noise, and
            so are the images outside the pool.
    """

    setup: Setup
    poisoned: Setup


def make_bench(folder: Path, **training: Any) -> Bench:
    """Write a phantom and its poisoned copy into an empty folder.

    Args:
        folder: Where they lie.
        training: Changes of the recipe, for learners that want others than nnU-Net's.
    """
    recipe = TrainingConfig.model_validate({**_TRAINING, **training})
    dataset = write_phantom(folder / "phantom", cases=6, shape=(24, 24, 24), seed=2)
    setup = Setup.make(dataset, recipe, Compute(torch.device("cpu"), "fp32"), 5)
    copy = Dataset.open(shutil.copytree(dataset.path, folder / "poisoned"))
    _poison(copy, _patches(copy.pool))
    return Bench(setup, replace(setup, dataset=copy))


def gives_logits_of_the_windows_size(learner: Learner, bench: Bench) -> None:
    """One channel an output, finite, for any number of windows."""
    setup = bench.setup
    network = learner.network(setup, 0).eval()
    for count in (1, 2):
        images = torch.rand(count, len(setup.dataset.channels), *setup.topology.window)
        with torch.no_grad():
            logits = network(images.to(setup.compute.device))
        assert logits.shape == (count, setup.outputs, *setup.topology.window), logits.shape
        assert logits.isfinite().all(), "logits are not finite"


def begins_with_weights_of_the_seed(learner: Learner, bench: Bench) -> None:
    """Initial weights follow from seed and member; torch's global state is left alone."""
    before = torch.get_rng_state()
    first, again, other = (_flat(learner.network(bench.setup, m)) for m in (0, 0, 1))
    assert torch.equal(first, again), "a member begins with other weights each time"
    assert not torch.equal(first, other), "two members begin with the same weights"
    assert torch.equal(before, torch.get_rng_state()), "torch's global generator was used"


class Kept:
    """A checkpoint after every epoch, in memory."""

    def __init__(self) -> None:
        self._state: bytes | None = None

    def load(self) -> dict[str, Any] | None:
        """See :class:`alsweep.model.learner.Checkpoint`."""
        if self._state is None:
            return None
        state: dict[str, Any] = torch.load(io.BytesIO(self._state), weights_only=True)
        return state

    def due(self) -> bool:
        """See :class:`alsweep.model.learner.Checkpoint`."""
        return True

    def save(self, state: Mapping[str, Any]) -> None:
        """See :class:`alsweep.model.learner.Checkpoint`."""
        buffer = io.BytesIO()
        torch.save(dict(state), buffer)
        self._state = buffer.getvalue()


class _BrokenError(Exception):
    """Ends a training."""


def tells_its_epochs(learner: Learner, bench: Bench) -> None:
    """Epochs are told one by one, the loss is a number, and the weights change."""
    told: list[int] = []
    network = learner.network(bench.setup, 0)
    before = _flat(network)
    loss = learner.fit(network, bench.setup, _training_data(bench.setup), told.append, Kept())
    assert told == [1, 2], f"two epochs were told as {told}"
    assert np.isfinite(loss), f"the loss is {loss}"
    assert not torch.equal(before, _flat(network)), "nothing was learnt"


def learns_the_same_from_the_same(learner: Learner, bench: Bench) -> None:
    """Members are shared by their content, so that chance must not enter."""
    training_data = _training_data(bench.setup)
    assert torch.equal(
        _trained(learner, bench.setup, training_data), _trained(learner, bench.setup, training_data)
    )


def ends_the_same_after_a_break(learner: Learner, bench: Bench) -> None:
    """Broken off and taken up in another network, a training ends with the same weights."""
    training_data = _training_data(bench.setup)
    kept = Kept()

    def stop_at_the_last(epoch: int) -> None:
        if epoch == bench.setup.training.epochs:
            raise _BrokenError

    with suppress(_BrokenError):
        network = learner.network(bench.setup, training_data.member)
        learner.fit(network, bench.setup, training_data, stop_at_the_last, kept)
    resumed = _trained(learner, bench.setup, training_data, kept)
    assert torch.equal(resumed, _trained(learner, bench.setup, training_data)), (
        "the break left a trace"
    )


def can_be_pickled(learner: Learner, bench: Bench) -> None:
    """Members that are trained side by side have their learner in other processes."""
    training_data = _training_data(bench.setup)
    copy, setup, sent = pickle.loads(pickle.dumps((learner, bench.setup, training_data)))
    assert torch.equal(_flat(copy.network(setup, 0)), _flat(learner.network(bench.setup, 0)))
    patch = training_data.labels.patches[0]
    assert np.array_equal(sent.labels.crop(patch), training_data.labels.crop(patch))


def sees_only_annotated_patches_and_images_of_the_pool(learner: Learner, bench: Bench) -> None:
    """Noise in place of all other reference labels and images changes nothing."""
    honest = _trained(learner, bench.setup, _training_data(bench.setup))
    blind = _trained(learner, bench.poisoned, _training_data(bench.poisoned))
    assert torch.equal(honest, blind), (
        "labels that nobody annotated, or images outside the pool, were used"
    )


def sees_nothing_of_held_out_cases(learner: Learner, bench: Bench) -> None:
    """Patches of cases that are not in the training data change nothing."""
    pool = bench.setup.dataset.pool
    few, more = (_labels(bench.setup.dataset, pool[:count]) for count in (2, 3))
    first = _trained(learner, bench.setup, TrainingData(0, few, pool[:2]))
    second = _trained(learner, bench.setup, TrainingData(0, more, pool[:2]))
    assert torch.equal(first, second), "labels of a case that was held out were used"


def gives_weights_that_travel(learner: Learner, bench: Bench) -> None:
    """What is trained loads into a new network of any member, and gives the same logits there."""
    network = learner.network(bench.setup, 0)
    learner.fit(network, bench.setup, _training_data(bench.setup), lambda epoch: None, Kept())
    other = learner.network(bench.setup, 1)
    other.load_state_dict(network.state_dict())
    images = torch.rand(2, len(bench.setup.dataset.channels), *bench.setup.topology.window)
    images = images.to(bench.setup.compute.device)
    with torch.no_grad():
        assert torch.equal(network.eval()(images), other.eval()(images)), "other logits"


def gives_features_on_a_grid_over_the_window(learner: Learner, bench: Bench) -> None:
    """One tensor a forward pass, finite, no finer than the window; where there is an encoder."""
    if type(learner).encoder is Learner.encoder:
        return
    setup = bench.setup
    network = learner.network(setup, 0).eval()
    images = torch.rand(2, len(setup.dataset.channels), *setup.topology.window)
    with outputs_of(learner.encoder(network)) as seen, torch.no_grad():
        network(images.to(setup.compute.device))
    assert len(seen) == 1, f"the encoder ran {len(seen)} times in one forward pass"
    window, cells = setup.topology.window, seen[0].shape[2:]
    assert len(seen[0]) == 2, f"features of {len(seen[0])} windows, but there are 2"
    assert len(cells) == 3, f"features have {seen[0].ndim} axes: expected window feature z y x"
    assert all(1 <= n <= w for n, w in zip(cells, window, strict=True)), (cells, window)
    assert seen[0].isfinite().all(), "features are not finite"
    assert not torch.equal(seen[0][0], seen[0][1]), "two windows have the same features"


def has_a_head_that_makes_its_logits(learner: Learner, bench: Bench) -> None:
    """What its head is given has full resolution, and gives the logits; where there is a head."""
    if type(learner).head is Learner.head:
        return
    setup = bench.setup
    network = learner.network(setup, 0).eval()
    images = torch.rand(2, len(setup.dataset.channels), *setup.topology.window)
    head = learner.head(network)
    with inputs_of(head) as seen, torch.no_grad():
        logits = network(images.to(setup.compute.device))
        assert len(seen) == 1, f"the head ran {len(seen)} times in one forward pass"
        features = seen.pop()
        window = features.shape[2:]
        assert window == setup.topology.window, f"features of {window} voxels, not of the window's"
        assert torch.equal(head(features), logits), "the head makes other logits than the network"


def heeds_what_it_says(learner: Learner, bench: Bench) -> None:
    """To change a field that it names changes the weights."""
    training_data = _training_data(bench.setup)
    # By volume, cases are drawn otherwise only where one has more of it.
    more = training_data.labels.with_patches(
        [Patch(training_data.cases[0], (0, 0, 0), (12, 12, 4))]
    )
    training_data = replace(training_data, labels=more)
    plain = _trained(learner, bench.setup, training_data)
    for key, value in _OTHER.items():
        if key not in learner.heeds or getattr(bench.setup.training, key) == value:
            continue
        training = bench.setup.training.model_copy(update={key: value})
        setup = Setup.make(bench.setup.dataset, training, bench.setup.compute, bench.setup.seed)
        assert not torch.equal(_trained(learner, setup, training_data), plain), (
            f"training.{key} changes nothing, though heeds names it"
        )


CHECKS: tuple[Callable[[Learner, Bench], None], ...] = (
    gives_logits_of_the_windows_size,
    begins_with_weights_of_the_seed,
    tells_its_epochs,
    learns_the_same_from_the_same,
    ends_the_same_after_a_break,
    can_be_pickled,
    sees_only_annotated_patches_and_images_of_the_pool,
    sees_nothing_of_held_out_cases,
    gives_weights_that_travel,
    gives_features_on_a_grid_over_the_window,
    has_a_head_that_makes_its_logits,
    heeds_what_it_says,
)


def _patches(cases: Sequence[str]) -> list[Patch]:
    return [Patch(case, (4, 6, 8), (12, 12, 12)) for case in cases]


def _labels(dataset: Dataset, cases: Sequence[str]) -> PartialLabels:
    shapes = {case: dataset.cases[case].shape for case in dataset.pool}
    return PartialLabels(shapes, len(dataset.classes), Oracle(dataset), _patches(cases))


def _training_data(setup: Setup) -> TrainingData:
    cases = setup.dataset.pool[:3]
    return TrainingData(0, _labels(setup.dataset, cases), cases)


def _trained(
    learner: Learner, setup: Setup, training_data: TrainingData, checkpoint: Kept | None = None
) -> torch.Tensor:
    network = learner.network(setup, training_data.member)
    learner.fit(network, setup, training_data, lambda epoch: None, checkpoint or Kept())
    return _flat(network)


def _flat(network: nn.Module) -> torch.Tensor:
    return torch.cat([value.detach().flatten() for value in network.state_dict().values()])


def _poison(dataset: Dataset, kept: Sequence[Patch]) -> None:
    """Turn reference labels outside the patches, and images outside the pool, into noise."""
    rng = np.random.default_rng(0)
    for case in (*dataset.validation, *dataset.test):
        path = case_folder(dataset.path, case) / IMAGE_CHUNK
        path.chmod(0o644)
        image = np.memmap(path, np.float32, "r+", shape=dataset.image(case).shape)
        image[:] = rng.normal(size=image.shape)
        image.flush()
    for patch in kept:
        path = case_folder(dataset.path, patch.case) / REFERENCE_CHUNK
        path.chmod(0o644)
        volume = np.memmap(path, np.uint8, "r+", shape=dataset.cases[patch.case].shape)
        truth = volume[patch.slices].copy()
        volume[:] = rng.integers(0, len(dataset.classes), volume.shape, dtype=np.uint8)
        volume[patch.slices] = truth
        volume.flush()
