import json

import pytest

from alsweep.cli import doctor, strategies
from alsweep.cli.doctor import Finding
from alsweep.query import plugin_files
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
    shown = {**entry, "uses_oracle": False, "needs": ["probs"], "parameters": []}
    strategies._show([shown], {"[bold]mine[/]": "[a]"})
    out = capsys.readouterr().out
    assert all(text in out for text in (*entry.values(), "[a]", "probs"))


def test_brackets_in_findings_are_no_markup(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(doctor, "_ray", lambda: Finding("Ray", "[/red] in [a]", "[bold]mend"))
    assert call(monkeypatch, "doctor", "--runs", tmp_path) == 1
    out = capsys.readouterr().out
    assert "[/red] in [a]" in out
    assert "[bold]mend" in out


def test_a_file_of_ones_own_is_listed_or_refused_in_one_line(monkeypatch, capsys, tmp_path):
    file = tmp_path / "own.py"
    file.write_text("import alsweep\nalsweep.nothing\n")
    assert call(monkeypatch, "strategies", "--plugin", file) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{file}, line 2: AttributeError" in line
    file.write_text(
        "from dataclasses import dataclass\n"
        "from alsweep.query import Stages, Strategy, strategy\n"
        "@strategy('own_listed')\n"
        "@dataclass(frozen=True)\n"
        "class Own(Strategy):\n"
        "    def stages(self):\n"
        "        return Stages(map='margin')\n"
    )
    try:
        assert call(monkeypatch, "strategies", "--plugin", file, "--json") == 0
        assert "own_listed" in {entry["name"] for entry in json.loads(capsys.readouterr().out)}
    finally:
        plugin_files._forget("alsweep_plugin_file.")
