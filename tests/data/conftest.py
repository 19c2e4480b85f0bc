import pytest

from alsweep import Dataset
from alsweep.data.phantom import write_phantom


@pytest.fixture(scope="session")
def phantom(tmp_path_factory) -> Dataset:
    """Eight small cases: six pool, two validation. Read-only."""
    return write_phantom(tmp_path_factory.mktemp("data") / "phantom", cases=8, shape=(24, 28, 32))
