import numpy as np
import torch
from torch import nn

from alsweep.model.device import Compute
from alsweep.model.inference import predict

CPU = Compute(torch.device("cpu"), "fp32")


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
    found = predict([Pointwise(2.0)], volume, (4, 4, 4), 0.5, (), CPU)
    expected = torch.sigmoid(torch.from_numpy(volume[0]) * 2)
    torch.testing.assert_close(found[1], expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.sum(dim=0), torch.ones(9, 12, 7))


def test_members_are_averaged_after_softmax():
    volume = image()
    found = predict([Pointwise(1.0), Pointwise(-3.0)], volume, (4, 4, 4), 1.0, (), CPU)[1]
    x = torch.from_numpy(volume[0])
    torch.testing.assert_close(
        found, (torch.sigmoid(x) + torch.sigmoid(-3 * x)) / 2, atol=1e-5, rtol=1e-5
    )


def test_mirrored_prediction_of_a_mirrored_image_is_the_mirrored_prediction():
    volume = image((4, 4, 8))
    straight = predict([Shifting()], volume, (4, 4, 8), 1.0, (2,), CPU)
    mirrored = predict([Shifting()], volume[..., ::-1].copy(), (4, 4, 8), 1.0, (2,), CPU)
    torch.testing.assert_close(mirrored.flip(-1), straight)
    plain = predict([Shifting()], volume, (4, 4, 8), 1.0, (), CPU)
    assert not torch.allclose(plain, straight)


def test_a_case_smaller_than_the_window_is_predicted_whole():
    found = predict([Pointwise(1.0)], image((3, 5, 2)), (8, 8, 8), 0.5, (), CPU)
    assert found.shape == (2, 3, 5, 2)


def test_no_window_is_ever_sent_alone():
    network = Pointwise(1.0)
    predict([network], image((4, 4, 12)), (4, 4, 4), 1.0, (), CPU)
    predict([network], image((4, 4, 4)), (4, 4, 4), 1.0, (), CPU)
    assert min(network.batches) == 2
