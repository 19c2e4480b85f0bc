"""Gradient embeddings: what automatic differentiation makes of the last layer."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from alsweep.geometry import Patch
from alsweep.model.gradients import likeliest
from alsweep.model.inference import Tiling, predict
from alsweep.query.candidates import patch_features
from tests.model.test_inference import CPU

BOTH = ("probs", "gradient", "soft_gradient")


class Headed(nn.Module):
    """Two features of a voxel, and a head that makes three classes of them."""

    def __init__(self, seed):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.head = nn.Conv3d(2, 3, 1)
        with torch.no_grad():
            for parameter in self.head.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / 2)

    def forward(self, x):
        return self.head(torch.cat([x, x**2], dim=1))


def image(shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(1, *shape)).astype(np.float32)


def tiling(window, step=0.5, axes=(), regions=False):
    return Tiling(window, step, axes, CPU, regions=regions, head=lambda network: network.head)


def differentiated(network, volume, patch, targets, regions=False):
    """The gradient of the patch's mean loss by the weights of the head, ``(class, feature)``."""
    logits = network(torch.from_numpy(volume)[None])[:, :, *patch.slices]
    wanted = targets[None][:, :, *patch.slices]
    if regions:
        loss = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="sum")
    else:
        loss = functional.cross_entropy(logits, wanted, reduction="sum")
    (gradient,) = torch.autograd.grad(loss / wanted[0, 0].numel(), network.head.weight)
    return gradient.flatten().numpy()


@pytest.mark.parametrize("regions", [False, True])
@pytest.mark.parametrize("shape", [(8, 8, 12), (6, 8, 8)])
def test_a_patch_s_mean_is_the_gradient_of_its_loss(regions, shape):
    # Windows that overlap, and a case smaller than the window along z.
    networks, volume = [Headed(1), Headed(2)], image(shape)
    found = predict(networks, volume, tiling((8, 8, 8), regions=regions), BOTH)
    patch = Patch("a", (0, 4, 0), (6, 4, 8)) if shape[0] == 6 else Patch("a", (4, 0, 4), (4, 8, 8))
    for embedding, targets in (
        (found.soft_gradient, found.mean_probs),
        (found.gradient, likeliest(found.mean_probs, regions)),
    ):
        assert embedding.features.dtype == torch.float32
        mine = patch_features(embedding, [patch])[0]
        expected = differentiated(networks[0], volume, patch, targets, regions)
        # One voxel of padding on either side: cells of the window lie beside those of the grid.
        tolerance = 1e-5 if shape[0] == 8 else 0.1 * np.abs(expected).max()
        np.testing.assert_allclose(mine, expected, atol=tolerance)


def test_of_one_member_the_likeliest_class_takes_the_place_of_the_mean():
    volume = image((8, 8, 8))
    alone = predict([Headed(1)], volume, tiling((8, 8, 8)), BOTH)
    assert torch.equal(alone.soft_gradient.features, alone.gradient.features)
    assert alone.gradient.features.abs().max() > 0.01
    # With test-time augmentation there is a mean; this network says the same of a mirrored image.
    mirrored = predict([Headed(1)], volume, tiling((8, 8, 8), axes=(0,)), BOTH)
    assert mirrored.soft_gradient.features.abs().max() < 1e-6
    assert torch.allclose(mirrored.gradient.features, alone.gradient.features, atol=1e-6)


def test_gradients_are_made_only_where_they_are_needed():
    network = Headed(1)
    found = predict([network], image((8, 8, 8)), tiling((8, 8, 8)), ("probs", "gradient"))
    assert found.soft_gradient is None
    assert not network.head._forward_pre_hooks
    assert predict([network], image((8, 8, 8)), tiling((8, 8, 8))).gradient is None
