import json
import os
import sys
from pathlib import Path

import pytest

from alsweep import __version__
from alsweep.cli.failures import tell_failures
from alsweep.cli.main import main
from alsweep.cli.run import read_space
from alsweep.config.load import load_sweep
from alsweep.config.sweep import ResourcesConfig
from alsweep.config.trajectory import PRESETS
from alsweep.data.ingest.conversion import ingest
from alsweep.layout import trajectory_folder
from alsweep.sweep.environment import prepare_environment
from alsweep.sweep.planning import plan_of, plan_read
from alsweep.sweep.run_folder import driver_lock, write_space
from alsweep.testing.runs import synthetic_record
from alsweep.trajectory.query_log import QueryLog
from tests.data.raws import nnunet, save, volume

ROOT = Path(__file__).parents[2]

SPACE = """
name: tiny
dataset: {dataset}
base:
  query: {{patches: 6, loops: 3, patch_size: [8, 8, 8]}}
  training: {{members: 2}}
seeds: [0, 1]
grid:
  strategy: [random, predictive_entropy]
wandb: {{mode: disabled}}
"""


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["alsweep", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert isinstance(stop.value.code, int)
    return stop.value.code


def warnings(capsys: pytest.CaptureFixture) -> list[str]:
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]


@pytest.fixture
def space(dataset: Path, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(SPACE.format(dataset=dataset))
    return path


def test_dry_run_tells_all_and_writes_nothing(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setitem(sys.modules, "ray", None)  # importing it would raise
    out = tmp_path / "run"
    assert call(monkeypatch, "run", space, "--out", out, "--dry-run") == 0
    assert not out.exists()
    text = capsys.readouterr().out
    assert "4 trajectories, 0 done, 4 to do with 12 loops" in text
    assert "2 different starts; 20 trainings (24 without sharing)" in text
    assert text.count("0/3") == 4


def test_a_dry_run_counts_a_search(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    search = "search={over: {query.loops: {low: 2, high: 4}}, configurations: 5}"
    out, told = tmp_path / "run", ("--set", search)
    assert call(monkeypatch, "run", space, "--out", out, *told, "--dry-run") == 0
    assert not out.exists()
    text = capsys.readouterr().out
    assert "4 trajectories, 0 done" in text
    line = (
        "search: 5 configurations, each of 2 trajectories (2 seeds) with 4 to 8 loops: "
        "10 trajectories, 20 to 40 loops, "
    )
    assert line in text
    hours = "search, from the ends of its ranges: CPU-hours: about "
    assert hours in text
    gone = ("--set", f"dataset={tmp_path / 'gone'}")
    assert call(monkeypatch, "run", space, *told, *gone, "--dry-run") == 0
    counted = capsys.readouterr().out
    assert line in counted
    assert hours not in counted
    machines = ("--dry-run", "--json")
    assert call(monkeypatch, "run", space, "--out", out, *told, *machines) == 0
    search_ = json.loads(capsys.readouterr().out)["search"]
    assert (search_["configurations"], search_["told"], search_["left"]) == (5, 0, 5)
    assert (search_["trajectories"], search_["loops"]) == (10, {"low": 20, "high": 40})
    assert search_["cost"]["hours"] == pytest.approx(5 * search_["cost_each"]["hours"])
    assert search_["cost"]["hours"] > 0
    nobody = (
        "--set",
        search.replace("}, conf", "}, storage: 'postgresql://h@127.0.0.1:9/s', conf"),
    )
    assert call(monkeypatch, "run", space, "--out", out, *nobody, "--dry-run") == 2
    assert "search.storage: nobody answers at 127.0.0.1, port 9" in capsys.readouterr().err
    wrong = ("--set", "search={over: {query.loops: {low: 0, high: 4}}}")
    assert call(monkeypatch, "run", space, *wrong, "--dry-run") == 2
    assert f"{space}: search.over.query.loops: " in capsys.readouterr().err


def test_a_dry_run_without_the_dataset_counts(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    told = ("--set", f"dataset={tmp_path / 'gone'}")
    assert call(monkeypatch, "run", space, *told, "--dry-run") == 0
    said = capsys.readouterr()
    assert said.err.startswith(f"warning: {tmp_path / 'gone'}: no such Dataset here")
    assert "tiny: 4 trajectories\n2 different starts; 20 trainings (24 without" in said.out
    # A run needs it.
    assert call(monkeypatch, "run", space, *told) == 2


def test_the_dataset_of_a_search_space_is_expanded(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    space = tmp_path / "tiny.yaml"
    space.write_text(SPACE.format(dataset="$DATASETS/dataset"))
    monkeypatch.setenv("HOME", str(dataset.parent))
    monkeypatch.setenv("DATASETS", "~")
    plan = plan_of(load_sweep(space), space)
    assert {planned.config.dataset for planned in plan.trajectories} == {dataset}
    monkeypatch.delenv("DATASETS")
    assert call(monkeypatch, "run", space, "--dry-run") == 2
    assert f"{space}: dataset: '$DATASETS/dataset' needs the variable" in capsys.readouterr().err


def test_dry_run_cuts_no_id_in_a_narrow_pipe_and_shows_labels_as_written(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    label = "random[beta=5]" + 40 * "x"
    grid = f"grid.strategy=[{{name: random, label: '{label}'}}, {{name: margin, label: '[/x]'}}]"
    assert call(monkeypatch, "run", space, "--out", tmp_path / "r", "--set", grid, "--dry-run") == 0
    text = capsys.readouterr().out
    plan = plan_of(load_sweep(space, [grid]), space)
    for planned in plan.trajectories:
        assert planned.id in text
        assert planned.label in text


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--out", "/proc/x"], "/proc/x: cannot be written"),
        (["--set", "resources.gpus=1"], "resources.gpus: a worker needs 1"),
        (["--set", "resources.cpus=4096"], "resources.cpus: a worker needs 4096, but this machine"),
        (["--set", "wandb.mode=online"], "wandb.mode: online needs a login"),
        (["--set", "resources.device=cuda"], "resources.device: no CUDA device"),
        (
            ["--set", "resources.device=cuda", "--address", "nowhere:1"],
            "resources.device: cuda needs a card, but resources.gpus is 0",
        ),
    ],
)
def test_dry_run_refuses_what_a_run_would_refuse(
    space: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    options: list[str],
    line: str,
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("wandb.login", lambda: False)
    monkeypatch.delenv("WANDB_MODE")
    assert call(monkeypatch, "run", space, *options, "--dry-run") == 2
    assert line in capsys.readouterr().err.splitlines()[-1]


def test_dry_run_warns_of_what_a_run_would_warn_of(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    run = tmp_path / "run"
    write_space(run, plan_of(load_sweep(space), space))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SWEEP_ID", "theirs")
    dry = ("run", space, "--out", run, "--set", "seeds=[0]", "--dry-run")
    with driver_lock(run):
        assert call(monkeypatch, *dry) == 0
    assert [line[:31] for line in warnings(capsys)] == [
        "warning: WANDB_SWEEP_ID is not ",
        "warning: another alsweep (proce",
        "warning: 2 trajectories of this",
        "warning: starting_budget.patche",
    ]
    assert call(monkeypatch, *dry) == 0
    assert len(warnings(capsys)) == 2
    # A cluster has other CPUs.
    assert call(monkeypatch, *dry, "--set", "resources.cpus=4096", "--address", "auto") == 0


def test_default_run_folder_is_named_after_the_sweep(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, "run", space, "--dry-run") == 0
    assert "tiny on phantom in runs/tiny" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("base.trainign.epochs=2", "base.trainign: unknown key; did you mean 'training'?"),
        ("grid.strategy=[randon]", "did you mean 'random'?"),
        ("base.query.patch_size=[8, -8, 8]", "base.query.patch_size.1"),
        ("base.starting_budget.patches=5", "5 are too few"),
        ("dataset=/nowhere", "/nowhere"),
        ("seeds=[0, 0]", "a seed is named twice"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(
    space: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    override: str,
    line: str,
) -> None:
    out = tmp_path / "run"
    assert call(monkeypatch, "run", space, "--out", out, "--set", override) == 2
    captured = capsys.readouterr()
    assert line in captured.err.splitlines()[-1]
    assert captured.out == ""
    assert not out.exists()


def test_a_dry_run_warns_of_cases_that_a_training_patch_dwarfs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    raw = nnunet(tmp_path / "raw", cases=5, shapes=((24, 24, 24),) * 4 + ((18, 18, 18),))
    ingest(raw, tmp_path / "dataset")
    (tmp_path / "space.yaml").write_text(SPACE.format(dataset=tmp_path / "dataset"))
    roomy = ("--set", "base.starting_budget.patches=12")
    command = ("run", tmp_path / "space.yaml", "--out", tmp_path / "run", "--dry-run", *roomy)
    assert call(monkeypatch, *command) == 0
    assert warnings(capsys) == [
        "warning: smaller than a training patch of 24x24x24 voxels, of which zeros fill the rest: "
        "case_4 (18x18x18); a smaller training.patch_size trains more on what they hold"
    ]
    smaller = "base.training.patch_size=[20, 20, 20]"
    assert call(monkeypatch, *command, "--set", smaller) == 0
    assert warnings(capsys) == []


def test_a_dry_run_says_that_patches_are_clipped(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    fewer = (
        "--set",
        "base.query.loops=1",
        "--set",
        "base.starting_budget.strategy=random",
        "--set",
    )
    command = ("run", space, "--out", tmp_path / "run", "--dry-run", *fewer)
    assert call(monkeypatch, *command, "base.query.patch_size=[8, 99, 30]") == 0
    assert warnings(capsys) == [
        "warning: patches of 8x99x30 voxels are longer along y and x than any case of the pool "
        "(24x24x24); they are clipped to each case"
    ]
    assert call(monkeypatch, *command, "base.query.patch_size=[8, 24, 24]") == 0
    assert warnings(capsys) == []


def test_a_dry_run_says_that_one_member_has_no_mean_to_be_held_against(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    alone = ("grid.strategy=[crb, badge]", "base.training.members=1", "base.training.folds=2")
    command = ("run", space, "--out", tmp_path / "run", "--dry-run")
    told = [part for one in alone for part in ("--set", one)]
    assert call(monkeypatch, *command, *told) == 0
    (warning,) = [one for one in warnings(capsys) if "has no mean" in one]
    assert warning.startswith("warning: crb: one member without inference.tta has no mean")
    assert call(monkeypatch, *command, *told, "--set", "base.inference.tta=true") == 0
    assert not [one for one in warnings(capsys) if "has no mean" in one]


def test_a_dry_run_names_classes_that_no_validation_case_can_judge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    raw = nnunet(tmp_path / "raw", cases=5, shapes=((24, 24, 24),))
    cases = [f"case_{index}" for index in range(5)]
    (raw / "splits_final.json").write_text(json.dumps([{"train": cases[1:], "val": cases[:1]}]))
    labels = volume((24, 24, 24))[1]
    labels[labels == 2] = 1
    save(raw / "labelsTr" / "case_0.nii.gz", labels)
    ingest(raw, tmp_path / "dataset")
    (tmp_path / "space.yaml").write_text(SPACE.format(dataset=tmp_path / "dataset"))
    roomy = ("--set", "base.starting_budget.patches=12")
    command = ("run", tmp_path / "space.yaml", "--out", tmp_path / "run", "--dry-run", *roomy)
    assert call(monkeypatch, *command) == 0
    (told,) = warnings(capsys)
    assert told.startswith(
        "warning: no validation case has a voxel of lesion, which mean Dice leaves out"
    )


def test_a_start_with_more_guaranteed_than_random_patches_is_warned_of(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    command = ("run", space, "--out", tmp_path / "run", "--dry-run", "--set")
    assert call(monkeypatch, *command, "base.starting_budget.patches=11") == 0
    (line,) = warnings(capsys)
    assert line.startswith("warning: starting_budget.patches: of 11 patches, 6 are placed on class")
    assert "12 leave room for as many random ones" in line
    for enough in ("base.starting_budget.patches=12", "base.starting_budget.strategy=random_fg66"):
        assert call(monkeypatch, *command, enough) == 0
        assert warnings(capsys) == []


def test_a_start_that_is_trained_already_is_not_warned_of(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    command = ("run", space, "--out", tmp_path / "run", "--dry-run")
    sweep, run = read_space(space, tmp_path / "run", [], [])
    plan = plan_read(sweep, space, run)
    write_space(run, plan)
    for done, planned in enumerate(plan.trajectories, start=1):
        folder = trajectory_folder(run, planned.id)
        log = QueryLog(folder)
        log.claim(planned.config)
        synthetic_record(planned.config, 0, 0.5).write(folder)
        log.commit(1, [])
        assert call(monkeypatch, *command) == 0
        assert len(warnings(capsys)) == (done < len(plan.trajectories))


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_an_out_that_holds_something_else_is_refused(
    space: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    options: list[str],
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "notes.txt").write_text("mine")
    assert call(monkeypatch, "run", space, "--out", tmp_path / "home", *options) == 2
    assert "alsweep did not begin it" in capsys.readouterr().err.splitlines()[-1]
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["notes.txt"]


def test_an_unknown_wandb_mode_in_the_environment_is_named(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_MODE", "sideways")
    assert call(monkeypatch, "run", space, "--out", tmp_path / "run") == 2
    assert not (tmp_path / "run").exists()
    assert "WANDB_MODE: input should be 'offline'" in capsys.readouterr().err.splitlines()[-1]


def test_threads_are_the_search_spaces_and_other_settings_the_users(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "environ", {"OMP_NUM_THREADS": "64", "RAY_AIR_NEW_OUTPUT": "1"})
    prepare_environment(ResourcesConfig(cpus=2.5), private=True)
    assert os.environ["OMP_NUM_THREADS"] == "2"
    assert os.environ["MKL_NUM_THREADS"] == "2"
    assert os.environ["RAY_AIR_NEW_OUTPUT"] == "1"
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 32


FULL = "the disk /mnt is full, with {} of 20 MiB free: 16 MiB are needed; free space on it"


@pytest.mark.parametrize(
    ("failed", "code", "lines"),
    [
        ({}, 0, []),
        (
            {"a": FULL.format("0.0 MiB"), "b": FULL.format("0.2 MiB"), "c": FULL.format("0.1 MiB")},
            3,
            [f"alsweep: error: 3 of 4 things failed: a and 2 more: {FULL.format('0.0 MiB')}; mend"],
        ),
        (
            {"a": "no room", "b": FULL.format("0.0 MiB"), "c": "no room", "d": "a\nbug"},
            1,
            [
                "failed: a and 1 more: no room",
                f"failed: b: {FULL.format('0.0 MiB')}",
                "failed: d: a bug",
                "alsweep: error: 4 of 4 things failed; mend",
            ],
        ),
    ],
)
def test_a_cause_that_many_share_is_told_once(
    capsys: pytest.CaptureFixture, failed: dict[str, str], code: int, lines: list[str]
) -> None:
    assert tell_failures(failed, 4, "things", "go on") == code
    told = capsys.readouterr().err.splitlines()
    assert [line.removesuffix(" the cause and go on") for line in told] == lines


def test_a_default_that_changed_since_is_named_before_new_trajectories_are_made(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "run"
    with driver_lock(out):
        write_space(out, plan_of(load_sweep(space), space))
    better = {name: {**preset, "learning_rate": 0.25} for name, preset in PRESETS.items()}
    monkeypatch.setattr("alsweep.config.trajectory.PRESETS", better)
    assert call(monkeypatch, "run", space, "--out", out, "--dry-run") == 0
    said = capsys.readouterr().err
    before = PRESETS["small"]["learning_rate"]
    assert f"(alsweep {__version__}): training.learning_rate {before} -> 0.25; new" in said
    assert "To go on with the old ones: alsweep resume" in said
    assert call(monkeypatch, "run", out / "sweep.yaml", "--out", out, "--dry-run") == 0
    told = capsys.readouterr()
    assert "learning_rate" not in told.err
    assert "4 trajectories, 0 done" in told.out
