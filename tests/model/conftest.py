import pytest

from alsweep.data.phantom import write_phantom


@pytest.fixture(scope="session")
def phantom(tmp_path_factory):
    out = tmp_path_factory.mktemp("phantom") / "dataset"
    return write_phantom(out, cases=6, shape=(20, 24, 24), seed=0)
