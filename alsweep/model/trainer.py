"""Train one member from partial labels."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from alsweep.config.trajectory import TrainingConfig
from alsweep.errors import TrajectoryFailedError
from alsweep.model.augment import Augmentation
from alsweep.model.device import Compute
from alsweep.model.learner import OnEpoch
from alsweep.model.loss import Loss, deep_supervision_loss
from alsweep.rng import stream

if TYPE_CHECKING:
    from alsweep.data.patches import PatchSampler


def fit(
    network: nn.Module,
    sampler: "PatchSampler",
    training: TrainingConfig,
    augmentation: Augmentation,
    compute: Compute,
    address: tuple[int, int],
    on_epoch: OnEpoch,
    loss: Loss = deep_supervision_loss,
) -> float:
    """Train ``network`` in place.

    Args:
        network: On ``compute.device`` already.
        sampler: Gives batches of images and partial labels.
        training: Epochs, optimiser and so on.
        augmentation: How they are varied.
        compute: Device and precision.
        address: (seed, member): all draws follow from these and the epoch.
        on_epoch: Called with the number of finished epochs.
        loss: Of the network's outputs against partial labels.

    Returns:
        Mean loss of the last epoch.

    Raises:
        TrajectoryFailedError: The loss is no longer finite, or the device's memory does not
            suffice.
    """
    optimizer, schedule, per_step = _optimizer(network, training)
    scaler = torch.GradScaler(compute.device.type, enabled=compute.scales_loss)
    seed, member = address
    network.train()
    mean = float("nan")
    for epoch in range(training.epochs):
        rng = stream(seed, "train", member, epoch)
        total = torch.zeros((), device=compute.device)
        for _ in range(training.iterations_per_epoch):
            images, targets = _batch(sampler, training.batch_size, augmentation, rng, compute)
            total += _step(network, images, targets, optimizer, scaler, training, compute, loss)
            if per_step:
                schedule.step()
        if not per_step:
            schedule.step()
        mean = float(total) / training.iterations_per_epoch
        if not np.isfinite(mean):
            raise TrajectoryFailedError(
                f"the training loss of member {member} became {mean} in epoch {epoch}; "
                f"lower training.learning_rate"
            )
        on_epoch(epoch + 1)
    return mean


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


def _batch(
    sampler: "PatchSampler",
    size: int,
    augmentation: Augmentation,
    rng: np.random.Generator,
    compute: Compute,
) -> tuple[torch.Tensor, torch.Tensor]:
    pairs = [augmentation(*pair, rng) for pair in zip(*sampler.batch(rng, size), strict=True)]
    images, targets = (np.stack(arrays) for arrays in zip(*pairs, strict=True))
    return (
        torch.from_numpy(images).to(compute.device, non_blocking=True),
        torch.from_numpy(targets).to(compute.device, non_blocking=True),
    )


def _step(
    network: nn.Module,
    images: torch.Tensor,
    targets: torch.Tensor,
    optimizer: Optimizer,
    scaler: torch.GradScaler,
    training: TrainingConfig,
    compute: Compute,
    criterion: Loss,
) -> torch.Tensor:
    optimizer.zero_grad(set_to_none=True)
    try:
        with compute.autocast():
            outputs = network(images)
        loss = criterion(outputs, targets)
        scaler.scale(loss).backward()
    except torch.OutOfMemoryError as error:
        raise TrajectoryFailedError(
            "the GPU's memory does not suffice for a training step; lower training.batch_size or "
            "training.patch_size, or raise resources.gpus so that fewer trajectories share a card"
        ) from error
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(network.parameters(), training.gradient_clip)
    scaler.step(optimizer)
    scaler.update()
    return loss.detach()
