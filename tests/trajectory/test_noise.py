from alsweep.config.sweep import ResourcesConfig
from alsweep.trajectory.budget import draw_start
from alsweep.trajectory.noise import repeat_start, training_seed
from alsweep.trajectory.runner import Trajectory
from tests.trajectory.conftest import make_config


def test_repeats_share_labels_and_the_first_is_the_trajectorys_own(phantom, tmp_path):
    config = make_config(phantom, query={"loops": 1}, training={"members": 1})
    models, resources = tmp_path / "models", ResourcesConfig()
    records = [
        repeat_start(config, r, dataset=phantom, models=models, resources=resources)
        for r in range(2)
    ]
    trajectory = Trajectory(config, tmp_path / "t", dataset=phantom, models=models)
    trajectory.run()
    (own,) = trajectory.records
    assert own.cached_members == 1
    assert (records[0].mean_dice, records[0].dice) == (own.mean_dice, own.dice)
    assert records[1].dice != own.dice
    assert len({record.start for record in records}) == 1
    assert {record.setting for record in records} == {own.setting}
    assert records[0].iterations == 2
    again = repeat_start(config, 1, dataset=phantom, models=models, resources=resources)
    assert again.dice == records[1].dice
    assert len(draw_start(config, phantom)) == own.annotated_patches


def test_seeds_of_repeats_differ_from_each_other():
    seeds = [training_seed(seed, repeat) for seed in range(4) for repeat in range(4)]
    assert len(set(seeds)) == 16
    assert seeds[::4] == [0, 1, 2, 3]
