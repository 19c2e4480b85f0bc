"""Training options: their formulas by hand, and the contract that they keep."""

import logging
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from alsweep.config.option import OptionSpec
from alsweep.config.trajectory import TrainingConfig
from alsweep.errors import ConfigError
from alsweep.label_codes import IGNORE
from alsweep.model.learners import _check_heeded
from alsweep.model.nnunet import NnunetLearner
from alsweep.model.options.alignment import cosine, gradient
from alsweep.model.options.augment_and_criticize import CriticizedObjective, agreed
from alsweep.model.options.base import kinds, make_option, resolve_options
from alsweep.model.options.learner import OwnLearner
from alsweep.model.options.mean_teacher import follow, momentum
from alsweep.model.options.objective import SemiObjective
from alsweep.model.options.open_set_weights import OpenSetWeights, reweighted
from alsweep.model.options.positional_contrastive import (
    PositionalContrastive,
    drawn,
    kernel_of,
    positional_loss,
)
from alsweep.model.options.pseudo import Pseudo, believed_pieces, pseudo
from alsweep.model.options.self_training import nearest
from alsweep.model.options.windows import UnlabelledViews, Views
from alsweep.rng import stream
from alsweep.testing import learner_contract
from alsweep.testing.learner_contract import Kept, make_bench
from tests.model.mean_teacher import MeanTeacher as Plugin

# From the first step on, and with pseudo labels that a network of two steps has.
EAGER = {
    "mean_teacher": {"begin": 0.0, "confidence": 0.3, "windows": 1},
    "augment_and_criticize": {"begin": 0.5},
    "open_set_weights": {"begin": 0.0, "confidence": 0.3, "ramp": 0.5, "windows": 1},
    "self_training": {"share": 0.7, "windows": 4},
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return make_bench(tmp_path_factory.mktemp("options"), augmentation="none")


def with_option(setup, kind):
    option = OptionSpec(kind=kind, parameters=EAGER.get(kind, {}))
    return replace(setup, training=setup.training.model_copy(update={"semi_supervised": option}))


def trained(setup):
    return learner_contract._trained(OwnLearner(), setup, learner_contract._training_data(setup))


def test_all_kinds_are_known():
    assert {"none", *EAGER} <= set(kinds("semi_supervised"))
    assert {"none", "positional_contrastive"} <= set(kinds("pretraining"))


@pytest.mark.parametrize("kind", EAGER)
def test_an_option_keeps_the_contract_of_learners(kind, bench):
    """Broken off and resumed, in another process, and blind to labels that nobody gave."""
    own = replace(
        bench, setup=with_option(bench.setup, kind), poisoned=with_option(bench.poisoned, kind)
    )
    learner_contract.ends_the_same_after_a_break(OwnLearner(), own)
    learner_contract.sees_only_annotated_patches_and_images_of_the_pool(OwnLearner(), own)


def test_windows_without_labels_change_what_is_learnt_and_none_does_not(bench):
    plain = learner_contract._trained(
        OwnLearner(), bench.setup, learner_contract._training_data(bench.setup)
    )
    assert torch.equal(trained(with_option(bench.setup, "none")), plain)
    found = [trained(with_option(bench.setup, kind)) for kind in EAGER]
    assert not any(torch.equal(one, plain) for one in found)


def test_views_come_from_loaders_as_well(bench):
    setup = with_option(bench.setup, "self_training")
    beside = replace(setup, compute=replace(setup.compute, loaders=2))
    assert torch.equal(trained(beside), trained(setup))


@pytest.mark.parametrize("learner", [Plugin(), NnunetLearner()])
@pytest.mark.parametrize("field", ["semi_supervised", "pretraining"])
def test_a_learner_with_a_way_of_its_own_refuses_options(learner, field):
    kind = {"semi_supervised": "mean_teacher", "pretraining": "positional_contrastive"}[field]
    training = TrainingConfig.model_validate({"preset": learner.own_preset or "small"})
    training = training.model_copy(update={field: OptionSpec(kind=kind)})
    with pytest.raises(ConfigError, match=f"base.training.{field}: .* write {field}: none$"):
        _check_heeded(learner, training)


def test_options_are_written_flat_and_resolved_to_all_their_parameters():
    training = TrainingConfig.model_validate(
        {"semi_supervised": {"kind": "mean_teacher", "weight": 1}}
    )
    written = resolve_options(training).plain()
    assert written["semi_supervised"] == {
        "kind": "mean_teacher", "weight": 1.0, "begin": 0.5, "ramp": 0.0, "decay": 0.999,
        "confidence": 0.9, "quality": 0.25, "windows": 2,
    }  # fmt: skip
    assert written["pretraining"] == "none"


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("mean_techer", "unknown kind 'mean_techer'; did you mean 'mean_teacher'"),
        ({"kind": "self_training", "nearest": 2.0}, r"'nearest' must lie in \[0.01, 1.0\]"),
        ({"kind": "none", "weight": 1.0}, "unknown parameter 'weight'; it takes none"),
    ],
)
def test_a_wrong_option_is_told_in_one_line(option, said):
    training = TrainingConfig.model_validate({"semi_supervised": option})
    with pytest.raises(ConfigError, match=f"base.training.semi_supervised: .*{said}"):
        resolve_options(training)


def test_the_weight_rises_once_labels_alone_are_done(bench):
    class Constant(SemiObjective):
        def unsupervised(self, network, views, supervised):
            return torch.tensor(0.0)

    training = bench.setup.training.model_copy(update={"epochs": 5, "iterations_per_epoch": 4})
    objective = Constant(replace(bench.setup, training=training), 2.0, 0.5, 0.2)
    weights = []
    for _ in range(20):
        weights.append(objective.weight if objective.since >= 0 else None)
        objective.after_step(nn.Identity())
    assert weights[:10] == [None] * 10
    assert weights[10:] == [0.0, 0.5, 1.0, 1.5, *[2.0] * 6]


def test_a_teacher_is_the_running_mean_of_parameters_and_keeps_its_buffers():
    teacher, student = (nn.BatchNorm1d(1) for _ in range(2))
    values = [3.0, 5.0, 10.0]
    for step, value in enumerate(values):
        nn.init.constant_(student.weight, value)
        student.running_mean.fill_(value)
        follow(teacher, student, momentum(step, 0.999))
    assert teacher.weight.item() == pytest.approx(np.mean(values))
    assert teacher.running_mean.item() == 0.0
    follow(teacher, student, momentum(10_000, 0.75))
    assert teacher.weight.item() == pytest.approx(0.75 * 6 + 0.25 * 10)


def line(*spans):
    """A map of one row, one class, with pieces from a to b."""
    labels = np.zeros((1, 1, 20), dtype=np.uint8)
    for low, high in spans:
        labels[0, 0, low:high] = 1
    return labels


def kept(*views, least=0.25):
    return believed_pieces(views, 2, least)[1, 0, 0].nonzero()[0].tolist()


def test_a_piece_that_other_views_do_not_have_is_not_believed():
    assert kept(line((0, 4), (10, 14)), line((0, 4))) == [0, 1, 2, 3]
    # Its Dice with the other view's is 2 / 8, which is not above the least quality.
    assert kept(line((0, 4)), line((3, 7))) == []


def test_pieces_that_lie_apart_never_compete():
    kidneys = line((0, 4), (10, 16))
    assert kept(kidneys, kidneys) == [*range(4), *range(10, 16)]


def test_of_a_cluster_the_better_half_of_the_neighbours_stays():
    a, b, c, d = (0, 8), (0, 7), (1, 8), (2, 10)
    # Qualities: of a the mean of 14/15, 14/15 and 12/16, which is 0.872; of b 0.819, of c 0.863, of
    # d 0.739. So a is best, and of its three neighbours one stays: c.
    assert kept(*(line(one) for one in (a, b, c, d))) == list(range(8))
    # Without b a is still best, and of two neighbours one stays: d reaches up to 9 and goes.
    assert kept(*(line(one) for one in (a, c, d))) == list(range(8))
    # Alone, d is the identity.
    assert kept(line(d)) == list(range(2, 10))


def test_a_voxel_counts_where_enough_views_agree():
    mean = Pseudo(torch.tensor([[[[0, 1, 2]]]], dtype=torch.uint8), torch.ones(1, 1, 1, 3))
    views = [[0, 1, 2], [0, 1, 0], [0, 2, 0], [0, 1, 0]]
    seen = [mean._replace(labels=torch.tensor([[[v]]], dtype=torch.uint8)) for v in views]
    assert agreed(mean, seen, 0.75).flatten().tolist() == [0, 1, IGNORE]
    assert agreed(mean, seen, 1.0).flatten().tolist() == [0, IGNORE, IGNORE]


def test_regions_are_as_sure_as_the_region_they_are_least_sure_of():
    manifest = SimpleNamespace(regions_class_order=(1, 2))
    setup = SimpleNamespace(regions=True, dataset=SimpleNamespace(manifest=manifest))
    probs = torch.tensor([[0.95, 0.2], [0.1, 0.6]]).view(1, 2, 1, 1, 2)
    found = pseudo(setup, probs)
    assert found.labels.flatten().tolist() == [1, 2]
    assert found.confidence.flatten().tolist() == pytest.approx([0.9, 0.6])


def linear(weight, value, target):
    """The squared error of a network of one weight: gradient 2 * value * (weight * value - y)."""
    return (weight * value - target) ** 2


def test_gradients_are_held_against_each_other_by_hand():
    weights = torch.tensor([1.0, 2.0], requires_grad=True)
    labelled = linear(weights[0], 1.0, 0.0) + linear(weights[1], 2.0, 0.0)
    pseudo_loss = linear(weights[0], 1.0, 3.0)
    ours, theirs = gradient(labelled, [weights]), gradient(pseudo_loss, [weights])
    assert ours.tolist() == [2.0, 16.0]
    assert theirs.tolist() == [-4.0, 0.0]
    assert cosine(ours, theirs) == pytest.approx(-2 / math.sqrt(260))
    assert cosine(ours, torch.zeros(2)) == 0.0


def test_windows_that_go_against_the_labels_are_dropped_until_they_do_not(bench):
    setup = with_option(bench.setup, "augment_and_criticize")
    network = OwnLearner().network(setup, 0)
    option = make_option(setup.training, "semi_supervised")
    objective = CriticizedObjective(setup, network, replace(option, memory=0.5))
    labelled = sum(parameter.sum() for parameter in objective._last[0])
    objective._criticize(labelled, [-labelled, labelled], torch.tensor([7, 9]))
    assert objective.scores[[7, 9]].tolist() == pytest.approx([-1.0, 1.0])
    objective._criticize(labelled, [labelled], torch.tensor([7]))
    assert objective.scores[7].item() == pytest.approx(0.0)
    assert objective.seen.sum() == 2


def test_weights_move_by_the_inner_product_and_back_to_the_prior():
    option = OpenSetWeights(rate=0.1, pull=0.0, memory=0.0)
    before, aligned = torch.tensor([0.5, 0.5, 0.9]), torch.tensor([2.0, -1.0, 5.0])
    assert reweighted(before, aligned, option).tolist() == pytest.approx([0.7, 0.4, 1.0])
    pulled = reweighted(before, aligned, replace(option, pull=0.5))
    assert pulled.tolist() == pytest.approx([0.6, 0.45, 0.75])
    kept_half = reweighted(before, aligned, replace(option, memory=0.5))
    assert kept_half.tolist() == pytest.approx([0.6, 0.45, 0.95])
    # Entropy alone: 0.9 + 0.1 * log(0.1 / 0.9), and nothing at 1/2.
    spread = reweighted(before, torch.zeros(3), replace(option, entropy=1.0))
    assert spread.tolist() == pytest.approx([0.5, 0.5, 0.9 - 0.1 * math.log(9)])


def test_open_set_weights_are_told_when_a_training_ends(bench, caplog):
    with caplog.at_level(logging.INFO):
        trained(with_option(bench.setup, "open_set_weights"))
    (told,) = [r.message for r in caplog.records if "weights of 64 places" in r.message]
    counts = [int(n) for n in told.partition("1: [")[2].rstrip("]").split(",")]
    assert sum(counts) == 64


def test_the_nearest_quarter_is_by_the_cosine_with_any_prototype():
    features = torch.tensor(
        [[5.0, 0.0], [1.0, 1.0], [0.0, 0.1], [-1.0, 0.0], [9.0, 1.0], [1.0, 3.0], [-1, 1], [1, -9]]
    )
    prototypes = torch.tensor([[2.0, 0.0], [0.0, 7.0]])
    # Along a prototype: 0 and 2; then 4, 1 - 9/sqrt(82) away, then 5.
    assert nearest(features, prototypes, 0.25).tolist() == [0, 2]
    assert nearest(features, prototypes, 0.5).tolist() == [0, 2, 4, 5]
    assert nearest(features, prototypes[:0], 0.25).tolist() == [0, 1]


def test_the_loss_of_four_places_is_that_of_the_formula():
    # Two windows at 0, alike, and two at 1, alike; unlike each other at a right angle.
    features = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
    places, same = torch.tensor([[0.0], [0.0], [1.0], [1.0]]), torch.zeros(4, dtype=torch.long)
    # A sigma at which a pair one apart weighs 1/2: weights of an anchor are 1/2, 1/4 and 1/4.
    option = PositionalContrastive(temperature=1.0, sigma=math.sqrt(0.5 / math.log(2)))
    lost = math.log(math.e + 2)
    assert positional_loss(features, places, same, option).item() == pytest.approx(lost - 0.5)
    # Of other kinds: each has one positive, that beside it.
    kinds_of = torch.tensor([0, 0, 1, 1])
    assert positional_loss(features, places, kinds_of, option).item() == pytest.approx(lost - 1)


def test_kernels_fall_with_distance():
    far = torch.tensor([[0.0, 0.5, 2.0]])
    for kernel, expected in {
        "gaussian": [1, math.exp(-0.25 / 2), math.exp(-2)],
        "laplacian": [1, math.exp(-0.25), math.exp(-1)],
        "exponential": [1, math.exp(-0.5), math.exp(-2)],
        "discrete": [1, 0.5, 0],
    }.items():
        option = PositionalContrastive(kernel=kernel, sigma=1.0)
        assert kernel_of(far, option)[0].tolist() == pytest.approx(expected)


def test_each_case_is_seen_twice_in_one_place_and_no_case_more_than_that(bench):
    windows, places = drawn(bench.setup, 64, 0.7, stream(0, "x"))
    cases = len(bench.setup.dataset.pool)
    assert windows.shape == (2 * cases, 1, *bench.setup.topology.window)
    assert np.array_equal(places[:cases], places[cases:])
    assert ((places >= 0) & (places <= 1)).all()
    assert not np.array_equal(windows[:cases], windows[cases:])
    fewer, _ = drawn(bench.setup, 2, 0.7, stream(0, "x"))
    assert len(fewer) == 4


def test_pretraining_ends_the_same_after_a_break_and_leaves_the_way_up_alone(bench):
    option, learner = PositionalContrastive(epochs=2, steps=1), OwnLearner()

    def state(kept, on_epoch=lambda epoch: None):
        network = learner.network(bench.setup, 0)
        option.fit(network, bench.setup, on_epoch, kept)
        return network

    def stop_at_the_last(epoch):
        if epoch == 2:
            raise InterruptedError

    kept = Kept()
    with pytest.raises(InterruptedError):
        state(kept, stop_at_the_last)
    flat = learner_contract._flat
    whole, before = state(Kept()), learner.network(bench.setup, 0)
    assert torch.equal(flat(state(kept)), flat(whole))
    assert not torch.equal(flat(option.part(whole)), flat(option.part(before)))
    assert torch.equal(flat(whole.upsamples), flat(before.upsamples))


def test_views_are_mirrored_to_and_fro(bench):
    drawn_views = UnlabelledViews(bench.setup, 3, 64).draw(stream(0, "views"))
    views = Views(*map(torch.from_numpy, drawn_views))
    assert len(set(views.numbers.tolist())) == 3
    assert views.flips.any()
    assert torch.equal(views.mirrored(views.mirrored(views.weak)), views.weak)
    labels = views.weak[:, 0] > 0
    assert torch.equal(views.mirrored(labels), views.mirrored(views.weak)[:, 0] > 0)
    again = UnlabelledViews(bench.setup, 3, 64).draw(stream(1, "views"))
    shared = set(again[0].tolist()) & set(views.numbers.tolist())
    for number in shared:
        first, second = (list(n).index(number) for n in (drawn_views[0], again[0]))
        assert np.array_equal(drawn_views[1][first], again[1][second])
