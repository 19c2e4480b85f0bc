"""A finished synthetic run, and one beside its phantom."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from alsweep.data.case import Dataset
from alsweep.data.phantom import write_phantom
from alsweep.report import write_report
from alsweep.report.explore import Chosen, explored
from alsweep.report.study import Study, read_study
from alsweep.testing.runs import write_run
from tests.report.pages import undrawn


class BallVolumes:
    """Images and labels from a formula: a ball of class 1 with a small one of class 2 in it."""

    classes = ("background", "liver", "tumour")
    spacing = (2.0, 1.0, 1.0)
    reveal = "dense"

    def image(self, case: str) -> np.ndarray:
        return self.reference(case)[None].astype(np.float32)

    def reference(self, case: str) -> np.ndarray:
        z, y, x = np.ogrid[:24, :24, :24]
        far = (z - 12) ** 2 + (y - 12) ** 2 + (x - 12) ** 2
        return ((far < 80).astype(np.uint8)) + (far < 9)


@pytest.fixture(scope="session")
def volumes() -> BallVolumes:
    return BallVolumes()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_run(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture(scope="package", autouse=True)
def quick_pictures() -> Iterator[None]:
    """Leave the files of figures undrawn, in tests that read what a page says."""
    with pytest.MonkeyPatch.context() as patch:
        undrawn(patch)
        yield


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """One setting, three strategies, three seeds, four loops; read only."""
    run = tmp_path_factory.mktemp("study") / "run"
    write_run(run, seeds=(0, 1, 2))
    return read_study([run])


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a finished run; read only."""
    run = tmp_path_factory.mktemp("page") / "run"
    write_run(run)
    return write_report([run])


@pytest.fixture(scope="session")
def phantom_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose dataset exists, in RUN/dataset."""
    run = tmp_path_factory.mktemp("phantom") / "run"
    run.mkdir()
    write_phantom(run / "dataset", cases=4, shape=(24, 24, 24))
    dataset = Dataset.open(run / "dataset")
    write_run(
        run,
        dataset=run / "dataset",
        fingerprint=dataset.fingerprint,
        cases=dataset.pool,
        strategies={"random": 0.4, "predictive_entropy": 0.6},
        loops=3,
    )
    return run


def networks(query):
    """What was asked is told by the class that all is predicted to be."""

    def predict(case):
        shape = query.dataset.cases[case].shape
        labels = np.zeros(shape, dtype=np.uint8)
        labels[4:-4, 4:-4, 4:-4] = 1 + query.loop % 2
        return labels, np.linspace(0, 1, labels.size).reshape(shape)

    return predict, "a score"


@pytest.fixture(scope="session")
def asked(phantom_run):
    """The entropy trajectory of the phantom run, its networks asked."""
    study = read_study([phantom_run])
    return study, explored(study, Chosen(("predictive_entropy-p8x8x8-s0",), networks))
