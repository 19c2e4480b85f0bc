import multiprocessing

import pytest

from alsweep import Trajectory
from alsweep.config.sweep import ResourcesConfig
from tests.trajectory.conftest import log_bytes, make_config, untimed


@pytest.mark.parametrize("at_once", [1, 2])
def test_equal_trajectories_on_one_card_ask_for_the_same_patches(phantom, tmp_path, at_once):
    resources = ResourcesConfig(cpus=4, members_at_once=at_once)
    config = make_config(phantom, strategy="clasp_pe")
    runs = []
    for name in ("one", "two"):
        trajectory = Trajectory(config, tmp_path / name, dataset=phantom, resources=resources)
        while not trajectory.finished:
            trajectory.step()
        runs.append((log_bytes(tmp_path / name), untimed(trajectory.records)))
    assert runs[0] == runs[1]
    assert not multiprocessing.active_children()


def test_a_broken_trajectory_goes_on_on_the_card(phantom, tmp_path):
    config = make_config(phantom, strategy="mutual_information")
    unbroken = Trajectory(config, tmp_path / "whole", dataset=phantom)
    while not unbroken.finished:
        unbroken.step()
    for _ in range(unbroken.loops):
        Trajectory(config, tmp_path / "parts", dataset=phantom).step()
    assert log_bytes(tmp_path / "parts") == log_bytes(tmp_path / "whole")


def test_a_start_by_a_pretrained_encoder_repeats_itself_on_the_card(phantom, tmp_path):
    start = {"strategy": {"name": "typiclust_start", "features": "pretrained"}}
    quick = {"pretraining": {"kind": "positional_contrastive", "epochs": 1, "steps": 1}}
    config = make_config(phantom, starting_budget=start, training=quick)
    for name in ("one", "two"):
        Trajectory(config, tmp_path / name, dataset=phantom).begin()
    assert log_bytes(tmp_path / "one") == log_bytes(tmp_path / "two")
