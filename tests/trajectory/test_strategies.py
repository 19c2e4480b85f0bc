"""Strategies inside a trajectory: what planning refuses, what a query file holds, replay."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from alsweep import Dataset, Trajectory, TrajectoryConfig
from alsweep.config.base import STORED
from alsweep.config.load import load_sweep
from alsweep.config.sweep import ResourcesConfig
from alsweep.errors import ConfigError, PoolExhaustedError, StrategyError
from alsweep.geometry import Patch, QueriedPatch
from alsweep.layout import query_path
from alsweep.results.loops import read_query, write_query
from alsweep.testing.pools import make_streams
from alsweep.trajectory.budget import draw_start, next_of_start, request_for, settle
from alsweep.trajectory.pool import DatasetPool
from alsweep.trajectory.replay import replayed
from alsweep.trajectory.resolving import resolve
from alsweep.trajectory.steps import Steps
from tests.trajectory.conftest import log_bytes, make_config

SPELLED = {"stages": {"map": "margin", "noise": {"name": "power", "beta": 3}}, "label": "mine"}


def refusal(phantom, **changes) -> str:
    with pytest.raises(ConfigError) as caught:
        resolve(make_config(phantom, **changes), phantom)
    return str(caught.value)


@pytest.mark.parametrize(
    "strategy",
    [
        "mutual_information",
        "power_bald",
        "kmeans_bald",
        "expected_dice",
        {"stages": {"map": "mutual_information"}},
    ],
)
def test_disagreement_takes_two_members(phantom, strategy):
    message = refusal(phantom, strategy=strategy, training={"members": 1})
    assert message.startswith("base.training.members: 1 is too few")
    assert "at least 2" in message


def test_one_member_is_enough_for_total_uncertainty(phantom):
    for name in ("predictive_entropy", "expected_entropy", "clasp_pe", "margin"):
        resolve(make_config(phantom, strategy=name, training={"members": 1}), phantom)


def test_a_wrong_stage_is_refused_with_its_key_path(phantom):
    spelled = {"stages": {"map": "margin", "noise": {"name": "power", "bta": 3}}}
    message = refusal(phantom, strategy=spelled)
    assert message.startswith("base.strategy: stages.noise: unknown parameter 'bta'")
    assert "did you mean 'beta'" in message


def test_a_class_that_is_not_there_is_refused(phantom):
    spelled = {"stages": {"map": {"name": "class_weighted_entropy", "label": 3}}}
    assert "asks for class 3, but the dataset has the classes 0 to 2" in refusal(
        phantom, strategy=spelled
    )


def test_spelled_stages_resolve_once_and_for_all(phantom):
    resolved = resolve(make_config(phantom, strategy=SPELLED), phantom)
    assert resolved.strategy.label == "mine"
    assert resolved.strategy.parameters["stages"]["noise"]["beta_end"] == 100.0
    assert resolve(resolved, phantom) == resolved
    assert TrajectoryConfig.model_validate(resolved.plain(), context=STORED) == resolved
    unlabelled = {"stages": SPELLED["stages"]}
    other = resolve(make_config(phantom, strategy=unlabelled), phantom)
    assert other.trajectory_id("f") == resolved.trajectory_id("f")
    changed = {"stages": {"map": "margin", "noise": {"name": "power", "beta": 4}}}
    assert resolve(make_config(phantom, strategy=changed), phantom).trajectory_id(
        "f"
    ) != resolved.trajectory_id("f")


def test_whole_and_fractional_spellings_of_a_number_are_one_trajectory(phantom):
    ids = {
        resolve(make_config(phantom, strategy=spec), phantom).trajectory_id("f")
        for spec in (
            {"name": "power_bald", "beta": 5},
            {"name": "power_bald", "beta": 5.0},
            "power_bald_b5",
        )
    }
    assert len(ids) == 1


def test_a_name_beside_stages_is_refused(tmp_path):
    space = tmp_path / "space.yaml"
    space.write_text(
        "name: x\ndataset: d\nbase:\n  query: {patches: 2, patch_size: [4, 4, 4]}\n"
        "  strategy: {name: mine, stages: {map: margin}}\n"
    )
    with pytest.raises(
        ConfigError, match=r"base\.strategy: a strategy has either a name or stages"
    ):
        load_sweep(space)


def test_a_grid_can_reach_into_a_stage(tmp_path):
    space = tmp_path / "space.yaml"
    space.write_text(
        "name: x\ndataset: d\nbase:\n  query: {patches: 2, patch_size: [4, 4, 4]}\n"
        "  strategy: {stages: {map: margin, noise: {name: power}}}\n"
        "grid: {strategy.stages.noise.beta: [1, 9]}\n"
    )
    found = [t.strategy.parameters["stages"]["noise"] for t in load_sweep(space).trajectories()]
    assert found == [{"name": "power", "beta": 1}, {"name": "power", "beta": 9}]


def test_a_score_that_json_cannot_hold_is_null(phantom):
    config = resolve(make_config(phantom), phantom)
    pool = DatasetPool(phantom, ())
    patch = Patch(phantom.pool[0], (0, 0, 0), (8, 8, 8))
    choices = [QueriedPatch(patch, -np.inf), QueriedPatch(patch, 0.25), QueriedPatch(patch, None)]
    request = request_for(config, 0)
    settled = settle(choices, pool, request, make_streams(), "take_all")
    assert [queried.score for queried in settled] == [None, 0.25, None]
    with pytest.raises(PoolExhaustedError, match="6 patches are wanted, but only 3 fit"):
        settle(choices, pool, request, make_streams(), "error")


def test_without_a_trajectory_to_replay_there_is_nothing(phantom, tmp_path):
    with pytest.raises(StrategyError, match="nothing to replay here"):
        DatasetPool(phantom, ()).replayed("x")
    start = {"strategy": {"name": "replay", "source": str(tmp_path)}}
    told = refusal(phantom, starting_budget=start)
    assert told.startswith(f"base.starting_budget.strategy: source: {tmp_path}/config.json")


@pytest.fixture(scope="module")
def clasp(phantom, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("clasp") / "t"
    Trajectory(make_config(phantom, strategy="clasp_pe"), folder, dataset=phantom).run()
    return folder


def replay(phantom: Dataset, source: Path, **changes) -> TrajectoryConfig:
    return make_config(phantom, strategy={"name": "replay", "source": str(source)}, **changes)


def test_a_replay_queries_what_its_source_queried(phantom, clasp, tmp_path):
    config = replay(phantom, clasp, training={"epochs": 2})
    Trajectory(config, tmp_path / "t", dataset=phantom).run()
    assert log_bytes(tmp_path / "t") == log_bytes(clasp)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"query": {"patch_size": [6, 6, 6]}}, "patch_size 8x8x8, but here it is 6x6x6"),
        ({"query": {"patches": 7}}, "with patches 6, but here it is 7"),
        ({"query": {"overlap": 0.2}}, "with overlap 0.0, but here it is 0.2"),
        ({"starting_budget": {"patches": 8}}, "starting patches 6, but here it is 8"),
        ({"query": {"loops": 4}}, "has 3 loops, but here they are 4"),
    ],
)
def test_a_replay_of_another_setting_is_refused(phantom, clasp, changes, words):
    with pytest.raises(ConfigError, match=r"base\.strategy: source: ") as caught:
        resolve(replay(phantom, clasp, **changes), phantom)
    assert words in str(caught.value)


def test_a_replay_needs_the_same_start_and_a_folder(phantom, clasp, tmp_path):
    trajectory = Trajectory(replay(phantom, clasp, seed=9), tmp_path / "t", dataset=phantom)
    with pytest.raises(StrategyError, match="other patches annotated at loop 0"):
        trajectory.step()
    with pytest.raises(ConfigError, match=r"base.strategy: source: .*config.json"):
        resolve(replay(phantom, tmp_path / "nowhere"), phantom)


def start_of(source: Path, **changes) -> dict:
    return {"starting_budget": {"strategy": {"name": "replay", "source": str(source)}, **changes}}


def test_a_start_is_replayed_too_so_that_the_seed_need_not_be_the_same(phantom, clasp, tmp_path):
    config = replay(phantom, clasp, seed=9, **start_of(clasp))
    Trajectory(config, tmp_path / "t", dataset=phantom).run()
    assert log_bytes(tmp_path / "t") == log_bytes(clasp)


def test_any_strategy_may_go_on_from_the_start_of_another_trajectory(phantom, clasp):
    config = resolve(make_config(phantom, seed=9, **start_of(clasp)), phantom)
    assert draw_start(config, phantom) == read_query(query_path(clasp, 0))


def test_a_start_of_another_setting_or_dataset_is_refused(phantom, clasp, tmp_path):
    told = refusal(phantom, **start_of(clasp, patches=8))
    assert "starting patches 6, but here it is 8" in told
    told = refusal(phantom, **start_of(clasp, patches=4, whole_cases=2))
    assert "brings its own whole cases" in told
    assert "write patches: 6" in told
    other = Path(shutil.copytree(clasp, tmp_path / "other"))
    alien = [QueriedPatch(Patch("who", (0, 0, 0), (8, 8, 8)))] * 6
    write_query(query_path(other, 0), 0, alien)
    config = resolve(make_config(phantom, **start_of(other)), phantom)
    with pytest.raises(StrategyError, match=r"made on another dataset: .*'who'"):
        draw_start(config, phantom)


def test_a_replay_stops_where_its_source_has_not_got_to(phantom, clasp, tmp_path):
    part = Path(shutil.copytree(clasp, tmp_path / "part"))
    (part / "queries" / "loop_002.json").unlink()
    config = resolve(replay(phantom, part), phantom)
    content = [json.loads(f.read_text()) for f in sorted((part / "queries").iterdir())]
    taken = [
        Patch(p["case"], tuple(p["start"]), tuple(p["size"]))
        for query in content
        for p in query["patches"]
    ]
    assert len(replayed(config, taken[:6], 0, str(part))) == 6
    with pytest.raises(Exception, match=r"loop_002.json: no such file"):
        replayed(config, taken, 1, str(part))


@pytest.mark.parametrize(
    "name", ["random_fg33", "random_body", "kmeans_start", "typiclust_start", "urds_start"]
)
def test_starts_of_images_need_no_network_and_read_no_label(phantom, monkeypatch, name):
    monkeypatch.setattr(
        "alsweep.trajectory.budget.ReferenceLabels",
        lambda dataset: pytest.fail("labels were read"),
    )
    if name == "random_fg33":
        with pytest.raises(BaseException, match="labels were read"):
            draw_start(resolve(started(phantom, name), phantom), phantom)
        return
    config = resolve(started(phantom, name), phantom)
    drawn = [queried.patch for queried in draw_start(config, phantom)]
    assert len(set(drawn)) == 6
    assert drawn == [queried.patch for queried in draw_start(config, phantom)]
    more = [queried.patch for queried in next_of_start(config, phantom, drawn, 2)]
    assert len(more) == 2
    assert not any(one.intersects(other) for one in more for other in drawn)
    other = resolve(started(phantom, name, seed=2), phantom)
    assert drawn != [queried.patch for queried in draw_start(other, phantom)]


def started(phantom, name, **changes):
    return make_config(phantom, starting_budget={"strategy": name}, **changes)


def test_a_start_with_unknown_features_is_refused(phantom):
    start = {"strategy": {"name": "kmeans_start", "features": "textur"}}
    message = refusal(phantom, starting_budget=start)
    assert message.startswith("base.starting_budget.strategy: unknown features 'textur'")
    assert "did you mean 'texture'" in message
    message = refusal(phantom, starting_budget={"strategy": "kecor"})
    assert "kecor needs a trained network" in message


@pytest.mark.parametrize(
    "name",
    [
        "kmeans_bald",
        "expected_dice",
        "softrank_bald",
        "purity_pe",
        "kecor",
        "crb",
    ],
)
def test_strategies_get_what_they_need_and_workers_change_nothing(phantom, tmp_path, name):
    config = make_config(phantom, strategy=name, query={"loops": 2})
    one = Trajectory(config, tmp_path / "one", dataset=phantom)
    record = one.step()
    steps = one._steps
    taken = one._log.patches(0)
    members = steps.train(0, taken, ())
    alone = steps.query(0, members, taken)
    many = type(steps)(**{**vars(steps), "workers": 3}).query(0, members, taken)
    assert alone == many
    assert one._log.patches(1)[6:] == tuple(q.patch for q in alone)
    assert record.query_seconds > 0


@pytest.mark.parametrize("name", ["predictive_entropy", "bald", "clasp_pe", "kmeans_bald"])
def test_a_case_without_room_is_not_predicted_and_changes_no_query(phantom, tmp_path, name):
    # A patch in the middle of a case leaves less than a patch on every side of it.
    middle = Patch(phantom.pool[1], (6, 6, 6), (12, 12, 12))
    small = {"patch_size": [12, 12, 12], "patches": 3}
    config = make_config(
        phantom, strategy=name, query=small, starting_budget={"strategy": "random"}
    )
    steps = Steps.make(config, phantom, tmp_path / "models", ResourcesConfig(), "me", None)
    members = steps.train(0, [middle], ())
    asked = []

    class Watching(Steps):
        def predict(self, members, case, *more):
            asked.append(case)
            return super().predict(members, case, *more)

    watching = Watching(steps.config, steps.members, steps.workers)
    found = watching.query(0, members, [middle])
    read_all = name == "kmeans_bald"
    assert (middle.case in asked) == read_all
    with pytest.MonkeyPatch.context() as patching:
        patching.setattr("alsweep.trajectory.steps.has_room", lambda case, request: True)
        assert watching.query(0, members, [middle]) == found
    assert asked.count(middle.case) == 1 + read_all
