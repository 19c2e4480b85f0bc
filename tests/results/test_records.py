import json
import shutil
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from alsweep import load_results
from alsweep.errors import RecordError, RunFolderError
from alsweep.files import read_json, write_json
from alsweep.geometry import Patch
from alsweep.layout import query_path, record_path
from alsweep.results import collect, write_results
from alsweep.results.records import (
    LoopRecord,
    QueriedPatch,
    read_config,
    read_query,
    read_records,
    read_run,
    write_query,
)
from alsweep.testing.runs import trajectory_config, write_run, write_sweep

COLUMNS = [
    "sweep",
    "setting",
    "trajectory",
    "start_hash",
    "dataset",
    "strategy",
    "strategy_params",
    "seed",
    "loop",
    "patch_size",
    "query_size",
    "members",
    "tta",
    "epochs",
    "annotated_patches",
    "annotated_voxels",
    "foreground_voxels",
    "foreground_fraction",
    "annotated_cases",
    "mean_dice",
    "dice_liver",
    "dice_tumour",
    "train_seconds",
    "evaluate_seconds",
    "query_seconds",
    "cached_members",
    "threads",
    "status",
    "test_mean_dice",
    "surface_dice",
    "hd95",
    "strategy_name",
    "setting_name",
    "version",
    "numerics",
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_run(tmp_path / "run")
    return tmp_path / "run"


def first_trajectory(run: Path) -> Path:
    return read_run(run).trajectories[0].folder


def test_the_table_has_the_columns_types_and_metadata_of_the_contract(run):
    table = pq.read_table(write_results(run))
    assert table.column_names == COLUMNS
    types = {name: str(table.schema.field(name).type) for name in COLUMNS}
    assert {types[c] for c in ("sweep", "strategy_params", "status", "setting")} == {"string"}
    assert {types[c] for c in ("seed", "loop", "annotated_voxels", "threads")} == {"int64"}
    assert {types[c] for c in ("mean_dice", "dice_liver", "train_seconds")} == {"double"}
    assert types["tta"] == "bool"
    assert table.schema.metadata == {b"alsweep.schema": b"1"}


def test_rows_follow_the_order_of_the_sweep_then_the_loop(run):
    ids = [t.id for t in read_run(run).trajectories]
    table = collect(run)
    assert list(zip(table["trajectory"], table["loop"], strict=True)) == [
        (id_, loop) for id_ in ids for loop in range(4)
    ]
    write_sweep(run, Path("dataset"), ids[::-1])
    assert collect(run)["trajectory"].drop_duplicates().tolist() == ids[::-1]


def test_rows_say_what_config_and_record_say(run):
    row = collect(run).query("strategy == 'predictive_entropy' and seed == 1 and loop == 2").iloc[0]
    assert row["sweep"] == "run"
    assert row["strategy_params"] == "{}"
    assert row["patch_size"] == "8x8x8"
    assert row["annotated_patches"] == 18
    assert row["mean_dice"] == pytest.approx((row["dice_liver"] + row["dice_tumour"]) / 2)
    assert row["status"] == "done"


def test_equal_runs_give_equal_bytes(run, tmp_path):
    write_run(tmp_path / "again" / "run")
    assert write_results(run).read_bytes() == write_results(tmp_path / "again" / "run").read_bytes()


def test_what_is_written_is_read_back(run):
    write_results(run)
    pd.testing.assert_frame_equal(load_results(run), collect(run))
    pd.testing.assert_frame_equal(load_results(str(run / "results.parquet")), collect(run))


def test_a_record_without_the_next_query_is_not_finished(run):
    folder = first_trajectory(run)
    query_path(folder, 2).unlink()
    assert [r.loop for r in read_records(folder)] == [0]
    assert collect(run)["status"].value_counts().to_dict() == {"done": 20, "running": 1}


def test_records_after_a_gap_do_not_count(run):
    folder = first_trajectory(run)
    record_path(folder, 1).unlink()
    assert [r.loop for r in read_records(folder)] == [0]


def test_the_last_loop_needs_no_query(run):
    assert [r.loop for r in read_records(first_trajectory(run))] == [0, 1, 2, 3]


def test_an_undefined_dice_is_null_in_the_table(run):
    folder = first_trajectory(run)
    record = LoopRecord.read(record_path(folder, 3))
    record.model_copy(update={"mean_dice": None, "dice": {"liver": 0.5, "tumour": None}}).write(
        folder
    )
    row = collect(run).query("loop == 3").iloc[0]
    assert row["dice_liver"] == 0.5
    assert pd.isna(row["mean_dice"])
    assert pd.isna(row["dice_tumour"])


def test_a_failed_trajectory_keeps_its_rows_and_its_error(run):
    folder = first_trajectory(run)
    record_path(folder, 3).unlink()
    write_json(folder / "error.json", {"error": "the pool is exhausted", "loop": 3})
    first = read_run(run).trajectories[0]
    assert (first.status, first.error) == ("failed", "the pool is exhausted")
    assert collect(run)["status"].tolist()[:4] == ["failed"] * 3 + ["done"]


def test_a_trajectory_that_has_not_begun_is_known_but_has_no_rows(run):
    ids = [t.id for t in read_run(run).trajectories]
    write_sweep(run, Path("dataset"), [*ids, "later"])
    assert read_run(run).trajectories[-1].status == "running"
    assert len(collect(run)) == 24


@pytest.mark.parametrize(
    ("key", "value"), [("seed", 5), ("strategy", {"name": "margin", "label": "random"})]
)
def test_a_config_that_is_not_its_trajectorys_is_refused(run, key, value):
    path = first_trajectory(run) / "config.json"
    write_json(path, read_json(path) | {key: value})
    with pytest.raises(RecordError, match=r"config\.json: expected .* move it elsewhere"):
        collect(run)


def test_a_trajectory_may_be_given_another_label(run):
    path = first_trajectory(run) / "config.json"
    write_json(path, read_json(path) | {"strategy": {"name": "random", "label": "baseline"}})
    assert collect(run)["strategy"].tolist()[:5] == ["baseline"] * 4 + ["random"]


def test_only_trajectories_of_this_sweep_are_collected(run):
    ids = [t.id for t in read_run(run).trajectories]
    write_sweep(run, Path("dataset"), ids[:1])
    assert collect(run)["trajectory"].unique().tolist() == ids[:1]


def test_several_runs_take_a_common_trajectory_once_where_it_is_done(run, tmp_path):
    more = tmp_path / "more"
    write_run(more, seeds=(0, 1, 2))
    record_path(first_trajectory(run), 3).unlink()
    table = load_results([run, more])
    assert len(table) == 9 * 4
    assert not table.duplicated(["trajectory", "loop"]).any()
    assert set(table["status"]) == {"done"}
    assert table.groupby("sweep")["trajectory"].nunique().to_dict() == {"run": 5, "more": 4}


def test_a_run_its_copy_and_itself_again_give_the_rows_of_one(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "copy")
    record_path(first_trajectory(run), 3).unlink()
    whole = collect(copy)
    for runs in ([run, copy], [copy, run], [copy, copy]):
        both = load_results(runs)
        assert not both.duplicated(["trajectory", "loop"]).any()
        pd.testing.assert_frame_equal(
            both.sort_values(["trajectory", "loop"], ignore_index=True),
            whole.sort_values(["trajectory", "loop"], ignore_index=True),
        )


def test_a_query_is_read_back_and_holds_one_patch_a_line(tmp_path):
    queried = [
        QueriedPatch(Patch("a", (0, 1, 2), (3, 4, 5)), 0.1),
        QueriedPatch(Patch("b", (0, 0, 0), (1, 1, 1)), None),
    ]
    path = query_path(tmp_path, 7)
    write_query(path, 7, queried)
    assert path.name == "loop_007.json"
    assert read_query(path) == queried
    assert len(path.read_text().splitlines()) == 4
    assert json.loads(path.read_text())["patches"][0] == {
        "case": "a",
        "start": [0, 1, 2],
        "size": [3, 4, 5],
        "score": 0.1,
    }


def test_an_empty_query_is_a_query(tmp_path):
    write_query(query_path(tmp_path, 1), 1, [])
    assert read_query(query_path(tmp_path, 1)) == []


@pytest.mark.parametrize(
    "content", ["{", '{"loop": 0}', '{"loop": 0, "patches": [{"case": 1}]}', "[]"]
)
def test_a_broken_query_file_is_named(tmp_path, content):
    path = tmp_path / "loop_000.json"
    path.write_text(content)
    with pytest.raises(RecordError, match=r"loop_000\.json"):
        read_query(path)


def test_a_file_of_a_newer_alsweep_is_called_that(tmp_path):
    config = trajectory_config(Path("d"), "random", (4, 8, 8), seed=3, loops=2).plain()
    config["query"]["later"] = 1
    write_json(tmp_path / "config.json", config)
    with pytest.raises(
        RecordError, match=r"config\.json: query\.later: .* newer one wrote.*upgrade"
    ):
        read_config(tmp_path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(
        RecordError,
        match=r"loop_003\.json: no such file; .*move it elsewhere and resume",
    ):
        read_query(query_path(tmp_path, 3))


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match=r"no sweep\.yaml"):
        read_run(tmp_path)
    (tmp_path / "sweep.yaml").write_text("name: x\n")
    with pytest.raises(RunFolderError, match="provenance"):
        read_run(tmp_path)
    with pytest.raises(RunFolderError, match=r"x\.yaml: no sweep\.yaml in it; name a run folder"):
        read_run((tmp_path / "sweep.yaml").rename(tmp_path / "x.yaml"))


def test_a_sweep_file_that_is_no_text_is_told_in_one_line(run):
    (run / "sweep.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(RunFolderError, match=r"sweep\.yaml: cannot be read as text"):
        read_run(run)


def test_a_table_of_another_version_or_kind_is_refused(tmp_path):
    path = tmp_path / "t.parquet"
    with pytest.raises(RecordError, match="no such file"):
        load_results(path)
    path.write_text("no table")
    with pytest.raises(RecordError, match="not a Parquet file"):
        load_results(path)
    pd.DataFrame({"a": [1]}).to_parquet(path)
    with pytest.raises(RecordError, match="version 1, got none"):
        load_results(path)


def test_a_trajectory_config_survives_its_file(tmp_path):
    config = trajectory_config(Path("d"), "random", (4, 8, 8), seed=3, loops=2)
    write_json(tmp_path / "config.json", config.plain())
    assert type(config).model_validate_json((tmp_path / "config.json").read_text()) == config


def test_a_sweep_file_that_is_no_yaml_is_told_in_one_line(run):
    (run / "sweep.yaml").write_text("name: [")
    with pytest.raises(RunFolderError, match=r"sweep\.yaml: not valid YAML") as caught:
        read_run(run)
    assert "\n" not in str(caught.value)


def test_nothing_to_load_is_a_users_error():
    with pytest.raises(RecordError, match="at least one run folder or parquet file, got none"):
        load_results([])
