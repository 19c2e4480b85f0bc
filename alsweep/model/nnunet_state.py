"""How far nnU-Net's training has come, in a file that its process writes after each epoch."""

from collections.abc import Mapping
from math import nan
from pathlib import Path
from typing import Any

import torch
from torch import nn

from alsweep.model.checkpoint import packed

_NAME = "state.pt"


def initial_state(network: nn.Module) -> dict[str, Any]:
    """The state of a training that has yet to begin; it has no ``optimizer`` nor ``scaler``."""
    return {"network": network.state_dict(), "epochs": 0, "loss": nan}


def trained_state(trainer: Any, epochs: int, loss: float) -> dict[str, Any]:
    """The state of nnU-Net's ``trainer`` after so many epochs."""
    scaler = trainer.grad_scaler
    return {
        "network": _network(trainer).state_dict(),
        "optimizer": trainer.optimizer.state_dict(),
        "scaler": None if scaler is None else scaler.state_dict(),
        "epochs": epochs,
        "loss": loss,
    }


def resume(trainer: Any, state: Mapping[str, Any]) -> None:
    """Let nnU-Net's ``trainer`` go on from a state; its learning rate follows from the epoch."""
    _network(trainer).load_state_dict(state["network"])
    if "optimizer" in state:
        trainer.optimizer.load_state_dict(state["optimizer"])
    if state.get("scaler"):
        trainer.grad_scaler.load_state_dict(state["scaler"])


def _network(trainer: Any) -> nn.Module:
    """Without the wrapper that compiling puts round it."""
    network: nn.Module = getattr(trainer.network, "_orig_mod", trainer.network)
    return network


def write_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Replace the state in ``folder``; whoever reads meanwhile sees the one or the other."""
    temporary = folder / f"{_NAME}.tmp"
    temporary.write_bytes(packed(dict(state)))
    temporary.replace(folder / _NAME)


def read_state(folder: Path) -> dict[str, Any]:
    """The state in ``folder``, tensors on the CPU."""
    state: dict[str, Any] = torch.load(folder / _NAME, map_location="cpu", weights_only=True)
    return state
