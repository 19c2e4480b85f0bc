"""The section on each dataset: who leads there, of which seeds, and why somebody has no rank."""

from dataclasses import replace

import pytest

from alsweep.report.section import Material
from alsweep.report.sections import datasets
from alsweep.report.study import read_study
from alsweep.testing.runs import write_run

SPEEDS = {"random": 0.1, "predictive_entropy": 0.5, "random_fg66": 0.3}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Two datasets, three strategies, three seeds."""
    place = tmp_path_factory.mktemp("datasets")
    for name, fingerprint in (("one", "a" * 64), ("two", "b" * 64)):
        write_run(place / name, strategies=SPEEDS, seeds=(0, 1, 2), fingerprint=fingerprint)
    return read_study([place / "one", place / "two"])


def shown(study):
    tables, caption = datasets.SECTION.blocks(Material(study, {}))
    return tables.named, caption.text


def test_the_best_comes_first_with_its_seeds(both):
    tables, caption = shown(both)
    for _, table in tables:
        names = [row[0] for row in table.rows]
        assert names == ["predictive_entropy", "random_fg66 †", "random"]
        assert [row[1] for row in table.rows] == ["1.00", "2.00", "3.00"]
        assert {row[4] for row in table.rows} == {"3 (0, 1, 2)"}
    assert "Left out" not in caption
    assert "each strategy's own" not in caption


def test_who_lacks_seeds_comes_last_and_is_told_why(both):
    second = both.table["setting"] == both.runs[1].trajectories[0].records[0].setting
    table = both.table
    lacking = second & (table["strategy"] == "predictive_entropy") & (table["seed"] != 0)
    lone = second & (table["strategy"] == "random_fg66")
    tables, caption = shown(replace(both, table=table[~lacking & ~lone]))
    first, last = (rows.rows for _, rows in tables)
    assert [row[:2] for row in last] == [("random", "—"), ("predictive_entropy", "—")]
    assert last[1][4] == "1 (0)"
    assert [row[1] for row in first] == ["1.00", "2.00", "3.00"]
    names = [name.rpartition(",")[0] for name, _ in tables]
    assert f"{names[1]}: Left out, with fewer than half of a setting's seeds: " in caption
    assert "predictive_entropy with 1 of 3" in caption
    assert "Not ranked for want of a rival: random (" in caption
    assert f"{names[0]}: Left out" not in caption
    assert "seeds, each strategy's own ±" in caption
