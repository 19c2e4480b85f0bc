from alsweep import Trajectory
from alsweep.config.sweep import ResourcesConfig
from alsweep.results.fulldata import reference_key
from alsweep.trajectory.fulldata import make_reference
from tests.trajectory.conftest import make_config


def test_a_reference_is_the_ensemble_of_a_trajectory_that_annotated_whole_cases(phantom, tmp_path):
    whole = {"patch_size": "whole", "patches": len(phantom.pool), "loops": 1, "stride": 1}
    start = {"strategy": "random", "patches": len(phantom.pool)}
    config = make_config(phantom, query=whole, starting_budget=start)
    record = make_reference(make_config(phantom), phantom, tmp_path / "models", ResourcesConfig())
    trajectory = Trajectory(config, tmp_path / "whole", dataset=phantom, models=tmp_path / "models")
    (loop,) = trajectory.run()
    assert loop.members == record.members
    assert loop.cached_members == len(record.members)
    assert loop.foreground_fraction == 1
    assert (loop.mean_dice, loop.case_dice) == (record.mean_dice, record.case_dice)
    assert record.key == reference_key(config, phantom.fingerprint)
    assert record.train_seconds > 0


def test_a_reference_that_was_broken_off_keeps_its_members(phantom, tmp_path):
    arguments = (make_config(phantom), phantom, tmp_path / "models", ResourcesConfig())
    first = make_reference(*arguments)
    phases = []
    again = make_reference(*arguments, lambda progress: phases.append(progress.phase))
    assert again == first
    assert "evaluate" not in phases
