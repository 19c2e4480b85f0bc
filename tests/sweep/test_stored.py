import json
import shutil
from pathlib import Path

import pytest

from alsweep.sweep.plan import Plan
from alsweep.sweep.planning import stored_plan
from alsweep.sweep.stored import _Course, stored_members
from tests.golden.test_schema_1 import HERE


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A finished run of three trajectories of two loops and two members, its dataset in it."""
    shutil.unpack_archive(HERE / "schema_1.tar.xz", tmp_path)
    (tmp_path / "dataset").rename(tmp_path / "run" / "dataset")
    return tmp_path / "run"


def plan_in(run: Path) -> Plan:
    return stored_plan(run)


def test_members_of_the_next_loops_are_found_and_nothing_is_written(finished: Path) -> None:
    plan = plan_in(finished)
    assert stored_members(finished, plan).total() == 0  # none is missing
    random, clasp, _ = (finished / "trajectories" / id_ for id_ in plan.ids)
    shutil.rmtree(random)  # lacks a start
    (clasp / "records" / "loop_001.json").unlink()
    before = sorted(finished.rglob("*"))
    assert stored_members(finished, plan).total() == 4
    assert sorted(finished.rglob("*")) == before
    (lost,) = finished.glob("models/69fe4e1a*/weights.pt")
    lost.unlink()
    assert stored_members(finished, plan).total() == 3


def test_without_a_store_none_is_stored(finished: Path) -> None:
    plan = plan_in(finished)
    shutil.rmtree(finished / "trajectories")
    assert stored_members(finished, plan).total() == 2
    shutil.rmtree(finished / "models")
    assert stored_members(finished, plan).total() == 0


def test_who_has_patches_that_others_trained_on_is_looked_up(finished: Path) -> None:
    plan = plan_in(finished)
    first, *_ = plan.trajectories
    course = _Course.read(finished, first)
    assert course.digests[0] != course.digests[1]
    assert len(course.patches) == first.config.patches_at(1)
    others = [_Course.read(finished, one) for one in plan.trajectories[1:]]
    assert {one.digests[0] for one in others} == {course.digests[0]}  # the start is shared
    # As if it had to find its second loop again, and everybody its own: those are in no record.
    for planned in plan.trajectories:
        (finished / "trajectories" / planned.id / "records" / "loop_001.json").unlink()
    assert stored_members(finished, plan) == {planned.id: 2 for planned in plan.trajectories}
    # Whose members were trained by others, with other patches, is not looked up at all.
    for meta in finished.glob("models/*/meta.json"):
        said = json.loads(meta.read_text())
        meta.write_text(json.dumps(said | {"owner": f"start-{said['owner']}"}))
    assert stored_members(finished, plan) == {}
    for meta in finished.glob("models/*/meta.json"):
        meta.write_text("torn")
    assert stored_members(finished, plan).total() == 6
