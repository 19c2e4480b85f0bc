"""Losses of labels that leave two classes open."""

import pytest
import torch
from torch.nn import functional

from alsweep.data.case import Region
from alsweep.label_codes import IGNORE, boxed
from alsweep.model.loss import DiceTerm, masked_dice_ce, masked_region_dice_bce
from alsweep.model.outputs import membership
from alsweep.model.told import (
    boxed_class_loss,
    boxed_region_loss,
    told_of_classes,
    told_of_regions,
)

CLASSES = 4
NESTED = (Region(name="whole", labels=(1, 2, 3)), Region(name="core", labels=(2,)))


@pytest.fixture
def drawn():
    generator = torch.Generator().manual_seed(0)
    numbers = torch.tensor([0, 1, 2, 3, IGNORE], dtype=torch.uint8)
    target = numbers[torch.randint(0, 5, (2, 3, 4, 5), generator=generator)]
    return torch.randn(2, CLASSES, 3, 4, 5, generator=generator), target


@pytest.mark.parametrize("dice", [DiceTerm(), DiceTerm("all", batch=True)])
def test_without_codes_both_losses_are_the_usual_ones(drawn, dice):
    logits, target = drawn
    found = boxed_class_loss(logits, target, told_of_classes(CLASSES), dice)
    assert found.item() == pytest.approx(masked_dice_ce(logits, target, dice).item(), rel=1e-6)
    regions = logits[:, :2]
    found = boxed_region_loss(regions, target, told_of_regions(CLASSES, NESTED), dice)
    usual = masked_region_dice_bce(regions, target, membership(NESTED), dice)
    assert found.item() == pytest.approx(usual.item(), rel=1e-6)


def test_a_voxel_in_a_box_costs_what_is_on_neither_of_its_two_classes():
    probs = torch.tensor([0.3, 0.5, 0.15, 0.05]).view(1, 4, 1, 1, 1)
    target = torch.full((1, 1, 1, 1), boxed(1, CLASSES), dtype=torch.uint8)
    loss = boxed_class_loss(probs.log(), target, told_of_classes(CLASSES))
    # No class is known to be there, so that Dice says nothing.
    assert loss.item() == pytest.approx(-torch.tensor(0.8).log().item(), rel=1e-6)


def test_dice_counts_a_class_where_it_is_known_to_be_absent():
    # A seed of class 1, and a voxel in a box of class 2, which is none of class 1.
    probs = torch.tensor([[0.2, 0.6, 0.2, 0.0], [0.1, 0.4, 0.5, 0.0]]).T.reshape(1, 4, 1, 1, 2)
    target = torch.tensor([1, boxed(2, CLASSES)], dtype=torch.uint8).view(1, 1, 1, 2)
    loss = boxed_class_loss(probs.clamp_min(1e-12).log(), target, told_of_classes(CLASSES))
    ce = -(torch.tensor([0.6, 0.6]).log().mean())
    dice = 2 * 0.6 / (0.6 + 0.4 + 1)
    assert loss.item() == pytest.approx(float(ce) + 1 - dice, rel=1e-5)


def test_of_a_region_a_box_tells_no_more_than_is_certain():
    logits = torch.tensor([0.3, -0.7]).view(1, 2, 1, 1, 1)
    target = torch.full((1, 1, 1, 1), boxed(1, CLASSES), dtype=torch.uint8)
    loss = boxed_region_loss(logits, target, told_of_regions(CLASSES, NESTED))
    # Background or class 1: perhaps in the whole, in no case in the core.
    core = functional.binary_cross_entropy_with_logits(torch.tensor(-0.7), torch.tensor(0.0))
    assert loss.item() == pytest.approx(core.item(), rel=1e-6)


def test_what_is_left_open_has_no_gradient_between_its_two_classes():
    logits = torch.zeros(1, CLASSES, 1, 1, 1, requires_grad=True)
    target = torch.full((1, 1, 1, 1), boxed(3, CLASSES), dtype=torch.uint8)
    boxed_class_loss(logits, target, told_of_classes(CLASSES)).backward()
    gradient = logits.grad.flatten()
    assert gradient.isfinite().all()
    assert gradient[0] == gradient[3] < 0
    assert (gradient[1:3] > 0).all()
