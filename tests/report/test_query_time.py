"""Seconds of a query for each volume, and the mark beside them on a GPU."""

import pytest

from alsweep.layout import record_path, trajectory_folder
from alsweep.report.section import Material
from alsweep.report.sections import query_time
from alsweep.report.study import read_study
from alsweep.results.loops import LoopRecord
from alsweep.testing.runs import write_run


def shown(run):
    return list(query_time.SECTION.blocks(Material(read_study([run]), {})))


def change(run, ids, strategy, **values):
    for id_ in ids:
        for loop in range(20):
            path = record_path(trajectory_folder(run, id_), loop)
            if id_.startswith(strategy) and path.exists():
                last = not record_path(trajectory_folder(run, id_), loop + 1).exists()
                changed = {**values, **({"query_seconds": 4e-6} if last else {})}
                LoopRecord.read(path).model_copy(update=changed).write(trajectory_folder(run, id_))


@pytest.fixture
def run(tmp_path):
    return tmp_path / "run", write_run(tmp_path / "run", seeds=(0,))


def test_without_cases_in_the_records_there_is_no_such_section(run):
    assert shown(run[0]) == []


def test_seconds_are_of_one_volume_and_the_mark_is_for_a_gpu_alone(run):
    place, ids = run
    change(place, ids, "predictive_entropy", pool_cases=8, query_seconds=4.0, device="cuda")
    change(place, ids, "random", pool_cases=10, query_seconds=0.5, device="cpu")
    tables, caption = shown(place)
    rows = {row[0].split(" ")[0]: row for _, table in tables.named for row in table.rows}
    assert rows["predictive_entropy"][1:5] == ("GPU", "0.5", "0.5 to 0.5", "2.0 times")
    assert rows["random"][1:6] == ("CPU", "0.05", "0.05 to 0.05", "—", "3 queries")
    assert "0.25 s a volume" in caption.text
    change(place, ids, "predictive_entropy", pool_cases=8, query_seconds=1.0)
    tables, _ = shown(place)
    assert "below" in {row[4] for _, table in tables.named for row in table.rows}
