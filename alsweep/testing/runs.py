"""A run folder without a sweep: configs, records and queries that look as if strategies had run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from alsweep import __version__
from alsweep.config.strategy import StrategySpec
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.files import write_json
from alsweep.geometry import Patch, Triple
from alsweep.layout import config_path, query_path, space_path, trajectory_folder
from alsweep.results.fulldata import FullDataRecord, reference_key
from alsweep.results.records import LoopRecord, QueriedPatch, write_query
from alsweep.rng import stream
from alsweep.trajectory.numerics import NUMERICS

FINGERPRINT = "0" * 64
STRATEGIES: Mapping[str, float] = {"random": 0.35, "random_fg66": 0.6, "predictive_entropy": 0.5}
"""Strategy to the speed at which its synthetic Dice rises."""

CASES = ("case_0", "case_1", "case_2")


def write_run(
    run: Path,
    *,
    dataset: Path = Path("dataset"),
    strategies: Mapping[str, float] = STRATEGIES,
    seeds: Sequence[int] = (0, 1),
    loops: int = 4,
    patch_sizes: Sequence[Triple] = ((8, 8, 8),),
    fingerprint: str = FINGERPRINT,
    cases: Sequence[str] = CASES,
    epochs: int = 2,
) -> list[str]:
    """Write a finished run folder; the same arguments give the same bytes.

    Args:
        run: Folder to write.
        dataset: What the configs name as the dataset; it need not exist.
        strategies: Name to the speed of its learning curve.
        seeds: One trajectory for each, strategy and patch size.
        loops: Trainings of each trajectory.
        patch_sizes: One setting each; three times a patch fits into every case.
        fingerprint: Of the dataset.
        cases: Where patches are queried.
        epochs: Of every training, which takes as many times longer as that is more than 2.

    Returns:
        The ids of the trajectories, in the order of sweep.yaml.
    """
    ids = []
    for size in patch_sizes:
        for strategy, speed in strategies.items():
            for seed in seeds:
                config = _trained(trajectory_config(dataset, strategy, size, seed, loops), epochs)
                ids.append(config.trajectory_id(fingerprint))
                folder = trajectory_folder(run, ids[-1])
                _write_trajectory(folder, config, speed, cases, fingerprint)
    write_sweep(run, dataset, ids, fingerprint)
    return ids


def _trained(config: TrajectoryConfig, epochs: int) -> TrajectoryConfig:
    training = config.training.model_copy(update={"epochs": epochs})
    return config.model_copy(update={"training": training})


def write_sweep(
    run: Path, dataset: Path, ids: Sequence[str], fingerprint: str = FINGERPRINT
) -> None:
    """Write RUN/sweep.yaml with the keys that results and reports read."""
    provenance = {"version": "0", "dataset_fingerprint": fingerprint, "trajectories": list(ids)}
    raw = {"name": run.name, "dataset": str(dataset), "base": {}, "provenance": provenance}
    run.mkdir(parents=True, exist_ok=True)
    with space_path(run).open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump(raw, file)


def trajectory_config(
    dataset: Path, strategy: str, size: Triple, seed: int, loops: int
) -> TrajectoryConfig:
    """Return a resolved config: its strategy has a label."""
    raw: dict[str, Any] = {
        "dataset": str(dataset),
        "strategy": StrategySpec(name=strategy, label=strategy).model_dump(),
        "query": {"patches": 6, "patch_size": size, "loops": loops},
        "training": {"members": 2, "epochs": 2},
        "seed": seed,
    }
    return TrajectoryConfig.model_validate(raw)


def _write_trajectory(
    folder: Path, config: TrajectoryConfig, speed: float, cases: Sequence[str], fingerprint: str
) -> None:
    write_json(config_path(folder), config.plain())
    for loop in range(config.query.loops):
        write_query(query_path(folder, loop), loop, _queried(config, loop, cases))
        synthetic_record(config, loop, speed, fingerprint).write(folder)


def _queried(config: TrajectoryConfig, loop: int, cases: Sequence[str]) -> list[QueriedPatch]:
    """Patches on a lattice, so that no two overlap; scored unless they are the start or random."""
    name = config.strategy.name
    scored = loop > 0 and not name.startswith("random")
    rng = stream(config.seed, "synthetic query", "start" if loop == 0 else name, loop)
    edge = config.query.box
    places = [(case, z, y) for case in cases for z in range(3) for y in range(3)]
    chosen = rng.permutation(len(places))[: config.query.patches]
    scores = sorted(rng.uniform(0.1, 0.7, size=len(chosen)), reverse=True)
    return [
        QueriedPatch(
            Patch(
                places[place][0], (places[place][1] * edge[0], places[place][2] * edge[1], 8), edge
            ),
            float(score) if scored else None,
        )
        for place, score in zip(chosen, scores, strict=True)
    ]


def synthetic_record(
    config: TrajectoryConfig, loop: int, speed: float, fingerprint: str = FINGERPRINT
) -> LoopRecord:
    """Return a record whose Dice saturates at 0.9; loop 0 is the same for all strategies."""
    wobble = stream(config.seed, "synthetic", config.strategy.name if loop else "start", loop)
    dice = 0.9 - 0.6 * 2.718281828 ** (-speed * loop) + float(wobble.normal(0, 0.012))
    classes = {"liver": min(dice + 0.05, 1.0), "tumour": dice - 0.05}
    fraction = 0.004 * (loop + 1) * (1 + speed)
    return LoopRecord(
        loop=loop,
        dataset="phantom",
        setting=config.setting_hash(fingerprint),
        start_hash=f"{config.seed:012x}",
        annotated_patches=config.patches_at(loop),
        annotated_voxels=config.patches_at(loop) * 512,
        foreground_voxels=round(fraction * 100_000) if loop else 400,
        foreground_fraction=fraction if loop else 0.004,
        annotated_cases=min(3, loop + 1),
        mean_dice=sum(classes.values()) / len(classes),
        dice=dict(classes),
        case_dice={"case_8": dict(classes), "case_9": dict(classes)},
        train_seconds=(2.0 + loop) * config.training.epochs / 2,
        evaluate_seconds=0.5,
        query_seconds=0.0 if loop + 1 == config.query.loops else 0.75,
        cached_members=config.training.members if loop == 0 else 0,
        threads=1,
        device="cpu",
        precision="fp32",
        members=tuple(
            f"{config.seed:04x}{loop:02x}{m:02x}" for m in range(config.training.members)
        ),
        version=__version__,
        numerics=NUMERICS,
    )


def write_reference(run: Path, config: TrajectoryConfig, dice: float) -> FullDataRecord:
    """Write the full-data reference of a synthetic trajectory and return it."""
    record = FullDataRecord(
        key=reference_key(config, FINGERPRINT),
        dataset="phantom",
        seed=config.seed,
        mean_dice=dice,
        dice={"liver": dice, "tumour": dice},
        case_dice={"case_8": {"liver": dice, "tumour": dice}},
        train_seconds=3.0,
        evaluate_seconds=0.5,
        threads=1,
        device="cpu",
        precision="fp32",
        members=("full",),
    )
    record.write(run)
    return record
