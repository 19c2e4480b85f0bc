"""A network whose steps torch compiles."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import nn
from torch._dynamo.exc import TorchDynamoException

from alsweep.errors import TrajectoryFailedError


@contextmanager
def compiled(network: nn.Module, wanted: bool) -> Iterator[nn.Module]:
    """The network, compiled if that is wanted, over the same weights.

    Two compilations choose the same algorithms: left to itself torch has some of them run a race
    against the clock, and equal trainings differ.

    Raises:
        TrajectoryFailedError: It cannot be compiled here, or not twice in the same way.
    """
    if not wanted:
        yield network
        return
    # Forget other networks: beside too many of them torch would go on without compiling, and what
    # a member comes to would depend on what was trained before it.
    torch._dynamo.reset()
    try:
        yield compile_network(network)
    except TorchDynamoException as error:
        said = str(error).strip().splitlines()
        raise TrajectoryFailedError(
            f"training.compile: torch cannot compile the network here ({said[0] if said else ''}); "
            "install a C++ compiler, and Triton for a card, or set it to false"
        ) from error


def compile_network(network: nn.Module) -> nn.Module:
    """What runs the network's steps compiled; the first of them compiles.

    Raises:
        TrajectoryFailedError: See :func:`refuse_races`.
    """
    refuse_races()
    compiling = torch.compile(network, dynamic=False, options={"deterministic": True})
    return cast(nn.Module, compiling)


def refuse_races() -> None:
    """See to it that torch can be told not to choose algorithms by the clock.

    Raises:
        TrajectoryFailedError: It is too old for that.
    """
    if "deterministic" not in torch._inductor.list_options():
        raise TrajectoryFailedError(
            f"training.compile: torch {torch.__version__} compiles otherwise each time; install a "
            "later one, or set it to false"
        )
