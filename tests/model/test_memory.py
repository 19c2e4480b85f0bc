"""What is left of a device's memory, with a card that is only said to be there."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from alsweep.config.sweep import ResourcesConfig
from alsweep.model.device import Compute
from alsweep.model.memory import (
    GIB,
    Need,
    allowed_bytes,
    extra_bytes,
    free_bytes,
    held_bytes,
)

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def card(monkeypatch):
    """80 GiB, of which others hold 50 and this process reserved 6 and uses 4."""
    said = {
        "get_device_properties": SimpleNamespace(total_memory=80 * GIB),
        "mem_get_info": (24 * GIB, 80 * GIB),
        "memory_allocated": 4 * GIB,
        "memory_reserved": 6 * GIB,
        "max_memory_reserved": 7 * GIB,
        "max_memory_allocated": 5 * GIB,
        "reset_peak_memory_stats": None,
    }
    for name, value in said.items():
        monkeypatch.setattr(torch.cuda, name, lambda device, value=value: value)


@pytest.mark.parametrize(
    ("resources", "gib"),
    [({}, 80), ({"gpus": 1}, 80), ({"gpus": 0.25}, 20), ({"gpus": 2}, 80)],
)
def test_a_worker_may_hold_its_share_of_a_card(card, resources, gib):
    assert allowed_bytes(CUDA, ResourcesConfig(**resources)) == gib * GIB
    assert allowed_bytes(CUDA, ResourcesConfig(**resources, gpu_memory_gib=3)) == 3 * GIB


def test_a_cpu_has_no_bound_but_a_given_one(card):
    assert allowed_bytes(CPU, ResourcesConfig(gpus=0.5)) is None
    assert free_bytes(Compute(CPU, "fp32")) is None
    allowed = allowed_bytes(CPU, ResourcesConfig(gpu_memory_gib=0.5))
    assert free_bytes(Compute(CPU, "fp32", allowed=allowed)) == GIB // 2
    assert held_bytes(CPU) is None
    assert extra_bytes(Compute(CPU, "fp32"), lambda: 1 / 0) == 0


def test_what_is_free_on_a_card_is_what_is_allowed_and_there(card):
    compute = Compute(CUDA, "fp16")
    # 4 GiB are held and half a GiB is CUDA's own.
    assert free_bytes(replace(compute, allowed=20 * GIB)) == 15.5 * GIB
    # Of what this process reserved it uses all but 2 GiB.
    assert free_bytes(replace(compute, allowed=80 * GIB)) == 26 * GIB
    assert free_bytes(replace(compute, allowed=GIB)) == 0


def test_what_a_card_takes_for_something_is_seen(card):
    done = []
    assert extra_bytes(Compute(CUDA, "fp16"), lambda: done.append(True)) == GIB
    assert done
    assert held_bytes(CUDA) == 7.5 * GIB


@given(
    st.tuples(st.integers(1, 600), st.integers(1, 600), st.integers(1, 600)),
    st.integers(1, 104),
    st.sampled_from([2, 4]),
    st.integers(0, GIB),
    st.integers(0, 8 * GIB),
)
def test_planes_fit_and_no_more_would(shape, outputs, volumes, beside, free):
    need = Need(shape, outputs, volumes, beside)
    planes = need.planes_in(free)
    assert 1 <= planes <= shape[0]
    assert planes == 1 or planes * need.each_plane + beside <= free
    assert planes == shape[0] or (planes + 1) * need.each_plane + beside > free
