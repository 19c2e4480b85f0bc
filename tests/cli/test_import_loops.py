import json

import pytest

from alsweep import Trajectory
from alsweep.config.load import load_sweep
from alsweep.data.exchange import write_loops
from alsweep.geometry import Patch
from alsweep.results.records import read_records
from alsweep.trajectory.export import export_loop
from tests.cli.test_run import call
from tests.trajectory.conftest import TINY_TRAINING

LOOPS = 3


@pytest.fixture
def loops(dataset, tmp_path):
    """Three loops of two patches each."""
    from alsweep import Dataset

    opened = Dataset.open(dataset)
    boxes = [
        [Patch(case, (8 * loop, 0, 8), (8, 8, 8)) for case in opened.pool[:2]]
        for loop in range(LOOPS)
    ]
    write_loops(tmp_path / "loops", boxes, opened.cases)
    return tmp_path / "loops"


def test_what_was_imported_is_trained_on_loop_by_loop_and_exported_unchanged(
    dataset, loops, tmp_path, monkeypatch, capsys
):
    given = ("import", loops, "--dataset", dataset, "--out", tmp_path / "imported")
    assert call(monkeypatch, *given) == 0
    space = tmp_path / "replay.yaml"
    space.write_text(capsys.readouterr().out)
    (config,) = load_sweep(space, [f"base.training={json.dumps(TINY_TRAINING)}"]).trajectories()
    folder = tmp_path / "t"
    Trajectory(config, folder).run()
    assert [record.annotated_patches for record in read_records(folder)] == [2, 4, 6]
    for path in export_loop(folder, LOOPS - 1, "nnactive", tmp_path / "back"):
        assert path.read_bytes() == (loops / path.name).read_bytes()


def test_a_printed_search_space_can_be_planned(dataset, loops, tmp_path, monkeypatch, capsys):
    given = ("import", loops, "--dataset", dataset, "--out", tmp_path / "with [odd] name")
    assert call(monkeypatch, *given) == 0
    space = tmp_path / "replay.yaml"
    space.write_text(capsys.readouterr().out)
    assert call(monkeypatch, "run", space, "--out", tmp_path / "run", "--dry-run") == 0
    assert "1 trajectory, 0 done, 1 to do with 3 loops" in capsys.readouterr().out


def test_an_existing_out_is_refused_in_one_line(dataset, loops, monkeypatch, capsys):
    assert call(monkeypatch, "import", loops, "--dataset", dataset, "--out", loops) == 2
    assert f"{loops}: exists already" in capsys.readouterr().err


def test_help_has_an_example(monkeypatch, capsys):
    assert call(monkeypatch, "import", "--help") == 0
    assert "Example: alsweep import" in capsys.readouterr().out
