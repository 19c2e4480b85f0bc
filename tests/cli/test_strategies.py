import pytest

from alsweep.cli import doctor, strategies
from alsweep.cli.doctor import Finding
from tests.cli.test_run import call


@pytest.fixture(autouse=True)
def _wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")


def test_every_strategy_and_stage_is_listed(monkeypatch, capsys):
    assert call(monkeypatch, "strategies") == 0
    out = capsys.readouterr().out
    assert "power_bald" in out
    assert "aggregate" in out


def test_brackets_in_the_words_of_others_are_no_markup(capsys):
    entry = {"name": "[bold]mine[/]", "summary": "[/x] of [1, 2]", "source": "[3]"}
    strategies._show([{**entry, "uses_oracle": False, "parameters": []}])
    out = capsys.readouterr().out
    assert all(text in out for text in entry.values())


def test_brackets_in_findings_are_no_markup(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(doctor, "_ray", lambda: Finding("Ray", "[/red] in [a]", "[bold]mend"))
    assert call(monkeypatch, "doctor", "--runs", tmp_path) == 1
    out = capsys.readouterr().out
    assert "[/red] in [a]" in out
    assert "[bold]mend" in out
