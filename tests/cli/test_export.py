import json

import pytest
import typer
from typer.testing import CliRunner

from alsweep.cli.export import export
from alsweep.data.phantom import write_phantom
from alsweep.errors import RunFolderError
from alsweep.geometry import Patch, QueriedPatch
from alsweep.testing.runs import write_run
from alsweep.trajectory.query_log import QueryLog
from alsweep.trajectory.resolving import resolve
from tests.trajectory.conftest import make_config


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    app = typer.Typer()
    app.command("export")(export)
    return app


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with one trajectory that has its starting budget."""
    run = tmp_path_factory.mktemp("export") / "run"
    dataset = write_phantom(run / "dataset", cases=8, shape=(24, 24, 24))
    config = resolve(make_config(dataset), dataset)
    name = config.trajectory_id(dataset.fingerprint)
    log = QueryLog(run / "trajectories" / name)
    log.claim(config)
    log.commit(0, [QueriedPatch(Patch(dataset.pool[0], (0, 0, 0), (4, 4, 4)))])
    provenance = {"dataset_fingerprint": dataset.fingerprint, "trajectories": [name]}
    begun = {"name": "x", "dataset": str(dataset.path), "provenance": provenance}
    (run / "sweep.yaml").write_text(json.dumps(begun))
    return run


def arguments(run, out, to, trajectory="predictive", loop="0"):
    named = {"--trajectory": trajectory, "--loop": loop, "--to": to, "--out": str(out)}
    return [str(run), *(word for pair in named.items() for word in pair)]


def test_an_nnunet_dataset_is_written_and_named_on_stdout(app, run, tmp_path):
    out = tmp_path / "Dataset501_Phantom"
    told = CliRunner().invoke(app, arguments(run, out, "nnunet"))
    assert (told.exit_code, told.stdout) == (0, f"{out}\n")
    assert json.loads((out / "dataset.json").read_text())["numTraining"] == 3


def test_nnactive_files_are_written_and_named_on_stdout(app, run, tmp_path):
    told = CliRunner().invoke(app, arguments(run, tmp_path / "loops", "nnactive"))
    assert (told.exit_code, told.stdout) == (0, f"{tmp_path}/loops/loop_000.json\n")


def test_another_format_is_refused(app, run, tmp_path):
    assert CliRunner().invoke(app, arguments(run, tmp_path / "x", "dicom")).exit_code == 2


@pytest.mark.parametrize(("trajectory", "loop"), [("margin", "0"), ("entropy", "1")])
def test_what_is_not_in_the_run_is_a_users_error(app, run, tmp_path, trajectory, loop):
    told = CliRunner().invoke(app, arguments(run, tmp_path / "x", "nnunet", trajectory, loop))
    assert isinstance(told.exception, RunFolderError)
    assert not (tmp_path / "x").exists()


def test_help_has_an_example(app):
    assert "Example: alsweep export" in CliRunner().invoke(app, ["--help"]).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--to", "nnunet"], "--trajectory"),
        (["--trajectory", "x"], "--to"),
        (["--paper", "--trajectory", "x"], "--paper"),
    ],
)
def test_what_is_lacking_or_too_much_is_named(app, run, tmp_path, words, said):
    told = CliRunner().invoke(app, [str(run), "--out", str(tmp_path / "x"), *words])
    assert told.exit_code == 2
    assert said in told.output


def test_a_paper_takes_the_whole_run(app, tmp_path):
    write_run(tmp_path / "run", strategies={"random": 0.4}, seeds=(0,))
    out = tmp_path / "paper.tar.gz"
    told = CliRunner().invoke(app, [str(tmp_path / "run"), "--paper", "--out", str(out)])
    assert (told.exit_code, told.stdout) == (0, f"{out}\n")
    assert out.stat().st_size > 1000
