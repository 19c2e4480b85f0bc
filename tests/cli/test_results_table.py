"""The table with which a run ends."""

import pandas as pd
import pytest

from alsweep.cli.results_table import print_results
from alsweep.results import collect
from alsweep.testing.runs import write_run


@pytest.fixture
def table(tmp_path):
    write_run(tmp_path / "run", seeds=(0, 1), loops=3, patch_sizes=((8, 8, 8), (4, 4, 4)))
    return collect(tmp_path / "run")


def shown(table, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    print_results(table)
    lines = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.split("\u2502")[1:-1]] for line in lines]
    return [row for row in rows if row], " ".join(lines[-2:])


def test_settings_and_datasets_are_not_averaged_together(table, capsys, monkeypatch):
    rows, end = shown(table, capsys, monkeypatch)
    assert len(rows) == 2 * 3
    assert len({row[0] for row in rows}) == 2
    last = table[table["loop"] == 2]
    for setting, strategy, dice, _, seeds in rows:
        mine = last[(last["setting_name"] == setting) & (last["strategy"] == strategy)]
        assert (dice, seeds) == (f"{mine['mean_dice'].mean():.3f}", "2")
    assert "same seeds" not in end


def test_unlike_seeds_are_named(table, capsys, monkeypatch):
    one = table[table["setting"] == table["setting"].iloc[0]]
    lacking = one[(one["strategy"] != "random") | (one["seed"] == 1)]
    rows, end = shown(lacking, capsys, monkeypatch)
    assert {row[0]: row[-1] for row in rows} == {
        "random": "1 (1)",
        "random_fg66": "2 (0, 1)",
        "predictive_entropy": "2 (0, 1)",
    }
    assert "strategies have not the same seeds" in end


def test_one_loop_has_a_dice_and_no_area(table, capsys, monkeypatch):
    rows, _ = shown(table[table["loop"] == 0], capsys, monkeypatch)
    assert {row[3] for row in rows} == {"-"}
    assert all(float(row[2]) > 0 for row in rows)


def test_a_large_sweep_is_cut_and_an_unfinished_one_says_nothing(table, capsys, monkeypatch):
    one = table[table["setting"] == table["setting"].iloc[0]]
    many = [one.assign(setting=f"s{k}", setting_name=f"n{k}") for k in range(20)]
    rows, end = shown(pd.concat(many, ignore_index=True), capsys, monkeypatch)
    assert len(rows) == 40
    assert "and 20 more rows, which the report has" in end
    assert shown(table.assign(status="running"), capsys, monkeypatch)[0] == []
