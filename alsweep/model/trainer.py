"""Train one member from partial labels."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from alsweep.config.trajectory import TrainingConfig
from alsweep.errors import TrajectoryFailedError
from alsweep.model.compiling import compiled
from alsweep.model.learner import Checkpoint, OnEpoch
from alsweep.model.loading import Batches
from alsweep.model.objective import Objective


@dataclass(frozen=True)
class _TrainingState:
    """All that changes in a training; the draws follow from the epoch."""

    network: nn.Module
    optimizer: Optimizer
    schedule: LRScheduler
    scaler: torch.GradScaler
    objective: Objective

    def state(self, epochs: int, loss: float) -> dict[str, Any]:
        """What the training goes on from after so many epochs."""
        parts = {name: part.state_dict() for name, part in vars(self).items()}
        return parts | {"epochs": epochs, "loss": loss}

    def resume(self, state: Mapping[str, Any] | None) -> tuple[int, float]:
        """Take up a state; return finished epochs and the loss of the last."""
        if state is None:
            return 0, float("nan")
        for name, part in vars(self).items():
            # An objective without a state of its own has none in older checkpoints.
            part.load_state_dict(state.get(name, {}))
        return state["epochs"], state["loss"]


def fit(
    network: nn.Module,
    batches: Batches,
    objective: Objective,
    on_epoch: OnEpoch,
    checkpoint: Checkpoint,
) -> float:
    """Train ``network`` in place.

    Args:
        network: On the compute device already.
        batches: Images and partial labels, and what the objective takes beside them.
        objective: What to minimise.
        on_epoch: Called with the number of finished epochs.
        checkpoint: Where the training goes on from, and saves itself to.

    Returns:
        Mean loss of the last epoch.

    Raises:
        TrajectoryFailedError: The loss is no longer finite.
    """
    training, compute = batches.setup.training, batches.setup.compute
    if compute.device.type == "cpu":
        # A step takes 7 to 27 % less time: benchmarks/training.py.
        _set_layout(network, torch.channels_last_3d)
    optimizer, schedule, per_step = _optimizer(network, training)
    scaler = torch.GradScaler(compute.device.type, enabled=compute.scales_loss)
    ongoing = _TrainingState(network, optimizer, schedule, scaler, objective)
    first, mean = ongoing.resume(checkpoint.load())
    network.train()
    with compiled(network, training.compile) as ran, closing(batches.load(first)) as loaded:
        for epoch in range(first, training.epochs):
            total = torch.zeros((), device=compute.device)
            for batch in islice(loaded, training.iterations_per_epoch):
                total += _step(ran, batch, ongoing, training.gradient_clip)
                if per_step:
                    schedule.step()
            if not per_step:
                schedule.step()
            mean = float(total) / training.iterations_per_epoch
            if not isfinite(mean):
                raise TrajectoryFailedError(
                    f"the training loss of member {batches.member} became {mean} in epoch {epoch}; "
                    f"lower training.learning_rate"
                )
            on_epoch(epoch + 1)
            if epoch + 1 < training.epochs and checkpoint.due():
                checkpoint.save(ongoing.state(epoch + 1, mean))
    _set_layout(network, torch.contiguous_format)
    return mean


def _set_layout(network: nn.Module, layout: torch.memory_format) -> None:
    """Lay the convolutions' weights out anew, which all that is computed with them follows."""
    network.to(memory_format=layout)  # type: ignore[call-overload]


def _optimizer(network: nn.Module, training: TrainingConfig) -> tuple[Optimizer, LRScheduler, bool]:
    """Optimiser, schedule, and whether the schedule moves every iteration (else every epoch)."""
    parameters, rate, decay = network.parameters(), training.learning_rate, training.weight_decay
    if training.optimizer == "adamw_onecycle":
        adamw = AdamW(parameters, lr=rate, weight_decay=decay)
        steps = training.epochs * training.iterations_per_epoch
        # OneCycleLR divides by the steps of its rise less one, which must not be nothing.
        rise = 0.25 if 0.2 * steps == 1 else 0.2
        return adamw, OneCycleLR(adamw, max_lr=rate, total_steps=steps, pct_start=rise), True
    sgd = SGD(
        parameters,
        lr=rate,
        momentum=training.momentum,
        nesterov=training.momentum > 0,
        weight_decay=decay,
    )
    return sgd, LambdaLR(sgd, lambda epoch: (1 - epoch / training.epochs) ** 0.9), False


def _step(
    ran: nn.Module, batch: tuple[torch.Tensor, ...], ongoing: _TrainingState, gradient_clip: float
) -> torch.Tensor:
    """One change of the weights; gives its loss. ``ran`` is the network, perhaps compiled."""
    optimizer, scaler = ongoing.optimizer, ongoing.scaler
    optimizer.zero_grad(set_to_none=True)
    loss = ongoing.objective(ran, *batch)
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(ran.parameters(), gradient_clip)
    scaler.step(optimizer)
    scaler.update()
    ongoing.objective.after_step(ongoing.network)
    return loss.detach()
