"""Slurm's scripts, run with stand-ins for Slurm, Ray and alsweep on PATH."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

RECIPES = Path(__file__).parent.parent.parent / "cluster"

STANDINS = {
    # A step runs its command here, once for all of its tasks.
    "srun": """
        echo "srun $*" >> "$LOG"
        while [[ "$1" == --* ]]; do shift; done
        exec "$@"
    """,
    "scontrol": """
        echo "scontrol $*" >> "$LOG"
        [ "$1" = requeue ] || printf 'node1\\nnode2\\n'
    """,
    "ray": """
        echo "ray $* mode=$RAY_AUTH_MODE token=$RAY_AUTH_TOKEN pid=$$" >> "$LOG"
        case "$1" in
            health-check) [ -z "${DEAD-}" ] && grep -q '^ray start.*--head' "$LOG" ;;
            start) [ -z "${DEAD-}" ] && exec sleep 60 ;;
            symmetric-run)
                [ -z "${DEAD-}" ] || exit 0  # as Ray's does
                while [ "$1" != -- ]; do shift; done
                shift
                "$@"
                exit 0 ;;
        esac
    """,
    "alsweep": """
        echo "alsweep $* mode=$RAY_AUTH_MODE" >> "$LOG"
        until [ "$(grep -c '^ray start' "$LOG")" -ge "${STARTS-0}" ]; do sleep 0.02; done
        [ -z "${UNTIL-}" ] && exit "${CODE-0}"
        trap 'echo "alsweep got USR1" >> "$LOG"; exit 130' USR1
        trap 'echo "alsweep got TERM" >> "$LOG"; exit 130' TERM
        touch "$UNTIL"
        while true; do sleep 0.05; done
    """,
}


@dataclass(frozen=True)
class Slurm:
    """A place with the stand-ins.

    Attributes:
        place: Working directory.
        log: What the stand-ins were called with.
    """

    place: Path
    log: Path

    def begin(self, script: str, *words: str, **variables: str) -> subprocess.Popen[str]:
        job = {
            "SLURM_JOB_ID": "4711",
            "SLURM_JOB_NODELIST": "node[1-2]",
            "SLURM_JOB_NUM_NODES": "2",
            "SLURM_CPUS_PER_TASK": "8",
            "SLURM_GPUS_PER_NODE": "1",
            "SLURM_ARRAY_JOB_ID": "4711",
            "SLURM_ARRAY_TASK_ID": "3",
            "LOG": str(self.log),
            "PATH": f"{self.place}/bin{os.pathsep}{os.environ['PATH']}",
        }
        return subprocess.Popen(
            [str(RECIPES / script), *words],
            cwd=self.place,
            env={**os.environ, **job, **variables},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, script: str, *words: str, **variables: str) -> tuple[int, str]:
        process = self.begin(script, *words, **variables)
        told = process.communicate(timeout=60)[1]
        return process.returncode, told

    def signalled(self, script: str, number: int, *words: str) -> int:
        """Run until the sweep is at work, then send a signal as Slurm does: to the script alone."""
        working = self.place / "working"
        process = self.begin(script, *words, UNTIL=str(working))
        while not working.exists():
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(number)
        process.communicate(timeout=60)
        return process.returncode

    @property
    def calls(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines()

    def called(self, words: str) -> list[str]:
        return [line for line in self.calls if line.startswith(words)]


@pytest.fixture
def slurm(tmp_path: Path) -> Slurm:
    (tmp_path / "bin").mkdir()
    for name, script in STANDINS.items():
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/bash\n{script}", encoding="utf-8")
        path.chmod(0o755)
    return Slurm(tmp_path, tmp_path / "log")


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def pids_of(calls: list[str]) -> list[int]:
    return [int(call.rpartition("pid=")[2]) for call in calls]


def options(call: str) -> Mapping[str, str]:
    return dict(re.findall(r"--([a-z-]+)=(\S+)", call))


def test_a_sweep_over_nodes_has_a_ray_of_its_own(slurm: Slurm) -> None:
    code, told = slurm.run("slurm-ray.sbatch", "space.yaml", "my run", CODE="3", STARTS="2")
    assert (code, told) == (3, "")
    head, worker = slurm.called("ray start")
    assert "--head" in head
    assert options(head)["dashboard-host"] == "127.0.0.1"
    (sweep,) = slurm.called("alsweep")
    address = options(worker)["address"]
    assert f"alsweep run space.yaml --out my run --address {address} mode=token" == sweep
    assert address.endswith(f":{options(head)['port']}")
    # What the job was given, whatever the node has; and no port of Ray's defaults.
    for call in (head, worker):
        assert options(call)["num-cpus"] == "8"
        assert options(call)["num-gpus"] == "1"
        assert not re.search(r"=(6379|8265|52365|10001)\b", call)
    ports = [value for name, value in options(head).items() if "port" in name]
    assert len(set(ports)) == len(ports) >= 7
    # One secret for all of them, and one that nobody guesses.
    tokens = {
        match[1] for call in slurm.called("ray") if (match := re.search("token=(.*) p", call))
    }
    assert len(tokens) == 1
    assert re.fullmatch("[0-9a-f]{64}", tokens.pop())
    assert not alive(pids_of(slurm.called("ray start")))
    assert slurm.calls[-1].endswith("rm -rf /tmp/ray-4711")
    assert not slurm.called("scontrol requeue")


def test_two_jobs_share_no_port_and_no_folder(slurm: Slurm) -> None:
    slurm.run("slurm-ray.sbatch", "space.yaml", "run")
    slurm.run("slurm-ray.sbatch", "space.yaml", "run", SLURM_JOB_ID="4712")
    one, other = (options(call) for call in slurm.called("ray start --block --head"))
    for name in one:
        if "port" in name or name == "temp-dir":
            assert one[name] != other[name]


@pytest.mark.parametrize("script", ["slurm-ray.sbatch", "slurm-array.sbatch"])
def test_before_its_time_is_up_a_job_stops_tidily_and_comes_again(
    slurm: Slurm, script: str
) -> None:
    words = ["run"] if "array" in script else ["space.yaml", "run"]
    assert slurm.signalled(script, signal.SIGUSR1, *words) == 130
    assert slurm.called("alsweep got") == ["alsweep got USR1"]
    again = "4711_3" if "array" in script else "4711"
    assert slurm.called("scontrol requeue") == [f"scontrol requeue {again}"]
    assert not alive(pids_of(slurm.called("ray start")))


@pytest.mark.parametrize("script", ["slurm-ray.sbatch", "slurm-array.sbatch"])
def test_a_cancelled_job_stops_tidily_and_stays_away(slurm: Slurm, script: str) -> None:
    words = ["run"] if "array" in script else ["space.yaml", "run"]
    assert slurm.signalled(script, signal.SIGTERM, *words) == 130
    assert slurm.called("alsweep got") == ["alsweep got TERM"]
    assert not slurm.called("scontrol requeue")
    assert not alive(pids_of(slurm.called("ray start")))


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("slurm-ray.sbatch", "Ray did not start on node1"),
        ("slurm-symmetric.sbatch", "the sweep did not run"),
    ],
)
def test_a_ray_that_does_not_start_is_no_success(slurm: Slurm, script: str, words: str) -> None:
    code, told = slurm.run(script, "space.yaml", "run", DEAD="yes")
    assert code == 1
    assert words in told
    assert not slurm.called("alsweep")


@pytest.mark.parametrize("code", [0, 3])
def test_the_short_variant_ends_with_the_sweep_s_own_code(slurm: Slurm, code: int) -> None:
    assert slurm.run("slurm-symmetric.sbatch", "space.yaml", "my run", CODE=str(code)) == (code, "")
    (call,) = slurm.called("ray symmetric-run")
    address = call.split()[3]
    assert slurm.called("alsweep") == [
        f"alsweep run space.yaml --out my run --address {address} mode=token"
    ]
    for option in ("--min-nodes 2", "--num-cpus 8", "--num-gpus 1"):
        assert option in call
    assert not slurm.called("scontrol requeue")
    assert not [*slurm.place.glob("*.exit")]


def test_the_short_variant_is_alone_on_its_nodes_and_comes_again(slurm: Slurm) -> None:
    text = (RECIPES / "slurm-symmetric.sbatch").read_text(encoding="utf-8")
    assert "\n#SBATCH --exclusive\n" in text, "it ends with 'ray stop'"
    assert slurm.run("slurm-symmetric.sbatch", "space.yaml", "run", CODE="130")[0] == 130
    assert slurm.called("scontrol requeue") == ["scontrol requeue 4711"]


@pytest.mark.parametrize("code", [0, 3])
def test_a_task_of_an_array_ends_with_the_worker_s_code(slurm: Slurm, code: int) -> None:
    assert slurm.run("slurm-array.sbatch", "my run", CODE=str(code)) == (code, "")
    assert [call.split(" mode")[0] for call in slurm.calls] == ["alsweep worker my run"]


@pytest.mark.parametrize("script", ["slurm-ray", "slurm-symmetric", "slurm-array"])
def test_without_its_words_a_script_says_which(slurm: Slurm, script: str) -> None:
    code, told = slurm.run(f"{script}.sbatch")
    assert code != 0
    assert f"sbatch {script}.sbatch" in told
