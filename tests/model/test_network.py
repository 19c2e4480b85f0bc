import pytest
import torch
from torch import nn

from alsweep.config.trajectory import TrainingConfig
from alsweep.data.ingest.network_plan import levels_of
from alsweep.model.mirroring import has_sides, mirror_axes
from alsweep.model.network import build_network
from alsweep.model.topology import Topology, make_topology, multiply_adds, parameters


def training(**changes):
    return TrainingConfig.model_validate({"features": [4, 8, 16], **changes})


def topology(patch=(16, 16, 16), features=(4, 8, 16)):
    strides, kernels = levels_of(patch, (1.0, 1.0, 1.0), len(features))
    return Topology(patch, strides, kernels, features[: len(strides)])


def network(patch=(16, 16, 16), channels=1, outputs=2, seed=0, **changes):
    made = training(**changes)
    return build_network(made, topology(patch, made.features), channels, outputs, seed)


def test_no_axis_is_pooled_below_four_voxels():
    strides, _ = levels_of((4, 16, 64), (1.0, 1.0, 1.0), 5)
    assert strides == ((1, 1, 1), (1, 2, 2), (1, 2, 2), (1, 1, 2))


def test_coarse_axes_are_pooled_and_convolved_later():
    strides, kernels = levels_of((16, 64, 64), (5.0, 1.0, 1.0), 6)
    assert strides[:3] == ((1, 1, 1), (1, 2, 2), (1, 2, 2))
    assert kernels[:3] == ((1, 3, 3), (1, 3, 3), (3, 3, 3))


def test_the_plan_is_taken_as_it_stands(phantom):
    plan = phantom.manifest.plan
    made = make_topology(training(patch_size="plan", features=[4, 8, 12]), phantom)
    assert (made.window, made.strides, made.kernels) == (
        plan.patch_size,
        plan.strides,
        plan.kernels,
    )
    assert made.features == ((4, 8) + (12,) * len(plan.strides))[: len(plan.strides)]


def test_a_patch_too_small_for_three_levels_gets_levels_without_pooling(phantom):
    made = make_topology(training(patch_size=[4, 4, 4]), phantom)
    assert made.strides == ((1, 1, 1),) * 3
    assert build_network(training(), made, 1, 2, 0)(torch.rand(2, 1, 4, 4, 4)).shape[1] == 2


@pytest.mark.parametrize("blocks", ["plain", "residual"])
@pytest.mark.parametrize("patch", [(16, 16, 16), (4, 16, 16)])
def test_a_network_keeps_the_shape_of_its_input(patch, blocks):
    made = network(patch, channels=2, outputs=3, blocks=blocks).eval()
    assert made(torch.zeros(1, 2, *patch)).shape == (1, 3, *patch)


def test_residual_blocks_add_their_input():
    names = {name for name, _ in network(blocks="residual").named_parameters()}
    assert names > {name for name, _ in network().named_parameters()}


def test_initial_weights_follow_from_the_seed_and_leave_torch_alone():
    def weights(seed):
        return torch.cat([p.flatten() for p in network(seed=seed).parameters()])

    torch.manual_seed(5)
    before = torch.get_rng_state()
    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))
    assert torch.equal(before, torch.get_rng_state())


def test_deep_supervision_gives_every_scale_but_the_two_lowest_in_training():
    made = network((32, 32, 32), features=[2, 4, 4, 4], deep_supervision=True)
    outputs = made.train()(torch.zeros(2, 1, 32, 32, 32))
    assert [tuple(logits.shape[1:]) for logits in outputs] == [(2, 32, 32, 32), (2, 16, 16, 16)]
    assert made.eval()(torch.zeros(2, 1, 32, 32, 32)).shape == (2, 2, 32, 32, 32)


def test_mirroring_spares_x_where_names_differ_by_side_only():
    sided = ("background", "Kidney_left", "kidney_right")
    assert has_sides(sided)
    assert not has_sides(("background", "left_ventricle", "aorta"))
    assert mirror_axes(training(), sided) == (0, 1)
    assert mirror_axes(training(), ("background", "organ")) == (0, 1, 2)
    assert mirror_axes(training(mirror_axes=["x"]), sided) == (2,)
    assert mirror_axes(training(mirror_axes=[]), sided) == ()


@pytest.mark.parametrize("blocks", ["plain", "residual"])
@pytest.mark.parametrize("features", [(4, 8, 16), (32, 64, 128, 256)])
@pytest.mark.parametrize("patch", [(16, 16, 16), (8, 64, 64)])
def test_the_weights_are_as_many_as_the_levels_say(patch, features, blocks):
    made = training(features=features, blocks=blocks, patch_size=patch)
    levels = topology(patch, features)
    network = build_network(made, levels, 2, 3, 0)
    counted = sum(parameter.numel() for parameter in network.parameters())
    assert parameters(made, levels, 2, 3) == pytest.approx(counted, rel=0.02)


@pytest.mark.parametrize("blocks", ["plain", "residual"])
@pytest.mark.parametrize("patch", [(16, 16, 16), (8, 64, 64)])
def test_a_forward_pass_multiplies_as_often_as_the_levels_say(patch, blocks):
    made = training(features=(4, 8, 16), blocks=blocks, patch_size=patch)
    levels = topology(patch, (4, 8, 16))
    network = build_network(made, levels, 2, 3, 0).eval()
    counted = []

    def count(module, given, out):
        places = given[0] if isinstance(module, nn.ConvTranspose3d) else out
        counted.append(module.weight.numel() * places[0, 0].numel())

    for module in network.modules():
        if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
            module.register_forward_hook(count)
    network(torch.zeros(1, 2, *levels.window))
    assert multiply_adds(made, levels, 2, 3) == pytest.approx(sum(counted), rel=0.02)
