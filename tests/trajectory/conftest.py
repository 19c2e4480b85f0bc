from pathlib import Path

import pytest

from alsweep import Dataset, TrajectoryConfig
from alsweep.data.phantom import write_phantom

TINY_TRAINING = {
    "epochs": 1,
    "iterations_per_epoch": 2,
    "members": 2,
    "folds": 2,
    "features": [4, 4, 4],
    "patch_size": [16, 16, 16],
}


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    out = tmp_path_factory.mktemp("phantom") / "dataset"
    return write_phantom(out, cases=8, shape=(24, 24, 24), seed=3)


def make_config(dataset: Dataset, **changes) -> TrajectoryConfig:
    query = {"patches": 6, "patch_size": [8, 8, 8], "loops": 3, "stride": 2}
    plain = {"dataset": str(dataset.path), "query": query, "training": TINY_TRAINING, "seed": 1}
    for key, value in changes.items():
        plain[key] = {**plain[key], **value} if isinstance(plain.get(key), dict) else value
    return TrajectoryConfig.model_validate(plain)


def log_bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "queries").iterdir())}


def untimed(records) -> list[dict]:
    return [
        {k: v for k, v in record.plain().items() if not k.endswith("_seconds")}
        for record in records
    ]
