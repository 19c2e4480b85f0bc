"""What a submission uploads and tells the cluster, and how a job is followed to its end."""

import base64
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest

from alsweep import __version__
from alsweep.cli import main as command
from alsweep.config.load import load_sweep
from alsweep.errors import ConfigError, DatasetError, RunFolderError
from alsweep.sweep import job_entry, job_server, nodes
from alsweep.sweep.environment import cluster_address, cluster_environment, prepare_environment
from alsweep.sweep.job_server import JobServer, LostSightError, connect, exit_code
from alsweep.sweep.submitting import Submission, parsed_environment, place_there, stage
from alsweep.sweep.wheel import package_folder, write_wheel
from tests.sweep.conftest import MakePlan

SPACE = """
name: far
dataset: {dataset}
base: {{query: {{patches: 6, loops: 2, patch_size: [8, 8, 8]}}}}
plugins: [{plugins}]
"""
PLUGIN = """
from dataclasses import dataclass
from alsweep.query import Stages, Strategy, strategy

@strategy("mine")
@dataclass(frozen=True)
class Mine(Strategy):
    \"\"\"Mine.\"\"\"
    def stages(self) -> Stages:
        return Stages(map="margin")
"""


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A search space in a folder of its own, with a plug-in beside that."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spaces").mkdir()
    (tmp_path / "mine.py").write_text(PLUGIN)
    path = tmp_path / "spaces" / "far.yaml"
    path.write_text(SPACE.format(dataset="data/set", plugins="../mine.py"))
    return path


def submission_of(space: Path, **changes: Any) -> Submission:
    return Submission(space, load_sweep(space), **{"out": "/shared/run", **changes})


def test_paths_are_told_as_absolute_ones_and_plugins_as_uploaded(
    space: Path, tmp_path: Path
) -> None:
    words = submission_of(space, overrides=["seeds=[0, 1]"]).entrypoint
    assert words == (
        "python .alsweep/job_entry.py run far.yaml --out /shared/run --set 'seeds=[0, 1]' "
        f"--set 'dataset=\"{tmp_path}/data/set\"' --set 'plugins=[\"plugins/mine.py\"]'"
    )


@pytest.mark.parametrize("place", ["/abs/set", "s3://bucket/set", "~/set", "$DATA/set"])
def test_places_that_the_cluster_knows_itself_stay_as_they_are(place: str) -> None:
    assert place_there(place) == place


def test_settings_have_datasets_of_their_own(space: Path, tmp_path: Path) -> None:
    text = space.read_text().replace("dataset: data/set\n", "")
    more = "settings: [{name: a.b, dataset: one}, {name: c, dataset: /two}]\n"
    space.write_text(text + more)
    there = submission_of(space).entrypoint
    assert f'settings.a.b.dataset="{tmp_path}/one"' in there
    assert "settings.c" not in there


def test_search_space_plugins_and_alsweep_are_all_that_is_uploaded(
    space: Path, tmp_path: Path
) -> None:
    (space.parent / "secret").write_text("key")
    (tmp_path / "data").mkdir()
    folder = tmp_path / "upload"
    folder.mkdir()
    stage(submission_of(space), folder)
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    wheel = f".alsweep/alsweep-{__version__}-py3-none-any.whl"
    ours = {".alsweep/job_entry.py", ".alsweep/upload.json", wheel}
    assert files == {"far.yaml", "plugins/mine.py", *ours}
    assert (folder / "far.yaml").read_bytes() == space.read_bytes()
    # The same files are the same upload, which a cluster then has already.
    first = (folder / wheel).read_bytes()
    assert write_wheel(tmp_path).read_bytes() == first


def test_the_wheel_is_one_and_is_this_alsweep(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path)
    with zipfile.ZipFile(wheel) as archive:
        info = f"alsweep-{__version__}.dist-info"
        names = set(archive.namelist())
        assert {f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD")} < names
        for line in archive.read(f"{info}/RECORD").decode().splitlines():
            name, hashed, size = line.rsplit(",", 2)
            names.discard(name)
            if hashed:
                content = archive.read(name)
                found = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode()
                assert (hashed, int(size)) == (f"sha256={found.rstrip('=')}", len(content))
        assert not names, "not in RECORD"
        assert "Requires-Dist: monai" in archive.read(f"{info}/METADATA").decode()
    place = job_entry.unpacked(wheel, tmp_path / "there")
    assert job_entry.digest(place / "alsweep") == job_entry.digest(package_folder())
    assert job_entry.unpacked(wheel, place) == place
    assert job_entry.lacking(wheel) == []


def entered(folder: Path, python_path: Path | None) -> subprocess.CompletedProcess[str]:
    """What the entry of a job says that is asked for the version."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    first = [str(python_path)] if python_path else []
    rest = [one for one in os.environ.get("PYTHONPATH", "").split(os.pathsep) if one]
    environment["PYTHONPATH"] = os.pathsep.join([*first, *rest])
    told = "alsweep.__file__, os.environ.get('ALSWEEP_UPLOADED'), os.getcwd()"
    code = f"import alsweep, os; print({told})"
    script = folder / ".alsweep" / "job_entry.py"
    text = script.read_text().replace('"-m", "alsweep", *arguments', f'"-c", {code!r}')
    script.write_text(text)
    return subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True)


def test_the_cluster_s_own_alsweep_is_used_only_where_it_is_this_one(
    space: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "upload"
    folder.mkdir()
    stage(submission_of(space), folder)
    same = entered(folder, None).stdout.split()
    assert same[:2] == [str(package_folder() / "__init__.py"), "None"]
    other = tmp_path / "other" / "alsweep"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text('__version__ = "0.0.1"\n')
    file, uploaded, where = entered(folder, other.parent).stdout.split()
    assert Path(file).parent == Path(uploaded)
    # In a copy of the job's own, since other nodes on the machine unpack the upload there again.
    own = Path(uploaded).parents[2]
    assert (own.parent, own.name.startswith("alsweep-job-")) == (folder.parent, True)
    assert Path(where) == own
    assert {path.name for path in folder.iterdir()} <= {path.name for path in own.iterdir()}
    assert job_entry.digest(Path(uploaded)) == job_entry.digest(package_folder())


def test_a_cluster_without_what_alsweep_needs_is_told_what(tmp_path: Path) -> None:
    upload_folder = tmp_path / "upload" / ".alsweep"
    upload_folder.mkdir(parents=True)
    wheel = upload_folder / "alsweep-9-py3-none-any.whl"
    told = (
        "Metadata-Version: 2.1\nName: alsweep\nVersion: 9\n"
        "Requires-Dist: numpy<1\nRequires-Dist: numpy>=1\nRequires-Dist: no-such-thing>=2\n"
        "Requires-Dist: also-none; extra == 'dev'\n"
    )
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("alsweep-9.dist-info/METADATA", told)
    upload = {"version": "9", "digest": "x", "wheel": wheel.name}
    (upload_folder / "upload.json").write_text(json.dumps(upload))
    script = upload_folder / "job_entry.py"
    script.write_bytes(Path(job_entry.__file__).read_bytes())
    run = subprocess.run([sys.executable, script, "run"], capture_output=True, text=True)
    assert run.returncode == 2
    (line,) = run.stderr.splitlines()
    assert line == (
        "alsweep: error: this cluster lacks numpy<1, no-such-thing>=2, which alsweep 9 needs; on "
        "all of its nodes: pip install 'numpy<1' 'no-such-thing>=2', or use the image of "
        "cluster/Dockerfile"
    )


def test_variables_are_given_or_taken_from_here() -> None:
    own = {"KEY": "secret"}
    assert parsed_environment(["A=b=c", "KEY", "B="], own) == {"A": "b=c", "KEY": "secret", "B": ""}
    with pytest.raises(ConfigError, match="--env NONE: is not set here"):
        parsed_environment(["NONE"], own)
    with pytest.raises(ConfigError, match="--env a-b: is no name"):
        parsed_environment(["a-b=secret"], own)


# -- following


def info(status: str, code: int | None = None, message: str = "") -> SimpleNamespace:
    over = status in ("SUCCEEDED", "FAILED", "STOPPED")
    return SimpleNamespace(status=Status(status, over), driver_exit_code=code, message=message)


class Status:
    def __init__(self, name: str, over: bool) -> None:
        self._name, self._over = name, over

    def __str__(self) -> str:
        return self._name

    def is_terminal(self) -> bool:
        return self._over


class Client:
    """A job client whose log streams may break, each a list of pieces and maybe an error."""

    def __init__(self, streams: list[list[str | Exception]], infos: list[Any]) -> None:
        self._streams, self._infos = streams, infos

    async def tail_job_logs(self, id_: str) -> AsyncIterator[str]:
        stream = self._streams.pop(0) if len(self._streams) > 1 else self._streams[0]
        for piece in stream:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    def get_job_info(self, id_: str) -> Any:
        found = self._infos.pop(0) if len(self._infos) > 1 else self._infos[0]
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_server, "_SECONDS_BETWEEN", 0.0)


@pytest.mark.usefixtures("quick")
def test_a_log_is_told_once_though_the_server_goes_away() -> None:
    streams: list[list[str | Exception]] = [
        ["one\n", "two\n", ConnectionError("gone")],
        [RuntimeError("not up yet")],
        ["one\ntwo\nth", "ree\n"],
        ["one\n", "two\nthree\nfour\n"],
    ]
    client, told = Client(streams, [info("RUNNING"), info("FAILED", 3)]), list[str]()
    assert JobServer("http://x", client).follow("id", told.append) == 3
    assert "".join(told) == "one\ntwo\nthree\nfour\n"


@pytest.mark.usefixtures("quick")
def test_a_server_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_server, "_SECONDS_AWAY", 0.0)
    client = Client([["one\n", ConnectionError("gone")]], [])
    with pytest.raises(LostSightError, match=r"does not answer any more \(gone\); the job id may"):
        JobServer("http://x", client).follow("id", lambda text: None)


@pytest.mark.parametrize(
    ("ended", "code", "word"),
    [
        (info("SUCCEEDED", 0), 0, ""),
        (info("SUCCEEDED"), 0, ""),
        (info("FAILED", 2), 2, ""),
        (info("FAILED", 3), 3, ""),
        (info("FAILED", -9), 137, ""),
        (info("STOPPED"), 130, "alsweep: the job was stopped; what was finished is saved"),
        (info("FAILED", None, "no\nroom"), 1, "alsweep: error: the job failed: no room"),
    ],
)
def test_the_exit_code_is_the_job_s_own(ended: Any, code: int, word: str) -> None:
    told = list[str]()
    assert exit_code(ended, told.append) == code
    assert told == ([word] if word else [])


# -- the command


class Server:
    """A job server that takes everything."""

    address = "http://head:8265"

    def __init__(self, end: int | BaseException) -> None:
        self.end = end
        self.taken = list[Submission]()

    def submit(self, submission: Submission) -> str:
        self.taken.append(submission)
        return submission.id

    def follow(self, id_: str, tell: Any) -> int:
        tell("a line of the log\n")
        if isinstance(self.end, BaseException):
            raise self.end
        return self.end

    how_to = JobServer.how_to


def submitted(server: Server, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(job_server, "connect", lambda address: server)
    return command._exit_code(["submit", *words, "--address", server.address], False)


def test_the_id_alone_is_on_stdout_and_the_log_on_stderr(
    space: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "hush")
    server = Server(3)
    words = [str(space), "--out", "runs/far", "--env", "WANDB_API_KEY", "--set", "seeds=[4]"]
    assert submitted(server, monkeypatch, *words) == 3
    (job,), said = server.taken, capsys.readouterr()
    assert said.out == f"{job.id}\n"
    assert said.err == "a line of the log\n"
    assert job.out == str(Path("runs/far").absolute())
    assert job.runtime_env["env_vars"]["WANDB_API_KEY"] == "hush"
    assert job.sweep.seeds == (4,)
    assert "hush" not in f"{said}{job.entrypoint}{job.metadata}"


@pytest.mark.parametrize("interrupted", [True, False])
def test_who_does_not_wait_is_told_how_to_follow_stop_and_fetch(
    space: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    interrupted: bool,
) -> None:
    server = Server(KeyboardInterrupt() if interrupted else 0)
    words = [] if interrupted else ["--no-wait"]
    code = submitted(server, monkeypatch, str(space), *words)
    assert code == (130 if interrupted else 0)
    said, (job,) = capsys.readouterr(), server.taken
    assert said.out == f"{job.id}\n"
    *before, follow, stop, fetch = said.err.splitlines()
    assert before == (["a line of the log", "the job goes on."] if interrupted else [])
    assert follow == f"follow: ray job logs --address {server.address} --follow {job.id}"
    assert stop == f"stop:   ray job stop --address {server.address} {job.id}"
    assert fetch.startswith(f"fetch:  alsweep report {Path('runs/far').absolute()}")


def test_what_is_wrong_with_a_search_space_is_told_before_anything_is_uploaded(
    space: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    space.write_text(space.read_text().replace("loops", "lops"))
    server = Server(0)
    assert submitted(server, monkeypatch, str(space)) == 2
    assert not server.taken
    said = capsys.readouterr()
    assert said.out == ""
    assert "lops" in said.err.splitlines()[-1]


# -- reaching a server


@pytest.fixture
def no_job_server() -> Iterator[str]:
    """A server that knows nothing of jobs."""

    class Nothing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Nothing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("head:8265", "is no address of a job server; write http://HEAD:8265"),
        ("ray://head:10001", "is no address of a job server"),
        ("http://127.0.0.1:1", "no Ray job server answers there"),
    ],
)
def test_an_address_at_which_nobody_is_ends_in_one_line(address: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        connect(address)
    assert str(error.value).startswith(f"--address {address}: ")
    assert words in str(error.value)


def test_a_server_of_something_else_is_told(no_job_server: str) -> None:
    with pytest.raises(ConfigError, match=f"--address {no_job_server}: .*404"):
        connect(no_job_server)


# -- on the cluster


def test_a_run_in_a_job_is_on_the_job_s_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "1.2.3.4:6379")
    assert cluster_address(None) is None, "in no job"
    assert cluster_address("5.6.7.8:1") == "5.6.7.8:1"
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    assert cluster_address(None) == "1.2.3.4:6379"
    assert cluster_address("auto") == "auto"
    assert cluster_address("local") is None


def test_a_private_ray_in_a_job_knows_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch, plan_of: MakePlan
) -> None:
    resources = plan_of().sweep.resources
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    monkeypatch.setenv("RAY_OVERRIDE_JOB_RUNTIME_ENV", "0")
    prepare_environment(resources, private=False)
    assert "py_modules" not in cluster_environment(resources)
    assert os.environ["RAY_OVERRIDE_JOB_RUNTIME_ENV"] == "1"
    monkeypatch.setenv("ALSWEEP_UPLOADED", "/there/alsweep")
    assert cluster_environment(resources)["py_modules"] == ["/there/alsweep"]
    prepare_environment(resources, private=True)
    assert "RAY_JOB_CONFIG_JSON_ENV_VAR" not in os.environ


def test_a_node_says_what_it_lacks(tmp_path: Path, plan_of: MakePlan) -> None:
    (planned, *_) = plan_of().trajectories
    datasets = {planned.config.dataset: planned.dataset_fingerprint}
    probe = tmp_path / ".probe"
    assert nodes.look(probe, datasets, __version__) == ("run", "does not see it")
    probe.touch()
    assert nodes.look(probe, datasets, __version__) == ()
    gone = nodes.look(probe, {tmp_path: "x"}, __version__)
    assert gone == ("dataset", f"has no Dataset at {tmp_path}")
    another = nodes.look(probe, {planned.config.dataset: "x"}, __version__)
    assert another == ("dataset", f"has another Dataset at {planned.config.dataset}")
    assert nodes.look(probe, datasets, "0.0.1")[0] == "alsweep"


def test_what_nodes_lack_is_one_line() -> None:
    run, fine = Path("/run"), {"10.0.0.1": ()}
    nodes._refuse(run, fine)
    unseen = {"10.0.0.2": ("run", "does not see it"), "10.0.0.3": ("run", "does not see it")}
    with pytest.raises(RunFolderError) as error:
        nodes._refuse(run, {**fine, **unseen})
    assert str(error.value) == (
        "/run: node 10.0.0.2 does not see it, and so it is on 1 more of 3 nodes; --out must be a "
        "folder that all nodes of the cluster share"
    )
    with pytest.raises(DatasetError, match="has no Dataset at /d; bring it"):
        nodes._refuse(run, {"10.0.0.2": ("dataset", "has no Dataset at /d")})
    with pytest.raises(ConfigError, match="has alsweep 1, not 2; install the same"):
        nodes._refuse(run, {"10.0.0.2": ("alsweep", "has alsweep 1, not 2")})
