import sys

import pytest

from alsweep import Dataset
from alsweep.cli.main import main
from alsweep.data.phantom import write_phantom


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["alsweep", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    return stop.value.code


def test_phantom_makes_what_was_asked_for(monkeypatch, capfd, tmp_path):
    out = tmp_path / "new" / "phantom"
    arguments = ["--cases", 4, "--shape", 16, 20, 24, "--seed", 3]
    assert run(monkeypatch, "phantom", "--out", out, *arguments) == 0
    dataset = Dataset.open(out)
    assert {case.shape for case in dataset.cases.values()} == {(16, 20, 24)}
    assert (len(dataset.pool), len(dataset.validation)) == (3, 1)
    stdout, stderr = capfd.readouterr()
    assert f"{out}: 3 pool and 1 validation cases of 16x20x24 voxels" in stdout
    assert stderr == ""


def test_phantom_draws_what_python_draws(monkeypatch, tmp_path):
    arguments = ["--cases", 2, "--shape", 20, 20, 20, "--margin", 2, "--lesion-share", 0.02]
    assert run(monkeypatch, "phantom", "--out", tmp_path / "cli", *arguments) == 0
    same = write_phantom(
        tmp_path / "python", cases=2, shape=(20, 20, 20), margin=2, lesion_share=0.02
    )
    assert Dataset.open(tmp_path / "cli").fingerprint == same.fingerprint


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--cases", 1], "--cases 1: a phantom needs at least 2"),
        (["--shape", 8, 48, 48], "--shape 8 48 48: a lesion needs at least 16"),
        (["--seed", -1], "--seed"),
        (["--margin", -1], "--margin"),
        (["--name", "a\nb"], "--name 'a\\nb': write a name of one line"),
        (["--lesion-share", 0.2], "--lesion-share"),
        (["--classes", 1], "--classes 1: a phantom has 2 to 30 classes beside the background"),
    ],
)
def test_phantom_refuses_what_it_cannot_draw(monkeypatch, capfd, tmp_path, arguments, reason):
    assert run(monkeypatch, "phantom", "--out", tmp_path / "out", *arguments) == 2
    assert reason in capfd.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_phantom_never_overwrites(monkeypatch, capfd, tmp_path):
    (tmp_path / "out").mkdir()
    assert run(monkeypatch, "phantom", "--out", tmp_path / "out") == 2
    assert "exists already" in capfd.readouterr().err
