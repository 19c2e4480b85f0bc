import pytest
import torch

from alsweep.errors import ConfigError
from alsweep.model.device import resolve_compute


def test_a_cpu_runs_at_full_precision_unless_asked_otherwise():
    assert resolve_compute("cpu", "auto").precision == "fp32"
    assert resolve_compute("cpu", "bf16").precision == "bf16"
    assert not resolve_compute("cpu", "auto").scales_loss


def test_bf16_autocasts_on_the_cpu():
    with resolve_compute("cpu", "bf16").autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    with resolve_compute("cpu", "fp32").autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_what_the_machine_lacks_is_refused_with_a_mend(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"resources.device: no CUDA device.*device: auto"):
        resolve_compute("cuda", "auto")
    with pytest.raises(ConfigError, match="fp16 needs a GPU"):
        resolve_compute("cpu", "fp16")
