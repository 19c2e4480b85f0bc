import pytest

from alsweep.layout import trajectory_folder
from alsweep.report import write_report
from alsweep.report.backgrounds import background_notices
from alsweep.report.study import read_study
from alsweep.results.records import read_records
from alsweep.testing.runs import write_run
from tests.report.pages import visible


def count_background(run, ids, strategy, counts):
    """Let the records of a strategy's trajectories count background patches, cumulative."""
    for id_ in ids:
        folder = trajectory_folder(run, id_)
        if id_.startswith(f"{strategy}-"):
            for record, count in zip(read_records(folder), counts, strict=True):
                record.model_copy(update={"background_patches": count}).write(folder)


@pytest.fixture
def airy_run(tmp_path):
    """Entropy queries 5 of 6 patches of air once, random never more than one."""
    run = tmp_path / "run"
    ids = write_run(run)
    count_background(run, ids, "predictive_entropy", (0, 5, 6, 6))
    count_background(run, ids, "random", (6, 7, 8, 8))
    return run


def test_much_background_in_a_query_is_told_above_the_curves(airy_run):
    text = visible(write_report([airy_run]))
    told = "Many queried patches hold no foreground and are as dark as what is round the body"
    assert text.count(told) == 1
    assert text.index(told) < text.index("Dice of")
    assert "(predictive_entropy 83 % in query 1)" in text


def test_the_table_of_queries_has_the_share_over_all_of_them(airy_run):
    text = visible(write_report([airy_run]))
    table = text[text.index("Queried patches with nothing but background") :]
    # 6 of 18 patches, 2 of 18, and records that do not count.
    assert "33.3" in table
    assert "11.1" in table


def test_nothing_is_told_of_records_that_do_not_count(run):
    assert background_notices(read_study([run])) == []
