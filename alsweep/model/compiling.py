"""A network whose steps torch compiles."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import nn
from torch._dynamo.exc import TorchDynamoException

from alsweep.errors import TrajectoryFailedError


@contextmanager
def compiled(network: nn.Module, wanted: bool) -> Iterator[nn.Module]:
    """The network, compiled if that is wanted, over the same weights.

    Two compilations choose the same algorithms, where torch can be told to (2.9 and later):
    otherwise some of them win by a race against the clock, and equal trainings differ.

    Raises:
        TrajectoryFailedError: It cannot be compiled here.
    """
    if not wanted:
        yield network
        return
    known = "deterministic" in torch._inductor.list_options()
    # Forget other networks: beside too many of them torch would go on without compiling, and what
    # a member comes to would depend on what was trained before it.
    torch._dynamo.reset()
    try:
        options: dict[str, Any] | None = {"deterministic": True} if known else None
        yield cast(nn.Module, torch.compile(network, dynamic=False, options=options))
    except TorchDynamoException as error:
        said = str(error).strip().splitlines()
        raise TrajectoryFailedError(
            f"training.compile: torch cannot compile the network here ({said[0] if said else ''}); "
            "install a C++ compiler, and Triton for a card, or set it to false"
        ) from error
