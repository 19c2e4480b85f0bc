from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from alsweep.data.case import Dataset
from alsweep.data.phantom import write_phantom
from alsweep.results.loops import LoopRecord
from alsweep.testing.runs import write_run
from alsweep.testing.sink_contract import DICE, _record, example
from alsweep.tracking.base import Tracked

TrackedOf = Callable[..., tuple[Tracked, Sequence[LoopRecord]]]

record = _record


def make_tracked(
    seed: int, sweep: str = "tiny", dice: Sequence[float | None] = DICE
) -> tuple[Tracked, Sequence[LoopRecord]]:
    return example(seed, sweep, dice)


@pytest.fixture
def tracked_of() -> TrackedOf:
    return make_tracked


@pytest.fixture
def phantom_run(tmp_path: Path) -> Path:
    """A finished run whose dataset exists, in RUN/dataset."""
    run = tmp_path / "run"
    run.mkdir()
    dataset = write_phantom(run / "dataset", cases=4, shape=(24, 24, 24))
    write_run(
        run,
        dataset=dataset.path,
        fingerprint=Dataset.open(dataset.path).fingerprint,
        cases=dataset.pool,
        strategies={"random": 0.4, "predictive_entropy": 0.6},
        loops=3,
    )
    return run
