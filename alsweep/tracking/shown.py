"""What every mirror shows of a trajectory: an id, a config, numbers of each loop and of the end."""

import math
from collections.abc import Sequence
from typing import Any

from alsweep.config.base import fingerprint
from alsweep.results.loops import LoopRecord
from alsweep.tracking.base import Tracked


def run_id(tracked: Tracked) -> str:
    """A trajectory's id in a mirror, 32 hex digits: the same on every machine.

    Each sweep has its own, told by its name: a run that two of them fed would have every step
    twice, and the tags of whichever came last.
    """
    return fingerprint({**_trajectory(tracked), "sweep": tracked.sweep})[:32]


def earlier_run_id(tracked: Tracked) -> str:
    """The id that alsweep 0.1 gave to a trajectory in every sweep."""
    return fingerprint(_trajectory(tracked))[:32]


def analysis_id(sweep: str) -> str:
    """The id of the run that shows what a report says of a sweep."""
    return fingerprint({"analysis": sweep})[:32]


def _trajectory(tracked: Tracked) -> dict[str, Any]:
    identity = tracked.config.identity_on(tracked.dataset_fingerprint)
    return {"trajectory": tracked.id, "identity": identity}


def full_config(tracked: Tracked, first: LoopRecord) -> dict[str, Any]:
    """The resolved config, and what pairs and reproduces the run."""
    return {
        **tracked.config.plain(),
        "strategy_label": tracked.label,
        "trajectory": tracked.id,
        "sweep": tracked.sweep,
        "setting": first.setting,
        "setting_name": tracked.setting,
        "start_hash": first.start_hash,
        "dataset_name": first.dataset,
        "dataset_fingerprint": tracked.dataset_fingerprint,
        "classes": list(first.dice),
        "device": first.device,
        "precision": first.precision,
        "alsweep_version": first.version,
        "numerics": first.numerics,
    }


def metrics(record: LoopRecord) -> dict[str, float | int]:
    """What a run shows of a loop; what is not defined is left out, not plotted as 0."""
    values = {
        "mean_dice": record.mean_dice,
        **{f"dice/{name}": dice for name, dice in record.dice.items()},
        "test_mean_dice": None if record.test is None else record.test.mean_dice,
        "surface_dice": None if record.surface is None else record.surface.surface_dice,
        "hd95": None if record.surface is None else record.surface.hd95,
        **_of_classes(record),
        "annotated_patches": record.annotated_patches,
        "annotated_voxels": record.annotated_voxels,
        "foreground_voxels": record.foreground_voxels,
        "foreground_fraction": record.foreground_fraction,
        "annotated_cases": record.annotated_cases,
        "train_seconds": record.train_seconds,
        "evaluate_seconds": record.evaluate_seconds,
        "query_seconds": record.query_seconds,
        "cached_members": record.cached_members,
        "threads": record.threads,
    }
    shown = {f"al/{key}": value for key, value in values.items() if value is not None}
    return {"loop": record.loop, **shown}


def _of_classes(record: LoopRecord) -> dict[str, float | None]:
    """How far the surfaces of each class are off, where surfaces were judged."""
    if record.surface is None:
        return {}
    dice, distance = record.surface.class_surface_dice, record.surface.class_hd95
    return {
        **{f"surface_dice/{name}": value for name, value in dice.items()},
        **{f"hd95/{name}": value for name, value in distance.items()},
    }


def summary(records: Sequence[LoopRecord], total: int) -> dict[str, float | int | bool]:
    """What W&B's table of runs is filtered by; results only where the trajectory is finished."""
    finished = len(records) == total
    values: dict[str, float | int | bool | None] = {
        "n_patches": records[-1].annotated_patches,
        "finished": finished,
    }
    if finished:
        values |= {"final_dice": records[-1].mean_dice, "aubc": _aubc(records)}
    return {key: value for key, value in values.items() if value is not None}


def _aubc(records: Sequence[LoopRecord]) -> float | None:
    """Area under the budget curve as reports give it; None where it is not defined."""
    import pandas as pd

    from alsweep.results.metrics import aubc

    one = {"setting": "", "strategy": "", "seed": 0, "status": "done"}
    columns = ("loop", "annotated_patches", "mean_dice")
    rows = [one | record.model_dump(include=set(columns)) for record in records]
    area = float(aubc(pd.DataFrame(rows).astype({"mean_dice": float}))["aubc"].iloc[0])
    return None if math.isnan(area) else area
