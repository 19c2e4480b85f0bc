import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.losses import DiceLoss
from torch.nn import functional

from alsweep.data.case import Region
from alsweep.data.label_store import IGNORE
from alsweep.model.loss import (
    DiceTerm,
    class_loss,
    deep_supervision_loss,
    masked_dice_ce,
    masked_region_dice_bce,
    region_loss,
)
from alsweep.model.outputs import membership

NESTED = [
    Region(name="whole", labels=(1, 2, 3)),
    Region(name="core", labels=(2, 3)),
    Region(name="enhancing", labels=(3,)),
]


def batch(seed, classes=3, shape=(2, 5, 4, 3)):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(shape[0], classes, *shape[1:], generator=generator)
    target = torch.randint(0, classes, shape, generator=generator).to(torch.uint8)
    return logits.requires_grad_(), target


@given(st.integers(0, 1000), st.integers(2, 5))
def test_fully_annotated_loss_is_monais_dice_plus_cross_entropy(seed, classes):
    logits, target = batch(seed, classes, (2, 6, 6, 6))
    dice = DiceLoss(
        include_background=False,
        to_onehot_y=True,
        softmax=True,
        smooth_nr=0,
        smooth_dr=1e-8,
    )
    expected = dice(logits, target[:, None]) + functional.cross_entropy(logits, target.long())
    assert masked_dice_ce(logits, target).item() == pytest.approx(expected.item(), rel=1e-5)


@given(st.integers(0, 1000))
def test_voxels_without_a_label_have_no_gradient_and_no_say(seed):
    logits, target = batch(seed)
    target[:, 2:] = IGNORE
    loss = masked_dice_ce(logits, target)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient[:, :, 2:].abs().max() == 0
    assert gradient[:, :, :2].abs().max() > 0
    changed = logits.detach().clone()
    changed[:, :, 2:] = 50.0
    assert masked_dice_ce(changed, target).item() == pytest.approx(loss.item(), rel=1e-6)


def test_a_batch_without_labels_gives_zero_and_not_nan():
    logits, target = batch(0)
    loss = masked_dice_ce(logits, torch.full_like(target, IGNORE))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss.item() == 0
    assert not gradient.isnan().any()


def test_a_class_absent_from_a_sample_leaves_the_dice_of_the_others_alone():
    logits, target = batch(1, classes=3)
    target[0][target[0] == 2] = 0
    dice = masked_dice_ce(logits, target) - functional.cross_entropy(logits, target.long())
    probs = logits.softmax(dim=1)
    overlaps = []
    for sample, label in ((0, 1), (1, 1), (1, 2)):
        hit, own = target[sample] == label, probs[sample, label]
        overlaps.append(2 * own[hit].sum() / (own.sum() + hit.sum()))
    expected = 1 - sum(overlaps) / 3
    assert dice.item() == pytest.approx(expected.item(), rel=1e-5)


TERMS = [DiceTerm(over, batch) for over in ("present", "all") for batch in (False, True)]


@pytest.mark.parametrize("dice", TERMS)
def test_a_perfect_prediction_costs_nothing(dice):
    _, target = batch(2)
    target[0][target[0] == 2] = 0
    logits = functional.one_hot(target.long(), 4).movedim(-1, 1).float() * 100
    assert masked_dice_ce(logits, target, dice).item() == pytest.approx(0, abs=1e-6)


def nnunet_loss(logits, target, over_batch):
    """Cross-entropy minus the mean Dice, as nnU-Net writes it, without smoothing.

    ``MemoryEfficientSoftDiceLoss`` with ``do_bg=False`` and a mask.
    """
    mask = (target != IGNORE)[:, None]
    known = torch.where(mask[:, 0], target, 0).long()
    onehot = functional.one_hot(known, logits.shape[1]).movedim(-1, 1)[:, 1:].float()
    x = logits.softmax(1)[:, 1:]
    sums = [(part * mask).sum((2, 3, 4)) for part in (x * onehot, x, onehot)]
    intersect, pred, gt = (part.sum(0) if over_batch else part for part in sums)
    dice = (2 * intersect / (gt + pred).clamp_min(1e-8)).mean()
    reference = torch.where(mask[:, 0], target.long(), -100)
    return functional.cross_entropy(logits, reference) - dice


@pytest.mark.parametrize("over_batch", [False, True])
@given(st.integers(0, 1000), st.integers(3, 9))
def test_over_all_classes_gradients_are_those_of_nnunet(over_batch, seed, classes):
    logits, target = batch(seed, classes, (2, 4, 4, 4))
    target[0] = target[0].clamp_max(1)
    target[:, :2] = IGNORE
    found = masked_dice_ce(logits, target, DiceTerm("all", over_batch))
    expected = nnunet_loss(logits, target, over_batch)
    mine, theirs = (torch.autograd.grad(loss, logits)[0] for loss in (found, expected))
    assert torch.allclose(mine, theirs, atol=1e-7)


def test_over_all_classes_one_of_many_counts_its_share():
    logits, target = batch(6, classes=9)
    target = target.clamp_max(1)
    ce = functional.cross_entropy(logits, target.long())
    over_present, over_all = (
        masked_dice_ce(logits, target, DiceTerm(over)) - ce for over in ("present", "all")
    )
    assert over_all.item() == pytest.approx(over_present.item() / 8, rel=1e-4)


def test_over_the_batch_a_class_of_one_sample_alone_counts_what_the_other_predicts():
    logits, target = batch(7)
    target[0][target[0] == 2] = 0
    ce = functional.cross_entropy(logits, target.long())
    probs, dice = logits.softmax(dim=1), []
    for label in (1, 2):
        hit, own = target == label, probs[:, label]
        dice.append(2 * own[hit].sum() / (own.sum() + hit.sum()))
    for over in ("present", "all"):
        found = masked_dice_ce(logits, target, DiceTerm(over, batch=True)) - ce
        assert found.item() == pytest.approx(1 - sum(dice).item() / 2, rel=1e-5)


def test_deep_supervision_weighs_scales_by_halves():
    logits, target = batch(3)
    losses = [masked_dice_ce(logits * k, target).item() for k in (1, 2, 3)]
    expected = (losses[0] + losses[1] / 2 + losses[2] / 4) / 1.75
    scales = (logits, logits * 2, logits * 3)
    assert deep_supervision_loss(scales, target).item() == pytest.approx(expected, rel=1e-6)
    assert deep_supervision_loss(logits, target).item() == pytest.approx(losses[0], rel=1e-6)


def test_a_lower_scale_is_held_against_its_own_annotated_voxels():
    logits, target = batch(4, shape=(2, 8, 8, 8))
    target[:, ::2] = IGNORE
    low = batch(5, shape=(2, 4, 4, 4))[0]
    own = target[:, 1::2, 1::2, 1::2]
    assert (own != IGNORE).all()
    expected = masked_dice_ce(logits, target) + masked_dice_ce(low, own) / 2
    found = deep_supervision_loss((logits, low), target)
    assert found.item() == pytest.approx(expected.item() / 1.5, rel=1e-6)


def region_batch(seed, shape=(2, 6, 6, 6)):
    logits, _ = batch(seed, len(NESTED), shape)
    _, target = batch(seed, 4, shape)
    inside = torch.stack([torch.isin(target, torch.tensor(r.labels)) for r in NESTED], dim=1)
    return logits, target, inside.float()


@given(st.integers(0, 1000))
def test_fully_annotated_region_loss_is_monais_sigmoid_dice_plus_binary_ce(seed):
    logits, target, inside = region_batch(seed)
    dice = DiceLoss(sigmoid=True, smooth_nr=0, smooth_dr=1e-8)
    expected = dice(logits, inside) + functional.binary_cross_entropy_with_logits(logits, inside)
    found = masked_region_dice_bce(logits, target, membership(NESTED))
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_region_loss_of_three_voxels_by_hand():
    # Two regions: whole (1, 2) and core (2). Voxels: label 2, background, not annotated.
    table = membership([NESTED[0].model_copy(update={"labels": (1, 2)}), NESTED[1]])
    target = torch.tensor([2, 0, IGNORE], dtype=torch.uint8).reshape(1, 1, 1, 3)
    probs = torch.tensor([[0.8, 0.4, 0.9], [0.5, 0.25, 0.9]])
    logits = torch.logit(probs).reshape(1, 2, 1, 1, 3)
    dice = [2 * 0.8 / (1.2 + 1), 2 * 0.5 / (0.75 + 1)]
    bce = -(math.log(0.8) + math.log(0.6) + math.log(0.5) + math.log(0.75)) / 4
    expected = bce + 1 - sum(dice) / 2
    assert masked_region_dice_bce(logits, target, table).item() == pytest.approx(expected, rel=1e-5)


@given(st.integers(0, 1000))
def test_regions_of_voxels_without_a_label_have_no_gradient(seed):
    logits, target, _ = region_batch(seed)
    target[:, 2:] = IGNORE
    loss = masked_region_dice_bce(logits, target, membership(NESTED))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient[:, :, 2:].abs().max() == 0
    assert gradient[:, :, :2].abs().max() > 0


def test_a_batch_without_labels_of_regions_gives_zero_and_not_nan():
    logits, target, _ = region_batch(0)
    loss = region_loss(NESTED)(logits, torch.full_like(target, IGNORE))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss.item() == 0
    assert not gradient.isnan().any()


def test_regions_and_scales_have_the_dice_that_is_asked_for():
    logits, target, _ = region_batch(3)
    target = target.clamp_max(1)
    table, dice = membership(NESTED), DiceTerm("all", batch=True)
    expected = masked_region_dice_bce(logits, target, table, dice).item()
    assert region_loss(NESTED, dice)(logits, target).item() == pytest.approx(expected)
    assert expected < masked_region_dice_bce(logits, target, table).item()
    classes, labels = batch(3)
    labels = labels.clamp_max(1)
    expected = masked_dice_ce(classes, labels, dice).item()
    assert class_loss(dice)(classes, labels).item() == pytest.approx(expected)


def test_regions_are_supervised_at_every_scale():
    logits, target, _ = region_batch(1, (2, 8, 8, 8))
    low = region_batch(2, (2, 4, 4, 4))[0]
    table = membership(NESTED)
    own = target[:, 1::2, 1::2, 1::2]
    expected = masked_region_dice_bce(logits, target, table)
    expected = (expected + masked_region_dice_bce(low, own, table) / 2) / 1.5
    assert region_loss(NESTED)((logits, low), target).item() == pytest.approx(expected.item())
