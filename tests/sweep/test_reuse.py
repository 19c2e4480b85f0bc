"""Which workers are used again, and that nothing of one trajectory is there in the next."""

import gc
import logging
import os
import pickle
import sys
import weakref
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from alsweep.config.sweep import ResourcesConfig
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.layout import log_path, trajectory_folder
from alsweep.query.base import strategies
from alsweep.query.plugin_files import load_file
from alsweep.sweep.folder_at_work import lock_folder
from alsweep.sweep.plan import Plan
from alsweep.sweep.reuse import Slate, used_again
from alsweep.sweep.trainable import Assignment, Packed, TrajectoryTrainable
from alsweep.trajectory.runner import Trajectory
from tests.sweep.conftest import MakePlan
from tests.sweep.fakes import TableTrajectory, TableWork, table_record

PLUGIN = """
from dataclasses import dataclass
from alsweep.query import Stages, Strategy, strategy

seen = []

@strategy("of_a_file")
@dataclass(frozen=True)
class OfAFile(Strategy):
    def stages(self) -> Stages:
        seen.append(1)
        return Stages(map="predictive_entropy")
"""


@pytest.fixture
def plan(plan_of: MakePlan) -> Plan:
    return plan_of()


def known(name: str) -> bool:
    return any(one["name"] == name for one in strategies())


@pytest.mark.parametrize(
    ("resources", "again"),
    [
        ({}, sys.platform != "darwin"),
        ({"device": "cpu"}, True),
        ({"device": "cpu", "gpus": 1}, False),
        ({"gpus": 0.25}, False),
        ({"gpus": 1, "device": "cuda"}, False),
        ({"device": "mps"}, False),
    ],
)
def test_only_workers_on_cpus_are_used_again(
    plan: Plan, resources: dict[str, Any], again: bool
) -> None:
    configs = [planned.config for planned in plan.trajectories]
    assert used_again(ResourcesConfig.model_validate(resources), configs) is again


def test_a_mac_has_a_card_that_nobody_asked_for(plan: Plan, monkeypatch: Any) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    configs = [planned.config for planned in plan.trajectories]
    assert not used_again(ResourcesConfig(), configs)
    assert used_again(ResourcesConfig(device="cpu"), configs)


def test_a_learner_of_another_package_gets_a_process_alone(plan: Plan) -> None:
    ours, foreign = plan.trajectories[0].config, plan.trajectories[1].config
    training = foreign.training.model_copy(
        update={"learner": foreign.training.learner.model_copy(update={"name": "theirs"})}
    )
    foreign = foreign.model_copy(update={"training": training})
    assert used_again(ResourcesConfig(), [ours]) is (sys.platform != "darwin")
    assert not used_again(ResourcesConfig(device="cpu"), [ours, foreign])


def test_a_slate_is_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_BEFORE", "1")
    plugin = tmp_path / "plugin.py"
    plugin.write_text(PLUGIN)
    torch.manual_seed(torch.Generator().initial_seed())
    fresh = torch.rand(3)
    slate, folder = Slate(), Path.cwd()
    os.environ.update(OF_BEFORE="2", OF_A_TRAJECTORY="1")
    monkeypatch.chdir(tmp_path)
    load_file(plugin)
    assert known("of_a_file")
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    slate.wipe()
    assert os.environ["OF_BEFORE"] == "1"
    assert "OF_A_TRAJECTORY" not in os.environ
    assert Path.cwd() == folder
    assert not known("of_a_file")
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()
    assert torch.equal(torch.rand(3), fresh)
    # A file is run anew, so that what it has kept in its module is gone.
    load_file(plugin)
    (module,) = [m for name, m in sys.modules.items() if name.endswith(load_file(plugin))]
    assert module.seen == []
    slate.wipe()


class Watched(TableWork):
    """Table-lookup trajectories of which one can see whether they are still in memory."""

    made: ClassVar[weakref.WeakSet[Any]] = weakref.WeakSet()

    def trajectory(self, config: TrajectoryConfig, folder: Path, tell: Any) -> TableTrajectory:
        stepper = super().trajectory(config, folder, tell)
        self.made.add(tell)
        logging.getLogger("alsweep").info("opened")
        return stepper


def test_a_worker_takes_one_trajectory_after_the_other(run: Path, plan: Plan) -> None:
    handlers = list(logging.getLogger("alsweep").handlers)
    worker = TrajectoryTrainable.__new__(TrajectoryTrainable)
    configs = {planned.id: planned.config for planned in plan.trajectories}
    worker.setup({"trajectory": plan.ids[0]}, Assignment(run, Watched(run), configs))
    for id_ in plan.ids[1:]:
        while not (told := worker.step())["done"]:
            assert told["failed"] is None
        # Done: the folder is free, the log is closed, and the trajectory is out of memory.
        assert not Watched.made
        assert logging.getLogger("alsweep").handlers == handlers
        assert worker.reset_config({"trajectory": id_})
    for planned in plan.trajectories[:-1]:
        folder = trajectory_folder(run, planned.id)
        lock_folder(folder).close()
        (line,) = log_path(folder).read_text().splitlines()
        assert f"{planned.id} loop 0 INFO opened" in line
    first = table_record(configs[plan.ids[1]], 2).mean_dice
    assert (told := worker.step())["loop"] == 0
    assert told["mean_dice"] == table_record(configs[plan.ids[-1]], 0).mean_dice != first
    # Stopped in the middle, as a scheduler does.
    worker.cleanup()
    assert logging.getLogger("alsweep").handlers == handlers
    lock_folder(trajectory_folder(run, plan.ids[-1])).close()


def test_a_surplus_worker_leaves_no_trace(run: Path, plan: Plan) -> None:
    worker = TrajectoryTrainable.__new__(TrajectoryTrainable)
    worker.setup({"trajectory": plan.ids[0]}, Assignment(run, TableWork(run), {}))
    worker.cleanup()
    assert not run.exists()


def test_a_trajectory_lets_go_of_its_memory_and_threads(run: Path, plan: Plan) -> None:
    gone = weakref.ref(trajectory := Trajectory(plan.trajectories[0].config, run))
    trajectory._begin()
    trajectory.close()
    del trajectory
    Slate().wipe()
    assert gone() is None


def test_a_worker_unpacks_its_own_config_alone(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    configs = {planned.id: planned.config for planned in plan.trajectories}
    sent = pickle.dumps(Packed(configs))
    made: list[object] = []
    monkeypatch.setattr(
        TrajectoryConfig, "__setstate__", lambda self, state: made.append(state), raising=False
    )
    packed = pickle.loads(sent)
    assert list(packed) == list(configs)
    assert not made
    packed[plan.ids[1]]
    assert len(made) == 1
    monkeypatch.undo()
    assert dict(packed) == configs


class Knot:
    """Refers to itself."""

    def __init__(self) -> None:
        self.itself = self


def test_a_wipe_frees_knots_and_walks_only_through_what_is_new() -> None:
    try:
        slate = Slate()
        before = gc.get_freeze_count()
        assert before > 0
        imported = [Knot() for _ in range(1000)]  # by the first trajectory
        counts = []
        for _ in range(3):
            knot = weakref.ref(Knot())
            slate.wipe()
            assert knot() is None
            counts.append(gc.get_freeze_count())
        # What is there after the first is not looked at again, and of later ones nothing is kept.
        assert counts[0] >= before + len(imported)
        assert counts[0] >= counts[1] >= counts[2]
    finally:
        gc.unfreeze()
