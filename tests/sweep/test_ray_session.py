import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
import ray
from ray._private import ray_constants

from alsweep.config.sweep import ResourcesConfig
from alsweep.errors import ConfigError, RayGoneError
from alsweep.sweep import ray_session
from alsweep.sweep.environment import worker_environment


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


@pytest.mark.parametrize(("cpus", "gpus"), [(4, 0), (4, 2), (0.5, 0.5)])
def test_what_ray_has_just_enough_of_is_given(monkeypatch, caplog, cpus, gpus):
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 4.0, "GPU": 2.0})
    wanted = ResourcesConfig(cpus=cpus, gpus=gpus, device="cuda" if gpus else "cpu")
    ray_session._check_resources(wanted, local=True)
    assert not caplog.text


@pytest.mark.parametrize(
    ("wanted", "lack"),
    [
        ({"cpus": 4.5}, "resources.cpus: a worker needs 4.5, but Ray has 4 in all"),
        ({"gpus": 1}, "resources.gpus: a worker needs 1, but Ray has 0 in all"),
    ],
)
def test_a_lack_is_an_error_here_and_waited_for_on_a_cluster(monkeypatch, caplog, wanted, lack):
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 4.0})
    with pytest.raises(ConfigError, match=f"{lack}; write less, or use a cluster"):
        ray_session._check_resources(ResourcesConfig(**wanted), local=True)
    with caplog.at_level(logging.WARNING):
        ray_session._check_resources(ResourcesConfig(**wanted), local=False)
    assert f"warning: {lack}; waiting for nodes to join" in caplog.text


def test_a_private_ray_has_a_small_store_and_says_nothing(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(ray, "init", lambda **options: asked.append(options))
    monkeypatch.setattr(ray_session, "require_room", lambda folder: asked.append(folder))
    monkeypatch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", True)
    monkeypatch.setenv(ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR, "1")
    ray_session._start_private(str(tmp_path))
    assert not ray_constants.ENABLE_RAY_CLUSTER, "it listens on loopback alone"
    assert os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] == "0"
    room, options = asked
    assert (room, options["_temp_dir"]) == (tmp_path, str(tmp_path))
    assert options["object_store_memory"] == 200 * 2**20
    assert options["address"] == "local"
    assert not options["include_dashboard"]
    assert options["_system_config"] == {"prestart_worker_first_driver": False}
    assert not options["log_to_driver"]


def start_that_ends(monkeypatch, said):
    """A start of Ray that leaves a process and an error; returns the process."""
    left = []

    def init(**_):
        left.append(subprocess.Popen(["sleep", "60"]))
        raise Exception(said)

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(Exception, match="busy" if "timed out" in said else said) as raised:
        ray_session._start_private(None)
    return left[0], raised.type


def test_a_start_that_takes_too_long_is_a_loss_and_leaves_no_process(monkeypatch):
    said = "The current node timed out during startup. This could happen because ..."
    process, kind = start_that_ends(monkeypatch, said)
    assert (psutil.pid_exists(process.pid), kind) == (False, RayGoneError)


def test_any_other_error_of_a_start_stays_what_it_is(monkeypatch):
    process, kind = start_that_ends(monkeypatch, "something else")
    process.kill()
    assert (process.wait(5), kind) == (-signal.SIGKILL, Exception)


@pytest.mark.parametrize("kind", [ConnectionError, ValueError])
def test_a_cluster_that_does_not_answer_is_told_in_one_line(monkeypatch, kind):
    def refuse(**options):
        assert options["runtime_env"]["env_vars"] == worker_environment(ResourcesConfig())
        assert not options["log_to_driver"]
        raise kind("nobody there\nand a lot more")

    monkeypatch.setattr(ray, "init", refuse)
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        place = "{}:{}".format(*somebody.getsockname())
        said = rf"^--address {place}: .* \(nobody there\); leave --address"
        with pytest.raises(ConfigError, match=said):
            ray_session._connect(place, ResourcesConfig())


@pytest.mark.parametrize("address", ["http://head:8265", "s3://bucket/run"])
def test_the_address_of_something_else_is_told(address):
    said = (
        rf"^--address {address}: is no address of a Ray cluster; write HEAD:6379, .* 'alsweep sub"
    )
    with pytest.raises(ConfigError, match=said):
        ray_session._connect(address, ResourcesConfig())


def test_a_private_ray_that_is_found_here_is_not_asked_for_ever(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        gone = "{}:{}".format(*somebody.getsockname())
    monkeypatch.setattr(ray_session, "canonicalize_bootstrap_address", lambda address: gone)
    monkeypatch.setattr(ray, "init", lambda **options: pytest.fail("it would hang"))
    with pytest.raises(ConfigError, match=r"^--address auto: no Ray .* \(Connection refused\)"):
        ray_session._connect("auto", ResourcesConfig())


def test_only_a_long_temporary_folder_is_replaced_and_the_short_one_goes(monkeypatch, tmp_path):
    monkeypatch.setattr(ray_session, "_SHORT_PLACES", (str(tmp_path / "none"), str(tmp_path)))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/" + 34 * "a")
    with ray_session._short_temporary() as folder:
        assert folder is None
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/" + 35 * "a")
    with ray_session._short_temporary() as folder:
        assert Path(folder).parent == tmp_path
        (Path(folder) / "socket").touch()
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(ray_session, "_SHORT_PLACES", (str(tmp_path / "none"),))
    with pytest.raises(ConfigError, match="let TMPDIR name a folder of at most 35 bytes"):
        ray_session._short_folder("/" + 35 * "a")


@pytest.mark.parametrize(("level", "heard"), [(logging.DEBUG, True), (logging.INFO, False)])
def test_what_ray_prints_is_no_result(monkeypatch, capsys, level, heard):
    monkeypatch.setattr(ray_session._log, "isEnabledFor", lambda asked: level <= asked)
    with ray_session._quiet_stdout():
        sys.stdout.write("chatter")
    out, err = capsys.readouterr()
    assert (out, "chatter" in err) == ("", heard)


PROBE = """
import os, ray

@ray.remote(num_cpus=0)
def visible():
    return os.environ.get("CUDA_VISIBLE_DEVICES")

ray.init(address="local", num_gpus=2, include_dashboard=False, log_to_driver=False)
print(*[repr(ray.get(visible.options(num_gpus=gpus).remote())) for gpus in (0, 0.5)])
ray.shutdown()
"""


@pytest.mark.ray
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


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_where_nobody_listens_is_one_line_before_ray_says_anything(
    monkeypatch, capfd, scheme
):
    def never(**_):
        raise AssertionError("Ray was asked")

    monkeypatch.setattr(ray, "init", never)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and not listened on
        address = f"{scheme}127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigError, match=r"no Ray cluster answers there .*refused"):
            ray_session._connect(address, ResourcesConfig())
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("address", ["auto", "head"])
def test_an_address_that_is_none_of_a_port_is_left_to_ray(monkeypatch, address):
    asked = []
    monkeypatch.setattr(ray_session, "canonicalize_bootstrap_address", lambda address: None)
    monkeypatch.setattr(ray, "init", lambda **given: asked.append(given["address"]))
    monkeypatch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", False)
    monkeypatch.setenv(ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR, "0")
    ray_session._connect(address, ResourcesConfig())
    assert asked == [address]
    assert ray_constants.ENABLE_RAY_CLUSTER, "nodes have to reach a driver"


KILL_THE_FIRST_WORKER = """
import psutil, sys, time
driver = psutil.Process(int(sys.argv[1]))
while True:
    for one in driver.children(recursive=True):
        try:
            if "ray::IDLE" in one.name() or one.cmdline()[1].endswith("default_worker.py"):
                one.kill()
                sys.exit()
        except (psutil.Error, IndexError):
            pass
"""

BEGIN = """
import os, subprocess, sys
import ray
from alsweep.config.sweep import ResourcesConfig
from alsweep.sweep.ray_session import ray_session
from alsweep.sweep.stops import stops_raise
killer = subprocess.Popen([sys.executable, "-c", sys.argv[1], str(os.getpid())])
with stops_raise(), ray_session(ResourcesConfig()):
    print(ray.get(ray.remote(lambda: "answered").remote()), file=sys.stderr)
assert killer.wait() == 0
"""


@pytest.mark.slow
def test_a_start_of_which_the_first_worker_is_killed_comes_to_an_end():
    command = [sys.executable, "-c", BEGIN, KILL_THE_FIRST_WORKER]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert (ended.returncode, "answered" in ended.stderr) == (0, True), ended.stderr
