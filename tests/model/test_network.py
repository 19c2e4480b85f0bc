import pytest
import torch

from alsweep.config.trajectory import TrainingConfig
from alsweep.model.network import build_network, pooling
from alsweep.model.trainer import has_sides, mirror_axes


def training(**changes):
    return TrainingConfig.model_validate({"features": [4, 8, 16], **changes})


def test_no_axis_is_pooled_below_four_voxels():
    strides = pooling((4, 16, 64), 5)
    assert strides == ((1, 1, 1), (1, 2, 2), (1, 2, 2), (1, 1, 2), (1, 1, 2))


@pytest.mark.parametrize("patch", [(16, 16, 16), (4, 16, 16)])
def test_a_network_keeps_the_shape_of_its_input(patch):
    network = build_network(training(), patch, channels=2, classes=3, seed=0).eval()
    assert network(torch.zeros(1, 2, *patch)).shape == (1, 3, *patch)


def test_initial_weights_follow_from_the_seed_and_leave_torch_alone():
    def weights(seed):
        return torch.cat(
            [p.flatten() for p in build_network(training(), (16,) * 3, 1, 2, seed).parameters()]
        )

    torch.manual_seed(5)
    before = torch.get_rng_state()
    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))
    assert torch.equal(before, torch.get_rng_state())


def test_deep_supervision_gives_one_output_per_scale_in_training():
    network = build_network(training(deep_supervision=True), (16,) * 3, 1, 2, 0).train()
    assert network(torch.zeros(2, 1, 16, 16, 16)).shape == (2, 2, 2, 16, 16, 16)


def test_mirroring_spares_x_where_names_differ_by_side_only():
    sided = ("background", "Kidney_left", "kidney_right")
    assert has_sides(sided)
    assert not has_sides(("background", "left_ventricle", "aorta"))
    assert mirror_axes(training(), sided) == (0, 1)
    assert mirror_axes(training(), ("background", "organ")) == (0, 1, 2)
    assert mirror_axes(training(mirror_axes=["x"]), sided) == (2,)
    assert mirror_axes(training(mirror_axes=[]), sided) == ()
