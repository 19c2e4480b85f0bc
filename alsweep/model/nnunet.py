"""nnU-Net v2 itself as a learner: its trainer, loss, loaders and augmentation."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import nn

from alsweep.disk import full_disk
from alsweep.errors import TrajectoryFailedError
from alsweep.files import write_json
from alsweep.model.compiling import refuse_races
from alsweep.model.learner import Checkpoint, Learner, OnEpoch, Setup, TrainingData
from alsweep.model.nnunet_files import CONFIGURATION, NAME, architecture, write_training_files
from alsweep.model.nnunet_state import initial_state, read_state, write_state
from alsweep.query import searchable
from alsweep.rng import stream, torch_seed

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NnunetLearner(Learner):
    """nnU-Net v2's own training on the same images, labels, patch and network.

    It trains in a process of its own. Unannotated voxels have its ignore label. It has no seed: for
    each epoch one is set for all that it draws from, so that a training can be taken up after any
    of them. Axes stay ``(z, y, x)``, so that its augmentation in two dimensions for coarse spacing
    is used where z is the coarse axis only.

    Source: Isensee et al. 2021 (nnU-Net); package nnunetv2, extra ``nnunet``.
    """

    trainer: str = searchable(
        "nnunet",
        choices=("nnunet", "nnactive"),
        help="whose: nnactive shifts windows off annotated voxels and takes Dice unsmoothed",
        neutral="nnunet",
    )

    heeds = (
        "iterations_per_epoch",
        "batch_size",
        "features",
        "blocks",
        "learning_rate",
        "weight_decay",
        "deep_supervision",
        "batch_dice",
        "foreground_share",
        "compile",
    )
    own_preset = "nnunet"

    def network(self, setup: Setup, member: int) -> nn.Module:
        """See :class:`alsweep.model.learner.Learner`."""
        from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

        plan = architecture(setup)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed(setup.seed, "init", member))
            network: nn.Module = get_network_from_plans(
                plan["network_class_name"],
                plan["arch_kwargs"],
                plan["_kw_requires_import"],
                len(setup.dataset.channels),
                setup.outputs,
                deep_supervision=False,
            )
        return network.to(setup.compute.device)

    def encoder(self, network: nn.Module) -> nn.Module:
        """The stage before the deepest; see :class:`alsweep.model.learner.Learner`."""
        stage: nn.Module = network.encoder.stages[-2]  # type: ignore[union-attr, index, assignment]
        return stage

    def head(self, network: nn.Module) -> nn.Module:
        """The decoder's layer of full resolution; see :class:`alsweep.model.learner.Learner`."""
        layers = network.decoder.seg_layers  # type: ignore[union-attr]
        layer: nn.Module = layers[-1]  # type: ignore[index, assignment]
        return layer

    def fit(
        self,
        network: nn.Module,
        setup: Setup,
        training_data: TrainingData,
        on_epoch: OnEpoch,
        checkpoint: Checkpoint,
    ) -> float:
        """See :class:`alsweep.model.learner.Learner`."""
        if setup.training.compile:
            _check_compiles(setup.compute.device)
        start = checkpoint.load() or initial_state(network)
        loss: float = start["loss"]
        with TemporaryDirectory(prefix="alsweep-nnunet-") as temporary:
            folder = Path(temporary)
            write_training_files(folder, setup, training_data)
            write_state(folder, start)
            write_json(folder / "task.json", _task(self, setup, training_data.member))
            with _worker(folder) as epochs:
                for epoch, loss in epochs:
                    if not np.isfinite(loss):
                        raise TrajectoryFailedError(
                            f"nnU-Net's loss of member {training_data.member} became {loss} in "
                            f"epoch {epoch - 1}; lower training.learning_rate"
                        )
                    on_epoch(epoch)
                    if epoch < setup.training.epochs and checkpoint.due():
                        # Of this epoch or a later one: the worker does not wait.
                        checkpoint.save(read_state(folder))
            network.load_state_dict(read_state(folder)["network"])
        return loss


def _check_compiles(device: torch.device) -> None:
    """See to it that nnU-Net would compile, and twice in the same way."""
    if device.type != "cuda":
        raise TrajectoryFailedError(
            "training.compile: learner nnunetv2 compiles on CUDA alone; set it to false"
        )
    refuse_races()


def _task(learner: NnunetLearner, setup: Setup, member: int) -> dict[str, object]:
    training = setup.training
    seed = int(stream(setup.seed, "train", member).integers(2**31))
    copied = ("epochs", "iterations_per_epoch", "learning_rate", "weight_decay", "compile")
    return {
        "dataset": NAME,
        "configuration": CONFIGURATION,
        "trainer": learner.trainer,
        "device": setup.compute.device.type,
        "threads": torch.get_num_threads(),
        "parent": os.getpid(),
        "seed": seed,
        "axes": setup.axes,
        "foreground_share": training.foreground_share,
        "deep_supervision": training.deep_supervision,
        **{key: getattr(training, key) for key in copied},
    }


@contextmanager
def _worker(folder: Path) -> Iterator[Iterator[tuple[int, float]]]:
    """Start the training; gives epoch and loss as they come, and leaves no process behind.

    Raises:
        TrajectoryFailedError: nnU-Net stopped; says where its last words were.
        DiskFullError: It stopped for want of room.
    """
    command = [sys.executable, "-P", "-m", "alsweep.model.nnunet_worker", str(folder)]
    errors = folder / "stderr.txt"
    with (
        errors.open("w") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        assert process.stdout is not None
        try:
            yield _lines(process.stdout)
        except BaseException:
            process.kill()
            raise
        if process.wait() != 0:
            said = errors.read_text().strip()
            _log.debug("nnU-Net said: %s", said)
            last = said.splitlines()[-1] if said else f"exit code {process.returncode}"
            stopped = TrajectoryFailedError(f"nnU-Net's training stopped: {last}")
            raise full_disk(stopped, folder) or stopped


def _lines(stdout: Iterator[str]) -> Iterator[tuple[int, float]]:
    for line in stdout:
        told = json.loads(line)
        yield told["epoch"], told["loss"]
