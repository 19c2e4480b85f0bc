import pandas as pd
import pytest
from typer.testing import CliRunner

from alsweep.cli.main import app
from alsweep.errors import RecordError
from tests.results.published_files import write_analysis


def test_published_results_become_a_file_and_what_is_in_it_is_told(tmp_path):
    write_analysis(tmp_path / "KiTS2021")
    out = tmp_path / "t.parquet"
    told = CliRunner().invoke(
        app, ["import-results", str(tmp_path / "KiTS2021"), "--out", str(out)]
    )
    assert told.exit_code == 0
    assert told.stdout.startswith(f"{out}: 22 values (")
    assert "12 win" in told.stdout
    assert len(pd.read_parquet(out)) == 22


def test_a_file_of_the_users_is_not_overwritten(tmp_path):
    write_analysis(tmp_path / "KiTS2021")
    (tmp_path / "t.parquet").write_text("mine")
    command = ["import-results", str(tmp_path / "KiTS2021"), "--out", str(tmp_path / "t.parquet")]
    with pytest.raises(RecordError, match="is there already"):
        app(command, standalone_mode=False)
    assert (tmp_path / "t.parquet").read_text() == "mine"
