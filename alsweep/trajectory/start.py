"""Loop 0 without a trajectory: what all strategies of one setting and seed share, made once."""

from pathlib import Path

from alsweep.config.base import fingerprint
from alsweep.config.sweep import ResourcesConfig
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.data.case import Dataset
from alsweep.trajectory.budget import draw_start
from alsweep.trajectory.progress import OnProgress


def start_key(config: TrajectoryConfig, dataset: Dataset) -> str:
    """Hash, equal for all trajectories that share loop 0: labels, members and Dice."""
    return start_key_on(config, dataset.fingerprint)


def start_key_on(config: TrajectoryConfig, dataset_fingerprint: str) -> str:
    """The same for a dataset of which nothing else is known."""
    identity = config.identity_on(dataset_fingerprint)
    query = {key: identity["query"][key] for key in ("patch_size", "on_shortfall")}
    shared = {"schema", "dataset", "starting_budget", "training", "evaluation", "annotator", "seed"}
    return fingerprint({"query": query} | {k: v for k, v in identity.items() if k in shared})


def setting_of(config: TrajectoryConfig, dataset: Dataset) -> str:
    """Name of everything but strategy and seed, as records have it."""
    query, digest = config.query, config.setting_hash(dataset.fingerprint)[:6]
    return f"{dataset.name}-p{query.patch_size_text}-q{query.patches}-{digest}"


def prepare_start(
    config: TrajectoryConfig,
    dataset: Dataset,
    models: Path,
    resources: ResourcesConfig,
    on_progress: OnProgress | None = None,
) -> None:
    """Train and evaluate loop 0 into the model store; no trajectory's folder is touched.

    Raises:
        PoolExhaustedError: The starting budget does not fit.
    """
    # Torch and monai come along with it; who only wants the key of a start need not wait.
    from alsweep.trajectory.steps import Steps

    owner = f"start-{start_key(config, dataset)[:12]}"
    steps = Steps.make(config, dataset, models, resources, owner, on_progress)
    drawn = draw_start(config, dataset, encode=steps.encode)
    patches = [queried.patch for queried in drawn]
    steps.evaluate(0, steps.train(0, patches, ()))
