import logging
import os
import subprocess
import sys

import pytest
import ray

from alsweep.config.sweep import ResourcesConfig
from alsweep.sweep import ray_session
from alsweep.sweep.environment import worker_environment

pytestmark = pytest.mark.ray


@pytest.mark.parametrize(("gpus", "told"), [(0, True), (0.5, False)])
def test_cards_that_nobody_asked_for_are_told(monkeypatch, caplog, gpus, told):
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 4.0, "GPU": 2.0})
    with caplog.at_level(logging.WARNING):
        ray_session._check_resources(ResourcesConfig(gpus=gpus), local=True)
    assert ("resources.gpus is 0" in caplog.text) == told


def test_nothing_is_told_where_a_cpu_was_asked_for_or_is_all_there_is(monkeypatch, caplog):
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 4.0, "GPU": 2.0})
    ray_session._check_resources(ResourcesConfig(device="cpu"), local=True)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 4.0})
    ray_session._check_resources(ResourcesConfig(), local=True)
    assert not caplog.text


PROBE = """
import os, ray

@ray.remote(num_cpus=0)
def visible():
    return os.environ.get("CUDA_VISIBLE_DEVICES")

ray.init(address="local", num_gpus=2, include_dashboard=False, log_to_driver=False)
print(*[repr(ray.get(visible.options(num_gpus=gpus).remote())) for gpus in (0, 0.5)])
ray.shutdown()
"""


def test_a_worker_sees_the_cards_that_it_asked_for_and_no_others():
    # In a process of its own, since Ray keeps what other tests have told it.
    hidden = ("RAY_", "CUDA_")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        env=plain | worker_environment(ResourcesConfig()),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.split() in (["''", "'0'"], ["''", "'1'"])
