"""Loop 0 trained again on the same labels, with other draws."""

from pathlib import Path

from alsweep import __version__
from alsweep.config.sweep import ResourcesConfig
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.data.case import Dataset
from alsweep.results.noise import NoiseRecord
from alsweep.rng import stream
from alsweep.trajectory.annotator import make_annotator
from alsweep.trajectory.budget import draw_start
from alsweep.trajectory.numerics import NUMERICS
from alsweep.trajectory.progress import OnProgress
from alsweep.trajectory.start import setting_of, start_key


def repeat_start(
    config: TrajectoryConfig,
    repeat: int,
    *,
    dataset: Dataset,
    models: Path,
    resources: ResourcesConfig,
    on_progress: OnProgress | None = None,
) -> NoiseRecord:
    """Train and evaluate the start of a trajectory, its labels as they are.

    Args:
        config: Of the trajectory.
        repeat: 0 is the training that the trajectory itself has, or will have; others draw initial
            weights, batches and augmentation anew.
        dataset: What it runs on.
        models: The model store.
        resources: Threads, device and disk space.
        on_progress: Called many times.

    Raises:
        PoolExhaustedError: The starting budget does not fit.
    """
    # Torch and monai come along with it; see trajectory.start.
    from alsweep.trajectory.steps import Steps

    key = start_key(config, dataset)
    annotator = make_annotator(config, dataset)
    again = config.model_copy(update={"seed": training_seed(config.seed, repeat)})
    owner = f"start-{key[:12]}"
    steps = Steps.make(again, dataset, models, resources, owner, on_progress, annotator)
    drawn = draw_start(config, dataset, encode=steps.encode)
    members = steps.train(0, [queried.patch for queried in drawn], ())
    validation = steps.evaluate(0, members).validation
    training = config.training
    return NoiseRecord(
        start=key[:16],
        repeat=repeat,
        setting=setting_of(config, dataset),
        dataset=dataset.name,
        seed=config.seed,
        iterations=training.member_epochs(0) * training.iterations_per_epoch,
        members=training.members,
        mean_dice=validation.mean_dice,
        dice=validation.dice,
        train_seconds=sum(member.seconds for member in members),
        threads=resources.threads,
        device=str(steps.compute.device),
        precision=steps.compute.precision,
        version=__version__,
        numerics=NUMERICS,
    )


def training_seed(seed: int, repeat: int) -> int:
    """What the networks of a repeat are drawn from; the first ones from the trajectory's own."""
    return seed if repeat == 0 else int(stream(seed, "noise", repeat).integers(2**31))
