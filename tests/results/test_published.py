import logging
import math

import pandas as pd
import pytest

from alsweep.errors import ConfigError, RecordError
from alsweep.files import read_json, write_json
from alsweep.results.published import import_results, read_published, write_published
from tests.results.published_files import (
    AMOS,
    FINAL,
    SETTING,
    write_analysis,
    write_experiment_loop,
    write_experiments,
)

COLUMNS = [
    "source",
    "setting",
    "strategy",
    "seed",
    "loop",
    "metric",
    "against",
    "value",
    "std",
    "n",
]


def values(table: pd.DataFrame, metric: str) -> dict[object, float]:
    rows = table[table["metric"] == metric]
    keys = rows["strategy"] if metric != "win" else zip(rows["strategy"], rows["against"])  # noqa: B905
    return dict(zip(keys, rows["value"], strict=True))


def test_published_tables_are_read_with_their_traps(tmp_path):
    write_analysis(tmp_path / "KiTS2021")
    table = import_results(tmp_path / "KiTS2021")
    assert list(table.columns) == COLUMNS
    assert set(table["source"]) == {"KiTS2021"}
    assert set(table["setting"]) == {SETTING}
    assert values(table, "final") == FINAL
    assert values(table, "aubc")["pred_entropy"] == pytest.approx(0.6039)
    final = table[table["metric"] == "final"].set_index("strategy")
    assert final.loc["power_pe", ["std", "n"]].tolist() == [0.0125, 4]
    assert math.isnan(final.loc["random", "std"])
    assert table[["seed", "loop"]].isna().all(axis=None)
    # beta_std is a variance
    rates = table[table["metric"] == "fg_eff"].set_index("strategy")
    assert rates["value"].to_dict() == {"pred_entropy": 6.20, "power_pe": 9.69}
    assert rates["std"].to_dict() == pytest.approx({"pred_entropy": 0.3, "power_pe": 0.5})
    # matrix[a][b] grows when a is worse
    wins = values(table, "win")
    assert wins["pred_entropy", "random"] == pytest.approx(0.6)
    assert wins["power_pe", "random"] == pytest.approx(0.2)
    assert wins["random", "pred_entropy"] == 0
    assert len(wins) == 4 * 3


def test_result_folders_are_read_whatever_their_config_lacks(tmp_path, caplog):
    write_experiments(tmp_path)
    with caplog.at_level(logging.WARNING):
        table = import_results(tmp_path)
    assert set(table["source"]) == {"Dataset216_AMOS"}
    assert set(table["setting"]) == {AMOS}
    first = table[table["loop"] == 0].set_index(["strategy", "seed"])["value"]
    assert first["power_bald", 12345] == 0.4429
    assert first["softrank_bald", 12347] == 0.4705
    assert len(first) == 6
    assert set(table["metric"]) == {"mean_dice"}
    # What was taken back by nnActive lies there still.
    assert table["loop"].max() == 2
    assert "skipped: " in caplog.text
    assert "state.json is at loop 2" in caplog.text


def test_both_layouts_of_several_datasets_come_at_once(tmp_path):
    write_analysis(tmp_path / "KiTS2021")
    write_experiments(tmp_path / "AMOS2022_task1")
    together = import_results(tmp_path)
    assert set(together["source"]) == {"KiTS2021", "Dataset216_AMOS"}
    inside = import_results(tmp_path / "KiTS2021" / "analysis")
    assert inside.equals(import_results(tmp_path / "KiTS2021"))


def test_the_file_keeps_every_value_and_type(tmp_path):
    write_analysis(tmp_path / "KiTS2021")
    write_experiments(tmp_path / "KiTS2021")
    table = import_results(tmp_path / "KiTS2021")
    path = write_published(table, tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(read_published(path), table)
    pd.testing.assert_frame_equal(
        pd.read_parquet(path).astype(table.dtypes.to_dict()), table, check_dtype=False
    )


def test_an_undefined_dice_stays_undefined(tmp_path):
    place = tmp_path / "nnActive_results" / f"Dataset001_X__{AMOS}__unc-random__seed-1"
    write_experiment_loop(place, 0, 0.5)
    text = (place / "loop_000" / "summary.json").read_text()
    (place / "loop_000" / "summary.json").write_text(text.replace("0.5", "NaN"))
    table = import_results(tmp_path)
    assert table["value"].isna().tolist() == [True]


def broken(tmp_path, change):
    place = write_analysis(tmp_path / "K")
    change(place)
    with pytest.raises(RecordError) as told:
        import_results(tmp_path / "K")
    return str(told.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("auc.json", "{"),
        ("auc.json", "[1]"),
        ("auc.json", '{"Mean Dice": 1}'),
        ("beta.json", '{"beta": {"0": 1}}'),
        ("ppm.json", '{"matrix": {}, "max_pos_ent": 0}'),
        ("ppm.json", '{"matrix": {"a": {"b": "x"}}, "max_pos_ent": 1}'),
    ],
)
def test_a_broken_file_is_named(tmp_path, name, text):
    said = broken(tmp_path, lambda place: (place / name).write_text(text))
    assert f"{SETTING}/{name}: not as nnActive writes it" in said


def test_shares_above_one_are_told(tmp_path, caplog):
    place = write_analysis(tmp_path / "K")
    ppm = read_json(place / "ppm.json")
    write_json(place / "ppm.json", ppm | {"max_pos_ent": 1})
    with caplog.at_level(logging.WARNING):
        import_results(tmp_path / "K")
    assert "warning: " in caplog.text
    assert "wins at loop 0" in caplog.text


def test_what_holds_nothing_is_refused(tmp_path):
    with pytest.raises(RecordError, match="holds neither 'analysis' nor 'nnActive_results'"):
        import_results(tmp_path)
    with pytest.raises(RecordError, match="no such folder"):
        import_results(tmp_path / "x")
    with pytest.raises(RecordError, match="add --mapping FILE"):
        import_results(tmp_path / "x.csv")
    (tmp_path / "analysis").mkdir()
    with pytest.raises(RecordError, match="holds no finished results"):
        import_results(tmp_path)
    (tmp_path / "nnActive_results" / "mine" / "loop_000").mkdir(parents=True)
    with pytest.raises(RecordError, match="neither the file nor the folder's name"):
        import_results(tmp_path)


def test_an_experiment_is_not_counted_twice(tmp_path):
    for name in (f"Dataset001_X__{AMOS}__unc-random__seed-1", "copy"):
        place = tmp_path / "nnActive_results" / name
        write_experiment_loop(place, 0, 0.5)
        config = {"dataset": "Dataset001_X", "pre_suffix": f"__{AMOS}"}
        write_json(place / "config.json", config | {"uncertainty": "random", "seed": 1})
    with pytest.raises(RecordError, match="the same setting, strategy and seed as Dataset001_X"):
        import_results(tmp_path)


MAPPING = """
source: {column: Dataset}
setting: medium
strategy: {column: Method}
names: {"Random 66% FG": random-label}
scale: 0.01
delimiter: ";"
decimal: ","
columns:
  Loop 0: {metric: mean_dice, loop: 0, n: 4}
  Final: {metric: final, std: ±, n: Seeds}
  FG-Eff: {metric: fg_eff}
  beats Random: {metric: win, against: random}
"""
CSV = """Dataset;Method;Loop 0;Final;±;Seeds;FG-Eff;beats Random
KiTS;Random 66% FG;30,5;51,67;1,5;4;;25
KiTS;pred_entropy;30,5;65,39 %;0,75;4;6,20;60
"""


def test_a_wide_csv_is_read_by_its_mapping(tmp_path):
    (tmp_path / "m.yaml").write_text(MAPPING)
    (tmp_path / "t.csv").write_text(CSV, encoding="utf-8-sig")
    table = import_results(tmp_path / "t.csv", tmp_path / "m.yaml")
    assert values(table, "final") == pytest.approx({"random-label": 0.5167, "pred_entropy": 0.6539})
    assert values(table, "fg_eff") == {"pred_entropy": 6.2}
    assert values(table, "win") == {
        ("random-label", "random"): 0.25,
        ("pred_entropy", "random"): 0.6,
    }
    assert values(table, "mean_dice")["pred_entropy"] == pytest.approx(0.305)
    final = table[table["metric"] == "final"].iloc[1]
    assert (final["source"], final["setting"], final["n"]) == ("KiTS", "medium", 4)
    assert final["std"] == pytest.approx(0.0075)
    assert import_results(tmp_path, tmp_path / "m.yaml").equals(table)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("column: Method", "column: Metod", "m.yaml: .*t.csv has no column 'Metod'; did you mean"),
        ("n: Seeds", "n: Seed", "did you mean 'Seeds'"),
        ("metric: final", "metric: last", "m.yaml: columns.Final.metric"),
        ("scale", "scales", "did you mean 'scale'"),
    ],
)
def test_a_wrong_mapping_names_the_key(tmp_path, old, new, said):
    (tmp_path / "m.yaml").write_text(MAPPING.replace(old, new, 1))
    (tmp_path / "t.csv").write_text(CSV)
    with pytest.raises(ConfigError, match=said):
        import_results(tmp_path / "t.csv", tmp_path / "m.yaml")


def test_a_cell_that_is_no_number_is_named(tmp_path):
    (tmp_path / "m.yaml").write_text(MAPPING)
    (tmp_path / "t.csv").write_text(CSV.replace("65,39 %", "about 65"))
    with pytest.raises(RecordError, match=r"t\.csv, line 3: column 'Final': expected a number"):
        import_results(tmp_path / "t.csv", tmp_path / "m.yaml")


def test_another_parquet_is_refused(tmp_path):
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(RecordError, match="expected a table of published results of version 1"):
        read_published(tmp_path / "a.parquet")
    with pytest.raises(RecordError, match="no such file; write it with 'alsweep import-results'"):
        read_published(tmp_path / "b.parquet")
