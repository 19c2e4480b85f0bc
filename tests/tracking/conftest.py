from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from alsweep.config.trajectory import TrajectoryConfig
from alsweep.results.loops import LoopRecord
from alsweep.tracking.base import Tracked

DICE = (0.25, None, 0.5)
TrackedOf = Callable[..., tuple[Tracked, Sequence[LoopRecord]]]


def record(loop: int, dice: float | None) -> LoopRecord:
    return LoopRecord(
        loop=loop,
        dataset="phantom",
        setting="phantom-p8x8x8-q6-abcdef",
        start_hash="0123456789ab",
        annotated_patches=6 * (loop + 1),
        annotated_voxels=512 * 6 * (loop + 1),
        foreground_voxels=100 * (loop + 1),
        foreground_fraction=0.125 * (loop + 1),
        annotated_cases=3,
        mean_dice=dice,
        dice={"organ": dice, "lesion": None},
        case_dice={},
        train_seconds=2.0,
        evaluate_seconds=1.0,
        query_seconds=0.5,
        cached_members=0,
        threads=1,
        device="cpu",
        precision="fp32",
        members=("a", "b"),
        version="0.0.9",
        numerics=5,
    )


def make_tracked(
    seed: int, sweep: str = "tiny", dice: Sequence[float | None] = DICE
) -> tuple[Tracked, Sequence[LoopRecord]]:
    config = TrajectoryConfig.model_validate(
        {
            "dataset": Path("/data/phantom"),
            "strategy": {"name": "random", "label": "random"},
            "query": {"patches": 6, "patch_size": [8, 8, 8], "loops": len(dice)},
            "seed": seed,
        }
    )
    tracked = Tracked(config.trajectory_id("f00d"), config, sweep, "f00d")
    return tracked, [record(loop, value) for loop, value in enumerate(dice)]


@pytest.fixture
def tracked_of() -> TrackedOf:
    return make_tracked
