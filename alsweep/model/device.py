"""Which device and which precision: decided once, and recorded."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch

from alsweep.errors import ConfigError, TrajectoryFailedError

Precision = Literal["fp32", "bf16", "fp16"]

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Compute:
    """Where and how networks run.

    Attributes:
        device: The torch device.
        precision: Resolved; part of every member's key, since it changes the weights.
        loaders: Processes that make training batches while the device computes; with none they are
            made in between. Changes no result.
        allowed: Bytes of the device's memory that this process may hold while it predicts; None for
            as many as there are. Changes no result.
    """

    device: torch.device
    precision: Precision
    loaders: int = 0
    allowed: int | None = None

    def autocast(self) -> AbstractContextManager[object]:
        """Mixed precision for forward passes; nothing at fp32."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=_DTYPES[self.precision])

    @property
    def scales_loss(self) -> bool:
        """Whether gradients would underflow without loss scaling."""
        return self.precision == "fp16"


def take_card(number: int) -> None:
    """Let this process compute on one of the cards that it sees: they are dealt out in turn."""
    if torch.cuda.is_available() and (cards := torch.cuda.device_count()) > 1:
        torch.cuda.set_device(number % cards)


def resolve_compute(device: str, precision: str) -> Compute:
    """Turn ``auto`` into a device and a precision that the machine has.

    On CUDA ``auto`` is fp16, nnU-Net's choice: its steps are faster than those of bf16 (0.8 of the
    time on an H200), and its logits eight times finer, of which queries are made. Elsewhere it is
    fp32, which every machine has.

    Raises:
        ConfigError: The device or the precision asked for is not to be had here.
    """
    found = torch.device(_best_device() if device == "auto" else device)
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "resources.device: no CUDA device is visible; use device: auto, or give resources.gpus"
        )
    if found.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("resources.device: no MPS device here; use device: auto")
    return Compute(found, _precision(found, precision))


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _precision(device: torch.device, asked: str) -> Precision:
    if asked == "auto":
        return "fp16" if device.type == "cuda" else "fp32"
    if asked == "fp16" and device.type == "cpu":
        raise ConfigError("training.precision: fp16 needs a GPU; use auto, fp32 or bf16 on a CPU")
    if asked == "bf16":
        if device.type == "cpu" and not _cpu_has_bf16():
            raise ConfigError(
                "training.precision: bf16 would be emulated on this CPU, which has neither "
                "AVX512-BF16 nor AMX; use auto or fp32"
            )
        return "bf16"
    return "fp16" if asked == "fp16" else "fp32"


def _cpu_has_bf16() -> bool:
    """Whether the CPU multiplies bf16 itself; emulated, it is slower than fp32."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


@contextmanager
def enough_memory(purpose: str, *mends: str) -> Iterator[None]:
    """Tell in one line when the card's memory does not suffice.

    Args:
        purpose: What it does not suffice for, e.g. ``to train a member``.
        mends: What would help, beside fewer trajectories on the card.

    Raises:
        TrajectoryFailedError: It does not suffice; trying again would not mend it.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        mend = ", or ".join(
            (*mends, "raise resources.gpus so that fewer trajectories share a card")
        )
        raise TrajectoryFailedError(
            f"the GPU's memory does not suffice {purpose}; {mend}"
        ) from error


def set_threads(threads: int) -> None:
    """Let torch use ``threads`` cores and only algorithms that repeat themselves bit for bit."""
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    # The box means and the statistics need all of float32; TF32 would cost the tie rule its
    # meaning.
    torch.backends.cuda.matmul.allow_tf32 = False


@contextmanager
def on_one_thread() -> Iterator[None]:
    """Let torch use one core meanwhile."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
