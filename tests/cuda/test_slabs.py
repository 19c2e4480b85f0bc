from dataclasses import replace

import pytest
import torch

from alsweep.config.sweep import ResourcesConfig
from alsweep.model import inference
from alsweep.model.cut import CutPrediction
from alsweep.model.device import Compute, set_threads
from alsweep.model.inference import predict
from alsweep.model.memory import GIB, allowed_bytes, free_bytes
from alsweep.query import make_strategy
from tests.model.test_cut import FORMS, Convolving, ask, image

CUDA = torch.device("cuda")


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("form", list(FORMS))
@pytest.mark.parametrize("strategy", ["mutual_information", "clasp_pe"])
def test_slabs_on_the_card_are_those_of_the_whole(monkeypatch, strategy, form, precision):
    set_threads(1)
    tiling = replace(FORMS[form], compute=Compute(CUDA, precision))
    networks = [Convolving(seed=seed).cuda().eval() for seed in range(2)]
    needs = make_strategy(strategy).needs
    taken = predict(networks, image(), tiling, needs)
    monkeypatch.setattr(inference._Source, "planes", lambda self: 4)
    parts = predict(networks, image(), tiling, needs)
    assert isinstance(parts, CutPrediction)
    for slab in parts.slabs:
        found, expected = (one.part(slab, slice(None)) for one in (parts, taken))
        assert torch.equal(found.mean_probs, expected.mean_probs)
    assert ask(strategy, parts) == ask(strategy, taken)


def test_what_is_free_is_no_more_than_the_worker_may_hold():
    compute = Compute(CUDA, "fp16", allowed=allowed_bytes(CUDA, ResourcesConfig(gpus=0.5)))
    total = torch.cuda.get_device_properties(CUDA).total_memory
    assert 0 < free_bytes(compute) < total / 2
    assert free_bytes(replace(compute, allowed=GIB)) < GIB
