from pathlib import Path

import pytest

from alsweep.data.phantom import write_phantom


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cli") / "dataset"
    return write_phantom(out, cases=4, shape=(24, 24, 24)).path
