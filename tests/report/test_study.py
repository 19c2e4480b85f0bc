"""How runs become a study: looks, names of settings, and which copy of a trajectory is taken."""

import shutil
from dataclasses import replace

import pandas as pd
import pytest

from alsweep.files import read_json, write_json
from alsweep.layout import record_path, space_path
from alsweep.query import plugin_files
from alsweep.report import write_report
from alsweep.report.study import PALETTE, SYMBOLS, _looks, read_study
from alsweep.results.records import TrajectoryFolder, read_run
from alsweep.testing.runs import trajectory_config, write_run


def begun(name, path="nowhere"):
    """A trajectory that has begun, of a strategy by that name."""
    config = trajectory_config("dataset", name, (8, 8, 8), 0, 2)
    return TrajectoryFolder(f"{name}-0", path, config, (), "running", None)


def test_a_strategy_has_one_look_and_no_two_look_alike():
    names = [f"plugin_{i}" for i in range(len(PALETTE) * len(SYMBOLS))]
    looks = _looks([begun(name) for name in (*names, *names)])
    assert [look.strategy for look in looks] == names
    assert len({(look.colour, look.symbol) for look in looks}) == len(names)
    assert {look.symbol for look in looks[: len(PALETTE)]} == {SYMBOLS[0]}
    assert looks[len(PALETTE)].colour == PALETTE[0]


@pytest.mark.parametrize(
    ("name", "baseline", "oracle"),
    [
        ("random", True, False),
        ("random_fg66", True, True),
        ("predictive_entropy", False, False),
        ("of_a_plug_in_that_is_not_here", False, False),
    ],
)
def test_baselines_use_no_network_and_users_of_the_oracle_are_marked(name, baseline, oracle):
    (look,) = _looks([begun(name)])
    assert (look.baseline, look.oracle) == (baseline, oracle)
    assert look.name == (f"{name} †" if oracle else name)


SEER = """
from dataclasses import dataclass

from alsweep.query import Strategy, strategy


@strategy("seer")
@dataclass(frozen=True)
class Seer(Strategy):
    \"\"\"Looks at the truth.\"\"\"

    uses_oracle = True
    needs = ()

    def query(self, pool, request, rng):
        return []
"""


def test_a_strategy_of_a_runs_own_file_is_marked_as_what_it_is(tmp_path):
    (tmp_path / "seer.py").write_text(SEER)
    sha256 = plugin_files.load_file(tmp_path / "seer.py")
    plugin_files.store(tmp_path / "seer.py", tmp_path / "run" / "plugins")
    plugin_files._forget("alsweep_plugin_file.")  # as in a process that only reports
    one = begun("seer", tmp_path / "run" / "trajectories" / "seer-0")
    spec = one.config.strategy.model_copy(update={"plugins": (sha256,)})
    one = replace(one, config=one.config.model_copy(update={"strategy": spec}))
    try:
        (look,) = _looks([one])
        assert (look.baseline, look.oracle) == (True, True)
    finally:
        plugin_files._forget("alsweep_plugin_file.")


def test_a_label_is_what_tables_and_figures_say(tmp_path):
    write_run(tmp_path / "run", seeds=(0,), loops=2)
    for path in tmp_path.glob("run/trajectories/random-*/config.json"):
        write_json(path, read_json(path) | {"strategy": {"name": "random", "label": "baseline"}})
    study = read_study([tmp_path / "run"])
    assert (study.looks[0].strategy, study.looks[0].baseline) == ("baseline", True)
    assert set(study.table["strategy"]) == {"baseline", "random_fg66", "predictive_entropy"}


def test_titles_and_settings_keep_the_order_of_the_runs(tmp_path):
    write_run(tmp_path / "b", seeds=(0,), loops=2, patch_sizes=((8, 8, 8), (4, 4, 4)))
    write_run(tmp_path / "a", seeds=(0,), loops=2, patch_sizes=((2, 4, 4),))
    study = read_study([tmp_path / "b", tmp_path / "a", tmp_path / "b"])
    assert study.title == "b, a"
    sizes = [name.split(" · ")[1] for name in study.settings.values()]
    assert sizes == ["8\u00d78\u00d78 voxels", "4\u00d74\u00d74 voxels", "2\u00d74\u00d74 voxels"]
    assert len(study.trajectories) == len({t.id for t in study.trajectories}) == 9
    assert study.class_names == ["liver", "tumour"]


def relabelled(run, label, name="random"):
    """Call a strategy, random by default, by another name."""
    for path in run.glob(f"trajectories/{name}-*/config.json"):
        write_json(path, read_json(path) | {"strategy": {"name": name, "label": label}})


def test_a_strategy_that_was_renamed_is_one_in_all_of_a_study(tmp_path, caplog):
    write_run(tmp_path / "a", seeds=(0, 1), loops=2)
    write_run(tmp_path / "b", seeds=(1, 2), loops=2)
    relabelled(tmp_path / "b", "baseline")
    study = read_study([tmp_path / "a", tmp_path / "b"])
    labels = ["random", "random_fg66", "predictive_entropy"]
    assert [look.strategy for look in study.looks] == labels
    assert {t.config.strategy.shown for t in study.trajectories} == set(labels)
    assert study.table.groupby("strategy")["seed"].nunique().tolist() == [3, 3, 3]
    assert list(study.remarks) == caplog.messages
    (said,) = study.remarks
    assert said == (
        f"warning: 'random' ({tmp_path / 'a'}) and 'baseline' ({tmp_path / 'b'}) are one strategy, "
        "random; it is called 'random'"
    )
    # The runs themselves stay as they are.
    kept = pd.read_parquet(tmp_path / "b" / "results.parquet")
    assert set(kept["strategy"]) == {"baseline", "random_fg66", "predictive_entropy"}


def test_a_label_of_two_strategies_is_two_looks_and_two_curves(tmp_path):
    write_run(tmp_path / "a", strategies={"random": 0.3}, seeds=(0,), loops=2)
    write_run(tmp_path / "b", strategies={"random_fg66": 0.3}, seeds=(1,), loops=2)
    relabelled(tmp_path / "a", "random_fg66")
    page = write_report([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    study = read_study([tmp_path / "a", tmp_path / "b"])
    names = ["random_fg66[random]", "random_fg66[random_fg66]"]
    assert [look.strategy for look in study.looks] == names
    assert [look.oracle for look in study.looks] == [False, True]
    found = pd.read_csv(tmp_path / "out" / "aubc.csv")
    assert sorted(found["strategy"]) == names
    assert set(found["setting_name"]) == set(study.settings.values())
    assert "the label &#39;random_fg66&#39; stands for 2 strategies" in page.read_text()


def test_copies_that_diverged_are_told_of(tmp_path):
    write_run(tmp_path / "a", seeds=(0,), loops=2)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    path = record_path(read_run(tmp_path / "b").trajectories[0].folder, 1)
    write_json(path, read_json(path) | {"mean_dice": 0.25})
    (said,) = read_study([tmp_path / "b", tmp_path / "a"]).remarks
    assert said.startswith(f"warning: 1 trajectory differs between {tmp_path / 'b'} and ")


@pytest.mark.parametrize("order", [("begun", "whole"), ("whole", "begun")])
def test_of_two_copies_the_one_that_is_done_is_taken(tmp_path, order):
    write_run(tmp_path / "whole", seeds=(0,), loops=3)
    shutil.copytree(tmp_path / "whole", tmp_path / "begun")
    for trajectory in read_run(tmp_path / "begun").trajectories:
        record_path(trajectory.folder, 1).unlink()
    study = read_study([tmp_path / name for name in order])
    assert {t.status for t in study.trajectories} == {"done"}
    assert {t.folder.parents[1].name for t in study.trajectories} == {"whole"}
    assert len(study.done) == len(study.table) == 3 * 3


def test_a_copy_that_has_begun_is_taken_before_one_that_has_not(tmp_path):
    write_run(tmp_path / "begun", seeds=(0,), loops=3)
    for trajectory in read_run(tmp_path / "begun").trajectories:
        record_path(trajectory.folder, 2).unlink()
    shutil.copytree(tmp_path / "begun", tmp_path / "empty")
    for trajectory in read_run(tmp_path / "empty").trajectories:
        record_path(trajectory.folder, 0).unlink()
    study = read_study([tmp_path / "empty", tmp_path / "begun"])
    assert [len(t.records) for t in study.trajectories] == [2, 2, 2]
    assert study.done.empty


def declare(run, *controls):
    path = space_path(run)
    path.write_text(f"{path.read_text()}\nreport: {{controls: [{', '.join(controls)}]}}\n")


def test_controls_are_found_under_the_labels_that_a_study_gives_them(tmp_path):
    others = {"predictive_entropy": 0.35}
    write_run(tmp_path / "a", strategies={"random": 0.3, **others}, seeds=(0, 1), loops=2)
    write_run(tmp_path / "b", strategies={"random_fg66": 0.3, **others}, seeds=(2, 3), loops=2)
    for run, name in (("a", "random"), ("b", "random_fg66")):
        relabelled(tmp_path / run, "base", name)
        declare(tmp_path / run, "base")
    page = write_report([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    study = read_study([tmp_path / "a", tmp_path / "b"])
    assert study.asked.controls == ("base[random]", "base[random_fg66]")
    found = pd.read_csv(tmp_path / "out" / "comparisons.csv")
    assert set(found["control"]) == set(study.asked.controls)
    assert "There is no control to compare with" not in page.read_text()


def test_one_control_by_two_labels_is_one(tmp_path):
    for run, label in (("a", "base"), ("b", "rnd")):
        write_run(tmp_path / run, seeds=(0,), loops=2)
        relabelled(tmp_path / run, label)
    declare(tmp_path / "a", "predictive_entropy")
    declare(tmp_path / "b", "rnd")
    paths = [tmp_path / "a", tmp_path / "b"]
    assert read_study(paths).asked.controls == ("predictive_entropy", "base")
    assert read_study(paths[::-1]).asked.controls == ("rnd", "predictive_entropy")
    assert read_study(paths[1:]).asked.controls == ("rnd",)
