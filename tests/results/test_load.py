"""Tables of several runs as one: copies that diverged, and files of older versions."""

import shutil

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alsweep import __version__, load_results
from alsweep.layout import record_path, results_path
from alsweep.report.study import read_study
from alsweep.results import aubc, collect, write_results
from alsweep.results.loops import LoopRecord
from alsweep.results.records import read_run
from alsweep.testing.runs import write_run
from alsweep.trajectory.numerics import NUMERICS

LATER = ["strategy_name", "setting_name", "version", "numerics"]


def older(path, columns=LATER):
    """Rewrite a table as the version wrote it that did not know these columns yet."""
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(columns), path)
    return path


def diverge(run, loop, places=slice(1), **changes):
    """Change a loop of some trajectories, as another course of events would have."""
    for trajectory in read_run(run).trajectories[places]:
        record = LoopRecord.read(record_path(trajectory.folder, loop))
        record.model_copy(update=changes).write(trajectory.folder)


@pytest.fixture
def pair(tmp_path):
    write_run(tmp_path / "a", seeds=(0,))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    return tmp_path / "a", tmp_path / "b"


def test_of_copies_that_diverged_the_first_is_taken_and_it_is_said(pair, caplog):
    diverge(pair[1], 2, slice(2), mean_dice=0.25)
    diverge(pair[1], 3, slice(2), annotated_voxels=1)
    for kept, left in (pair, pair[::-1]):
        caplog.clear()
        table = load_results([kept, left])
        pd.testing.assert_frame_equal(
            table.drop(columns="sweep"), collect(kept).drop(columns="sweep")
        )
        (said,) = caplog.messages
        assert said.startswith(f"warning: 2 trajectories differ between {kept} and {left} (random-")
        assert "from loop 2 on" in said
        assert f"taken is what {kept} has" in said


def test_of_copies_that_diverged_the_one_that_is_done_is_taken(pair, caplog):
    diverge(pair[1], 2, mean_dice=0.25)
    record_path(read_run(pair[0]).trajectories[0].folder, 3).unlink()
    table = load_results(list(pair))
    assert table.query("loop == 2")["mean_dice"].tolist().count(0.25) == 1
    assert f"taken is what {pair[1]} has" in caplog.text


@pytest.mark.parametrize(
    "changes",
    [{"train_seconds": 99.0}, {"cached_members": 2}, {"threads": 7}, {"version": None}],
)
def test_what_is_no_result_may_differ_between_copies(pair, changes, caplog):
    diverge(pair[1], 2, **changes)
    load_results(list(pair))
    assert not caplog.records


def test_what_is_undefined_in_both_is_no_difference(pair, caplog):
    for run in pair:
        diverge(run, 2, mean_dice=None)
    load_results(list(pair))
    assert not caplog.records


def test_a_table_says_what_made_each_loop(pair):
    diverge(pair[0], 2, version=None, numerics=None)
    table = load_results(write_results(pair[0]))
    assert table["numerics"].dtype == "Int64"
    assert table["version"].isna().tolist() == table["numerics"].isna().tolist()
    assert table["version"].isna().sum() == 1
    assert set(table["version"].dropna()) == {__version__}
    assert set(table["numerics"].dropna()) == {NUMERICS}
    assert pq.read_schema(pair[0] / "results.parquet").field("numerics").type == pa.int64()


def test_an_older_table_is_completed(pair):
    whole = load_results(write_results(pair[0]))
    found = load_results(older(pair[0] / "results.parquet"))
    assert found.columns.tolist() == whole.columns.tolist()
    assert found.dtypes.astype(str).to_dict() == whole.dtypes.astype(str).to_dict()
    unknown = ["version", "numerics"]
    assert found[unknown].isna().all(axis=None)
    pd.testing.assert_frame_equal(found.drop(columns=unknown), whole.drop(columns=unknown))
    pd.testing.assert_frame_equal(aubc(found), aubc(whole))


def test_an_older_table_lacks_what_was_added_one_by_one(pair):
    path = older(write_results(pair[0]), [*LATER, "test_mean_dice", "surface_dice", "hd95"])
    found, whole = load_results(path), collect(pair[0])
    assert set(found.columns) == set(whole.columns)
    assert found["hd95"].dtype == "float64"


def test_older_and_newer_tables_are_joined(pair, tmp_path, caplog):
    write_run(tmp_path / "c", seeds=(1,))
    older(write_results(pair[0]))
    write_results(tmp_path / "c")
    table = load_results([pair[0], tmp_path / "c"])
    assert table.groupby("strategy")["seed"].nunique().tolist() == [2, 2, 2]
    assert table["setting_name"].nunique() == 1
    assert table["numerics"].isna().sum() == len(table) / 2
    assert not caplog.records


@pytest.mark.parametrize("end", ["20x20x20-s12", "whole-s0", "128x128x128-s", "128x128x1"])
def test_a_strategys_name_is_read_from_an_older_tables_ids(end, pair):
    path = write_results(pair[0])
    table = pq.read_table(path).drop_columns(LATER)
    ids = pa.array([f"power-p_s1-x-p{end}-0123abcd"] * len(table))
    place = table.column_names.index("trajectory")
    pq.write_table(table.set_column(place, "trajectory", ids), path)
    assert set(load_results(path)["strategy_name"]) == {"power-p_s1-x"}


def test_settings_are_named_as_a_report_names_them(tmp_path):
    for name, loops in (("a", 4), ("b", 3)):
        write_run(tmp_path / name, seeds=(0,), loops=loops)
        write_results(tmp_path / name)
    runs = [tmp_path / "a", tmp_path / "b"]
    named = read_study(runs).settings
    assert all("query.loops" in name for name in named.values())
    for places in (runs, [results_path(run) for run in runs], [runs[0], results_path(runs[1])]):
        table = load_results(places)
        assert dict(zip(table["setting"], table["setting_name"], strict=True)) == named
    # A table by itself says only what it says.
    shutil.copy(results_path(runs[1]), tmp_path / "alone.parquet")
    names = set(load_results([runs[0], tmp_path / "alone.parquet"])["setting_name"])
    assert len(names) == 2
    (other,) = set(collect(runs[1])["setting_name"])
    assert any(name.startswith(other) for name in names)
