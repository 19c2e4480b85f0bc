from pathlib import Path

import pytest

from tests.cli.test_run import call


def test_a_folder_that_is_no_run_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert call(monkeypatch, "resume", tmp_path) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert f"{tmp_path}: no sweep.yaml in it" in last


def test_a_dataset_that_is_gone_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "sweep.yaml").write_text(
        "name: tiny\ndataset: /gone/dataset\n"
        "base: {query: {patches: 6, patch_size: [8, 8, 8]}}\n"
        "provenance: {version: '1', dataset_fingerprint: 'ab', trajectories: [a]}\n"
    )
    assert call(monkeypatch, "resume", tmp_path) == 2
    assert "/gone/dataset" in capsys.readouterr().err.splitlines()[-1]
