"""What a sweep is foretold to write, against what it writes."""

from pathlib import Path

import pytest

from alsweep.data.case import Dataset
from alsweep.errors import DiskFullError
from alsweep.layout import trajectory_folder
from alsweep.sweep.forecast import Forecast, forecast
from alsweep.sweep.plan import Plan
from alsweep.trajectory.runner import Trajectory
from tests.small_disk import fill, small_disk
from tests.sweep.conftest import MakePlan
from tests.sweep.test_missing import do_loops

TRAINING = {
    "members": 2,
    "epochs": 1,
    "iterations_per_epoch": 1,
    "features": [8, 16, 16],
    "patch_size": [16, 16, 16],
}


def used(folder: Path) -> int:
    """Bytes on the disk, not of the content."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def base(loops: int, **training: object) -> dict[str, object]:
    query = {"patches": 6, "loops": loops, "patch_size": [8, 8, 8]}
    return {"query": query, "training": TRAINING | training}


def foretold(run: Path, plan: Plan, *, private: bool = True) -> Forecast:
    made = forecast(run, plan, private=private)
    assert made is not None
    return made


def test_a_trajectory_writes_about_what_was_foretold_and_no_more(
    run: Path, dataset: Dataset, plan_of: MakePlan
) -> None:
    plan = plan_of(base=base(loops=2), seeds=[0], grid={"strategy": ["random"]})
    expected = foretold(run, plan)
    (planned,) = plan.trajectories
    folder = trajectory_folder(run, planned.id)
    Trajectory(planned.config, folder, dataset=dataset, models=run / "models").run()
    assert 0.5 * expected.members < used(run / "models") <= expected.members
    assert used(folder / "labels.zarr") <= expected.labels
    assert used(folder) - used(folder / "labels.zarr") <= expected.rest
    assert forecast(run, plan) is None


def test_the_store_is_foretold_no_larger_than_it_may_become(run: Path, plan_of: MakePlan) -> None:
    bound = {"models_gib": 0.001, "cpus": 1000}  # one worker
    few, many = foretold(run, plan_of(base=base(loops=2))), foretold(run, plan_of(base=base(12)))
    kept = foretold(run, plan_of(base=base(12), resources=bound))
    assert few.members < many.members
    assert kept.members == int(0.001 * 2**30) + kept.largest
    assert kept.members < many.members


def test_what_is_done_is_foretold_no_more(run: Path, plan_of: MakePlan) -> None:
    plan = plan_of(base=base(loops=3))
    before = foretold(run, plan)
    for index in (0, 1):
        do_loops(run, plan, index, 3)
    after = foretold(run, plan)
    assert after.members < before.members
    assert after.labels == before.labels / 2
    assert after.rest < before.rest


def test_a_cluster_may_train_all_at_once(run: Path, plan_of: MakePlan) -> None:
    plan = plan_of(base=base(loops=12), seeds=list(range(10)), resources={"cpus": 1000})
    here, cluster = foretold(run, plan), foretold(run, plan, private=False)
    assert cluster.checkpoints == 20 * here.checkpoints
    unsaid = forecast(run, plan)
    assert unsaid is not None
    assert unsaid.checkpoints == here.checkpoints


def test_a_disk_that_does_not_take_it_is_warned_of_and_one_without_room_refused(
    tmp_path: Path, plan_of: MakePlan
) -> None:
    plan = plan_of(base=base(loops=2))
    with small_disk(tmp_path / "disk", 64) as disk:
        roomy = foretold(disk / "run", plan)
        assert roomy.fits
        assert roomy.told.startswith(f"disk {disk}: at most ")
        assert roomy.told.endswith("; 64 MiB free")
        filler = fill(disk, left=20 << 20)
        tight = foretold(disk / "run", plan)
        assert not tight.fits
        assert tight.told.startswith(f"warning: disk {disk}: at most ")
        assert "lower resources.models_gib" in tight.told
        filler.unlink()
        fill(disk, left=16 << 20)
        with pytest.raises(DiskFullError, match=f"the disk {disk} is full"):
            forecast(disk / "run", plan)


def test_whole_cases_can_be_foretold(run: Path, dataset: Dataset, plan_of: MakePlan) -> None:
    query = {"patches": 2, "loops": 1, "patch_size": "whole"}
    start = {"strategy": "random"}
    whole = {"query": query, "training": TRAINING, "strategy": "random", "starting_budget": start}
    plan = plan_of(base=whole, seeds=[0], grid={})
    voxels = 2 * 24**3
    assert voxels < foretold(run, plan).labels < 2 * voxels


def test_records_are_foretold_by_what_each_loop_writes(run: Path, plan_of: MakePlan) -> None:
    def rest(loops: int, patches: int, mode: str = "disabled") -> int:
        query = {"patches": patches, "loops": loops, "patch_size": [8, 8, 8]}
        start = {"patches": 6}
        raw = {"query": query, "training": TRAINING, "starting_budget": start}
        one = {"seeds": [0], "grid": {"strategy": ["random"]}, "wandb": {"mode": mode}}
        return foretold(run, plan_of(base=raw, **one)).rest

    # Of a loop: its record (a block, 64 bytes for each of a judged case's three classes), its
    # query (a block and 128 bytes a patch) and its row.
    loop = 4096 + 64 * 3 + 4096 + 128 * 6 + 512
    assert rest(3, 6) - rest(2, 6) == loop
    assert rest(2, 7) - rest(2, 6) == 2 * 128
    assert rest(2, 6, "offline") - rest(2, 6) == 64 * 1024
    assert rest(2, 6) == 10 * 2**20 + 4 * 4096 + 2 * loop


def test_checkpoints_are_two_a_training_under_way(run: Path, plan_of: MakePlan) -> None:
    def made(**resources: float) -> Forecast:
        one = {"seeds": [0], "grid": {"strategy": ["random"]}}
        return foretold(run, plan_of(base=base(loops=2), resources=resources, **one))

    one, both = made(members_at_once=1), made(members_at_once=2)
    # The network and two moments, twice.
    assert one.checkpoints == 6 * one.largest
    assert both.checkpoints == 12 * both.largest
    assert one.total == one.members + one.checkpoints + one.labels + one.rest
