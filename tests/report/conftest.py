"""A finished synthetic run, and one beside its phantom."""

from pathlib import Path

import numpy as np
import pytest

from alsweep.data.case import Dataset
from alsweep.data.phantom import write_phantom
from alsweep.report import write_report
from alsweep.report.sections import curves, wins
from alsweep.report.study import Study, read_study
from alsweep.testing.runs import write_run


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


@pytest.fixture
def quick_stills(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the two stills of a page undrawn, in tests that read what it says."""
    for section, figure in ((curves, "learning_curves"), (wins, "win_matrix_figure")):
        monkeypatch.setattr(section, figure, lambda *_: object())
        monkeypatch.setattr(section, "png", lambda figure: b"not drawn")
        monkeypatch.setattr(section, "vector", lambda figure, kind: b"not drawn")


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
