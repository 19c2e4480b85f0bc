"""The process that nnU-Net v2 trains in: its settings are global, so they get a process alone.

Run as ``python -m alsweep.model.nnunet_worker FOLDER``. It goes on from the state in the folder,
and after each epoch writes the new one there and a line of JSON to stdout; all else goes to stderr.
"""

import json
import os
import random
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch

from alsweep.model.device import set_threads
from alsweep.model.nnunet_active import follow_nnactive
from alsweep.model.nnunet_state import read_state, resume, trained_state, write_state


def main(folder: Path) -> None:
    """Train as ``folder/task.json`` says."""
    task = json.loads((folder / "task.json").read_text())
    # nnU-Net reads its paths and the number of its loaders from here, and from nowhere else. More
    # loaders than none would make the draws depend on timing.
    os.environ.update(
        nnUNet_raw=str(folder),
        nnUNet_preprocessed=str(folder),
        nnUNet_results=str(folder / "results"),
        nnUNet_n_proc_DA="0",
        nnUNet_compile=str(task["compile"]).lower(),
    )
    set_threads(task["threads"])
    if task["compile"]:
        torch._inductor.config.deterministic = True
    _seed(task["seed"])
    report = sys.stdout
    with redirect_stdout(sys.stderr):
        trainer = _trainer(folder, task)
        state = read_state(folder)
        resume(trainer, state)
        for epoch in range(state["epochs"], task["epochs"]):
            if os.getppid() != task["parent"]:
                raise SystemExit("the trajectory that this training belongs to is gone")
            _seed(task["seed"] + epoch)
            loss = _epoch(trainer, epoch)
            write_state(folder, trained_state(trainer, epoch + 1, loss))
            report.write(json.dumps({"epoch": epoch + 1, "loss": loss}) + "\n")
            report.flush()


def _seed(seed: int) -> None:
    """nnU-Net and its augmentation draw from all three global generators."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 (what nnU-Net draws from)
    torch.manual_seed(seed)


def _trainer(folder: Path, task: dict[str, Any]) -> Any:
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    base = folder / task["dataset"]
    plans = json.loads((base / "plans.json").read_text())
    dataset = json.loads((base / "dataset.json").read_text())
    device = torch.device(task["device"])
    trainer = nnUNetTrainer(plans, task["configuration"], 0, dataset, device)
    trainer.num_epochs = task["epochs"]
    trainer.num_iterations_per_epoch = task["iterations_per_epoch"]
    trainer.initial_lr, trainer.weight_decay = task["learning_rate"], task["weight_decay"]
    trainer.oversample_foreground_percent = task["foreground_share"]
    trainer.enable_deep_supervision = task["deep_supervision"]
    _mirror_only(trainer, tuple(task["axes"]))
    trainer.initialize()
    trainer.dataloader_train, _ = trainer.get_dataloaders()
    _always_blur_alike(trainer.dataloader_train.data_loader.transforms)
    if task["trainer"] == "nnactive":
        follow_nnactive(trainer)
    trainer.set_deep_supervision_enabled(trainer.enable_deep_supervision)
    return trainer


def _mirror_only(trainer: Any, axes: tuple[int, ...]) -> None:
    """Let the trainer mirror along ``axes`` alone."""
    planned = trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size

    def restricted() -> tuple[Any, ...]:
        rotation, flat, initial, _ = planned()
        return rotation, flat, initial, axes

    trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size = restricted


def _always_blur_alike(transforms: Any) -> None:
    """Keep nnU-Net from choosing the way to blur by a race against the clock.

    The ways differ in their last bits, and so equal trainings would.
    """
    for transform in transforms.transforms:
        inner = getattr(transform, "transform", transform)
        if hasattr(inner, "benchmark"):
            inner.benchmark = False


def _epoch(trainer: Any, epoch: int) -> float:
    trainer.current_epoch = epoch
    trainer.network.train()
    trainer.lr_scheduler.step(epoch)
    steps = range(trainer.num_iterations_per_epoch)
    losses = [trainer.train_step(next(trainer.dataloader_train))["loss"] for _ in steps]
    return float(np.mean(losses))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
