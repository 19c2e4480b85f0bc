import gc
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from alsweep.config.trajectory import TrainingConfig
from alsweep.model.device import Compute
from alsweep.model.embedding import FeatureMean
from alsweep.model.inference import Tiling, predict
from alsweep.model.monai_learner import MonaiLearner
from alsweep.model.network import build_network
from alsweep.model.topology import Topology

CPU = Compute(torch.device("cpu"), "fp32")
ALL = ("probs", "mean_entropy", "embedding")
ENCODER = MonaiLearner().encoder
CUBES = Tiling((4, 4, 4), 1.0, (), CPU)
MIRRORED = Tiling((4, 4, 8), 1.0, (2,), CPU)


class Pointwise(nn.Module):
    """Logits that depend on the voxel alone: whatever the tiling, the answer is known."""

    def __init__(self, gain):
        super().__init__()
        self.gain = gain
        self.batches = []

    def forward(self, windows):
        self.batches.append(windows.shape[0])
        return torch.cat([windows * 0, windows * self.gain], dim=1)


class Shifting(nn.Module):
    """Looks at the neighbour to the right: not symmetric under mirroring."""

    def forward(self, windows):
        return torch.cat([windows, windows.roll(1, dims=-1)], dim=1)


def image(shape=(9, 12, 7), seed=0):
    return np.random.default_rng(seed).normal(size=(1, *shape)).astype(np.float32)


def test_overlapping_windows_reproduce_a_pointwise_network():
    volume = image()
    found = predict([Pointwise(2.0)], volume, Tiling((4, 4, 4), 0.5, (), CPU)).mean_probs
    expected = torch.sigmoid(torch.from_numpy(volume[0]) * 2)
    torch.testing.assert_close(found[1], expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.sum(dim=0), torch.ones(9, 12, 7))


class Placed(nn.Module):
    """Logits that depend on the place in the window alone, highest at one end."""

    def forward(self, windows):
        ramp = torch.arange(windows.shape[-1], dtype=torch.float32).expand(windows.shape)
        return torch.cat([ramp * 0, ramp], dim=1)


def test_overlapping_windows_count_evenly_only_where_that_is_asked_for():
    volume, windows = image((4, 4, 6)), Tiling((4, 4, 4), 0.5, (), CPU)
    gaussian, even = (
        predict([Placed()], volume, replace(windows, gaussian=how)).mean_probs[1, 1, 1].logit()
        for how in (True, False)
    )
    # Windows begin at 0 and 2 along x: voxels 2 and 3 are the third and first, fourth and second.
    expected = torch.tensor([0, 1, (2 + 0) / 2, (3 + 1) / 2, 2, 3])
    torch.testing.assert_close(even, expected)
    weights = np.exp(-0.5 * ((np.arange(4) - 1.5) / (0.125 * 4)) ** 2)
    uneven = torch.tensor([(2 * weights[2] + 0 * weights[0]) / (weights[2] + weights[0])])
    torch.testing.assert_close(gaussian[2:3], uneven.float(), atol=0.02, rtol=0)


def test_members_are_averaged_after_softmax():
    volume = image()
    found = predict([Pointwise(1.0), Pointwise(-3.0)], volume, CUBES).mean_probs[1]
    x = torch.from_numpy(volume[0])
    torch.testing.assert_close(
        found, (torch.sigmoid(x) + torch.sigmoid(-3 * x)) / 2, atol=1e-5, rtol=1e-5
    )


def test_mirrored_prediction_of_a_mirrored_image_is_the_mirrored_prediction():
    volume = image((4, 4, 8))
    straight = predict([Shifting()], volume, MIRRORED).mean_probs
    mirrored = predict([Shifting()], volume[..., ::-1].copy(), MIRRORED).mean_probs
    torch.testing.assert_close(mirrored.flip(-1), straight)
    plain = predict([Shifting()], volume, Tiling((4, 4, 8), 1.0, (), CPU)).mean_probs
    assert not torch.allclose(plain, straight)


def test_a_case_smaller_than_the_window_is_predicted_whole():
    found = predict([Pointwise(1.0)], image((3, 5, 2)), Tiling((8, 8, 8), 0.5, (), CPU)).mean_probs
    assert found.shape == (2, 3, 5, 2)


def test_no_window_is_ever_sent_alone():
    network = Pointwise(1.0)
    predict([network], image((4, 4, 12)), CUBES)
    predict([network], image((4, 4, 4)), CUBES)
    assert min(network.batches) == 2


class Encoding(Pointwise):
    """A pointwise network with an encoder stage that halves every axis by averaging."""

    def __init__(self, gain):
        super().__init__(gain)
        self.downsamples = nn.ModuleList([nn.AvgPool3d(2)])

    def forward(self, windows):
        self.downsamples[0](windows * self.gain)
        return super().forward(windows)


def ramp(shape):
    """An image whose voxels say where they are along z."""
    return np.broadcast_to(np.arange(shape[0], dtype=np.float32)[:, None, None], shape)[None]


def test_folding_equals_the_computation_on_stacked_members():
    volume, gains = image(), (1.0, -3.0, 0.5)
    found = predict([Pointwise(g) for g in gains], volume, Tiling((4, 4, 4), 0.5, (), CPU), ALL[:2])
    second = torch.stack([torch.sigmoid(torch.from_numpy(volume[0]) * g) for g in gains])
    members = torch.stack([1 - second, second], dim=1)
    entropies = torch.special.entr(members).sum(dim=1)
    torch.testing.assert_close(found.mean_probs, members.mean(dim=0), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.mean_entropy, entropies.mean(dim=0), atol=1e-5, rtol=1e-5)
    assert found.embedding is None


def test_members_are_kept_apart_where_a_strategy_needs_them():
    needs = ("probs", "members")
    found = predict([Pointwise(1.0), Pointwise(-3.0)], image(), CUBES, needs)
    assert [one.dtype for one in found.members] == [torch.float16] * 2
    torch.testing.assert_close(sum(found.members).float() / 2, found.mean_probs, atol=1e-3, rtol=0)
    assert predict([Pointwise(1.0)], image(), CUBES).members == ()


def test_probabilities_do_not_depend_on_what_else_is_wanted():
    networks = [Encoding(1.0), Encoding(2.0)]
    plain = predict(networks, image(), Tiling((4, 4, 4), 0.5, (0, 2), CPU))
    assert plain.mean_entropy is None
    assert plain.embedding is None
    full = predict(networks, image(), Tiling((4, 4, 4), 0.5, (0, 2), CPU, encoder=ENCODER), ALL)
    assert torch.equal(full.mean_probs, plain.mean_probs)


@pytest.mark.parametrize("axes", [(), (0,), (0, 1, 2)])
def test_features_lie_where_they_were_seen_and_members_follow_each_other(axes):
    networks = [Encoding(1.0), Encoding(-2.0)]
    found = predict(
        networks, ramp((10, 6, 4)), Tiling((4, 4, 4), 0.5, axes, CPU, encoder=ENCODER), ALL
    )
    assert found.embedding.cell == (2.0, 2.0, 2.0)
    assert found.embedding.features.dtype == torch.float16
    expected = torch.tensor([0.5, 2.5, 4.5, 6.5, 8.5])[:, None, None].expand(5, 3, 2)
    torch.testing.assert_close(
        found.embedding.features.float(), torch.stack([expected, -2 * expected])
    )


@pytest.mark.parametrize("axes", [(), (0,)])
def test_features_of_windows_beside_the_grid_are_shared_out_to_half_a_cell(axes):
    found = predict(
        [Encoding(1.0)], ramp((11, 6, 4)), Tiling((4, 4, 4), 0.75, axes, CPU, encoder=ENCODER), ALL
    )
    centres = torch.arange(6) * 2 + 0.5
    assert found.embedding.features.shape == (1, 6, 3, 2)
    assert ((found.embedding.features[0, :, 0, 0].float() - centres).abs() <= 1).all()


def test_padding_of_a_small_case_moves_no_feature():
    # Five voxels in a window of eight: one is padded before, two behind.
    found = predict(
        [Encoding(1.0)], ramp((5, 8, 8)) + 1, Tiling((8, 8, 8), 0.5, (), CPU, encoder=ENCODER), ALL
    )
    # Window cells lie half a cell off the grid: [0+1, 2+3, 4+5, 0+0] / 2, each shared out by half.
    expected = torch.tensor([1.5, 3.5, 4.5]).half()
    torch.testing.assert_close(found.embedding.features[0, :, 0, 0], expected)


def test_features_cost_no_second_forward_pass():
    plain, full = Encoding(1.0), Encoding(1.0)
    predict([plain], image(), Tiling((4, 4, 4), 0.5, (1,), CPU))
    predict([full], image(), Tiling((4, 4, 4), 0.5, (1,), CPU, encoder=ENCODER), ALL)
    assert full.batches == plain.batches
    assert not full.downsamples[0]._forward_hooks


def test_the_second_deepest_stage_of_the_network_is_gathered():
    training = TrainingConfig(features=(4, 6, 8, 10), patch_size=(16, 16, 16))
    strides = ((1, 1, 1), (2, 2, 2), (2, 2, 2), (1, 1, 1))
    topology = Topology((16, 16, 16), strides, ((3, 3, 3),) * 4, training.features)
    networks = [build_network(training, topology, 1, 3, seed) for seed in (0, 1)]
    found = predict(
        networks, image((18, 16, 9)), Tiling((16, 16, 16), 0.75, (), CPU, encoder=ENCODER), ALL
    )
    assert found.embedding.features.shape == (2 * 8, 5, 4, 3)
    assert found.embedding.cell == (4.0, 4.0, 4.0)
    assert found.embedding.features.isfinite().all()


class Weighing(Encoding):
    """Notes how many voxels are held in tensors, all over the process, while it runs."""

    def forward(self, windows):
        alive = [one for one in gc.get_objects() if type(one) is torch.Tensor]
        self.batches.append(sum(one.numel() for one in alive))
        return super().forward(windows)


@pytest.mark.parametrize("needs", [("probs",), ("probs", "mean_entropy")])
def test_memory_does_not_grow_with_the_number_of_members(needs):
    def most_alive(members):
        networks = [Weighing(1.0) for _ in range(members)]
        predict(networks, image((8, 8, 8)), Tiling((8, 8, 8), 0.5, (), CPU), needs)
        return max(network.batches[0] for network in networks)

    few = most_alive(2)
    assert few > 8**3
    # What Python has not collected yet may hold a few values; a member holds thousands.
    assert abs(most_alive(6) - few) < 8**3 // 4


def test_features_stay_on_their_device():
    mean = FeatureMean((10, 6, 4), (4, 4, 4))
    mean.add(torch.zeros(2, 3, 2, 2, 2, device="meta"), [(0, 0, 0), (6, 2, 0)], (0,))
    assert mean.mean().device.type == "meta"
