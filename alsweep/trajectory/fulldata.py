"""The full-data reference: a trajectory's recipe on the whole pool."""

from pathlib import Path

from alsweep import __version__
from alsweep.config.annotator import AnnotatorConfig
from alsweep.config.sweep import ResourcesConfig
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.data.case import Dataset
from alsweep.geometry import Patch
from alsweep.results.fulldata import FullDataRecord, reference_key
from alsweep.trajectory.numerics import NUMERICS
from alsweep.trajectory.progress import OnProgress


def make_reference(
    config: TrajectoryConfig,
    dataset: Dataset,
    models: Path,
    resources: ResourcesConfig,
    on_progress: OnProgress | None = None,
) -> FullDataRecord:
    """Train and evaluate the ensemble that a trajectory would have were everything annotated.

    Members are found in the store where an earlier try trained them.

    Args:
        config: Says how is trained and evaluated; its strategy and budget do not matter.
        dataset: Each case of its pool is one patch.
        models: The model store.
        resources: Threads, device and disk space.
        on_progress: Called many times.
    """
    # Torch and monai come along with it; see trajectory.start.
    from alsweep.trajectory.steps import Steps

    key = reference_key(config, dataset.fingerprint)
    # Whoever labels the trajectory's patches, nobody but the oracle knows the whole pool.
    config = config.model_copy(update={"annotator": AnnotatorConfig()})
    steps = Steps.make(config, dataset, models, resources, f"fulldata-{key}", on_progress)
    patches = [Patch(case, (0, 0, 0), dataset.cases[case].shape) for case in dataset.pool]
    members = steps.train(0, patches, ())
    evaluation = steps.evaluate(0, members)
    validation = evaluation.validation
    return FullDataRecord(
        key=key,
        dataset=dataset.name,
        seed=config.seed,
        mean_dice=validation.mean_dice,
        dice=validation.dice,
        case_dice=validation.case_dice,
        surface=validation.surface,
        test=evaluation.test,
        train_seconds=sum(member.seconds for member in members),
        evaluate_seconds=evaluation.seconds,
        threads=resources.threads,
        device=str(steps.compute.device),
        precision=steps.compute.precision,
        members=tuple(member.key for member in members),
        version=__version__,
        numerics=NUMERICS,
    )
