"""What only a CUDA device can show; `pytest -m gpu`."""

from pathlib import Path

import pytest
import torch

from alsweep import Dataset
from alsweep.data.phantom import write_phantom


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.gpu)
            item.add_marker(missing)


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    out = tmp_path_factory.mktemp("phantom") / "dataset"
    return write_phantom(out, cases=8, shape=(24, 24, 24), seed=3)
