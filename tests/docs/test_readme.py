"""What the README tells people to type is typed, on a tiny phantom and in one session of Ray."""

import json
import os
import re
import secrets
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from alsweep import Dataset
from alsweep.cli.main import main
from alsweep.config.load import load_sweep
from alsweep.data.exchange import write_loops
from alsweep.geometry import Patch
from alsweep.query import make_strategy
from alsweep.sweep.job import Outcome
from tests.data.raws import nnunet
from tests.results.published_files import write_analysis

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text()

NOT_RUN = {
    "make demo": "installs a virtual environment; the gate runs it",
    "make test": "runs this test; the gate runs it",
    "alsweep run search_spaces/hippocampus-low.yaml --dry-run": "needs the user's own data",
    "alsweep run search_spaces/hippocampus-low.yaml": "needs the user's own data, and hours",
    "alsweep sync runs/my-first-sweep": "needs W&B; tests/tracking runs it against a server here",
}

SMALLER = {
    "alsweep phantom": "--cases 4 --shape 40 40 40",
    "alsweep run space.yaml": "SPACE",
    "alsweep fulldata space.yaml": "SPACE",
    "alsweep noise space.yaml": "SPACE",
}
"""Beginning of a command to what is added to it, so that it takes a second."""

SPACE = (
    "base.starting_budget.patches=6",
    "base.query.patches=2",
    "base.query.loops=3",
    "base.training.epochs=1",
    "base.training.iterations_per_epoch=2",
    "seeds=[0]",
    "grid={strategy: [random, predictive_entropy], query.patch_size: [[16, 16, 16]]}",
    "wandb.mode=disabled",
)


def commands() -> list[str]:
    """Indented lines that call something, and calls of alsweep within the text."""
    code = re.findall(r"^    (alsweep .*|make .*)$", TEXT, re.M)
    lines = [line.split("   #")[0].rstrip() for line in code]
    return [*re.findall(r"`(alsweep [a-z]+ --[^`]*)`", TEXT), *lines]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> int:
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as stop:
        main()
    return int(str(stop.value.code))


def smaller(command: str) -> list[str]:
    """The words of a command, with what makes it small."""
    words = shlex.split(command)
    for beginning, more in SMALLER.items():
        if command.startswith(beginning):
            sets = [word for one in SPACE for word in ("--set", one)]
            for word in shlex.split(more):
                words += sets if word == "SPACE" else [word]
    return words


def bring_data(place: Path) -> None:
    """What the README takes for granted: a raw dataset, a search space, loops on the phantom."""
    nnunet(place / "nnUNet_raw" / "Dataset004_Hippocampus")
    (place / "space.yaml").write_text(blocks("yaml")[0])
    dataset = Dataset.open(place / "data" / "phantom")
    boxes = [[Patch(dataset.pool[0], (16 * loop, 0, 0), (16, 16, 16))] for loop in range(2)]
    write_loops(place / "LOOPS", boxes, dataset.cases)
    write_analysis(place / "FOLDER")


def test_what_is_not_run_is_named():
    assert set(NOT_RUN) <= set(commands())
    assert len(commands()) > len(NOT_RUN) + 10


def steps() -> list[dict[str, object]]:
    """All commands that are run, but the first, as a session takes them."""
    found: list[dict[str, object]] = []
    for number, command in enumerate(commands()[1:]):
        if command not in NOT_RUN:
            command, _, file = command.partition(" > ")
            # Every export has a folder of its own.
            words = [f"DIR{number}" if word == "DIR" else word for word in smaller(command)]
            found.append({"words": words, "stdout": file.strip() or None})
    return found


@pytest.mark.ray
@pytest.mark.timeout(900)  # on a machine that many share it takes minutes
def test_every_command_of_the_readme_works(place, monkeypatch):
    assert commands()[0].startswith("alsweep phantom")
    assert call(monkeypatch, smaller(commands()[0])) == 0
    bring_data(place)
    # Ray wants its token before it is imported, and a process that has had no other session.
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
    # The variable wins over what the search space says.
    quiet = {"WANDB_MODE": "disabled"}
    python_path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "tests.docs.session"],
        input=json.dumps(steps()),
        env={**os.environ, **token, **quiet, "PYTHONPATH": python_path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=840,
    )
    assert done.returncode == 0, done.stdout
    run = place / "runs" / "my-first-sweep"
    # Files that are written only if there is something to write are marked so.
    tree = re.findall(r"^    RUN/(\S+) (?!.*if anything)", TEXT, re.M)
    assert len(tree) == 9
    for path in tree:
        assert list(run.glob(path.replace("ID", "*").replace("KEY", "*").rstrip("/"))), path
    assert len(load_sweep(place / "replay.yaml").trajectories()) == 1
    assert list(run.glob("report/queries/*/loop_001/overview.png"))
    assert list(run.glob("report/try/*/loop_001/*"))
    run_in_python(run, monkeypatch)


def run_in_python(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block that runs a sweep, on one that the command line has finished."""
    monkeypatch.setattr(os, "environ", {**os.environ, "WANDB_MODE": "disabled"})
    block = blocks("python")[1].replace('"space.yaml"', repr(str(run / "sweep.yaml")))
    namespace: dict[str, object] = {"__name__": "readme"}
    exec(compile(block, "readme", "exec"), namespace)
    assert namespace["outcome"] == Outcome(done=2, failed={})


def test_the_python_block_trains_one_loop(place, monkeypatch, capsys):
    assert call(monkeypatch, smaller("alsweep phantom --out data/phantom")) == 0
    text = blocks("python")[0]
    tiny = '"training": {"epochs": 1, "iterations_per_epoch": 2, "members": 1}, "query": {'
    assert text.count('"query": {') == 1
    namespace: dict[str, object] = {"__name__": "readme"}
    exec(compile(text.replace('"query": {', tiny), "readme", "exec"), namespace)
    assert namespace["record"].loop == 0
    assert 0 <= namespace["record"].mean_dice <= 1
    assert f"{namespace['record'].mean_dice} " in capsys.readouterr().out


def test_the_strategy_of_the_readme_is_one():
    namespace: dict[str, object] = {"__name__": "readme"}
    exec(compile(blocks("python")[2], "readme", "exec"), namespace)
    assert make_strategy("my_entropy").composition.map.name == "predictive_entropy"
