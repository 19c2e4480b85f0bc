import pytest
import typer
from typer.testing import CliRunner

from alsweep.cli.queries import queries
from alsweep.errors import RunFolderError
from alsweep.testing.runs import write_run


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    app = typer.Typer()
    app.command("queries")(queries)
    return app


def test_an_unknown_trajectory_is_a_users_error_that_names_near_ones(app, tmp_path):
    write_run(tmp_path / "run", loops=2)
    result = CliRunner().invoke(
        app, [str(tmp_path / "run"), "--trajectory", "rndom", "--loop", "0"]
    )
    assert isinstance(result.exception, RunFolderError)
    assert "near ones: random" in str(result.exception)


def test_a_negative_loop_is_refused(app, tmp_path):
    result = CliRunner().invoke(app, [str(tmp_path), "--trajectory", "a", "--loop", "-1"])
    assert result.exit_code == 2


def test_help_has_an_example(app):
    assert "Example: alsweep queries" in CliRunner().invoke(app, ["--help"]).stdout
