import pytest
import torch

from alsweep.errors import ConfigError, TrajectoryFailedError
from alsweep.model.device import enough_memory, resolve_compute, take_card


def test_a_cpu_runs_at_full_precision_unless_asked_otherwise():
    assert resolve_compute("cpu", "auto").precision == "fp32"
    assert not resolve_compute("cpu", "auto").scales_loss


def test_a_card_computes_in_half_precision_with_a_scaled_loss(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    compute = resolve_compute("auto", "auto")
    assert (compute.device.type, compute.precision, compute.scales_loss) == ("cuda", "fp16", True)
    assert resolve_compute("auto", "bf16").precision == "bf16"


@pytest.mark.parametrize("feature", ["_is_avx512_bf16_supported", "_is_amx_tile_supported"])
def test_bf16_autocasts_on_a_cpu_that_has_it(monkeypatch, feature):
    monkeypatch.setattr(torch.cpu, feature, lambda: True)
    with resolve_compute("cpu", "bf16").autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


def test_bf16_that_a_cpu_would_emulate_is_refused(monkeypatch):
    for feature in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, feature, lambda: False)
    with pytest.raises(ConfigError, match=r"training.precision: bf16.*use auto or fp32"):
        resolve_compute("cpu", "bf16")


def test_fp32_is_not_autocast():
    with resolve_compute("cpu", "fp32").autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_what_the_machine_lacks_is_refused_with_a_mend(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"resources.device: no CUDA device.*device: auto"):
        resolve_compute("cuda", "auto")
    with pytest.raises(ConfigError, match="fp16 needs a GPU"):
        resolve_compute("cpu", "fp16")


def test_too_little_memory_is_told_with_every_mend():
    with (
        pytest.raises(TrajectoryFailedError, match=r"to train; lower this, or raise resources.gpu"),
        enough_memory("to train", "lower this"),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(RuntimeError, match="another"), enough_memory("to train", "lower this"):
        raise RuntimeError("another error")


def test_cards_are_dealt_out_in_turn(monkeypatch):
    taken = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    for cards in (1, 3):
        monkeypatch.setattr(torch.cuda, "device_count", lambda cards=cards: cards)
        for number in range(5):
            take_card(number)
    assert taken == [0, 1, 2, 0, 1], "and one card is nobody's choice"
