"""The house holds: imports go one way, and what must be light is light."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "ray", "monai", "pandas", "zarr", "wandb", "plotly", "matplotlib", "scipy")


def loaded_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(' '.join(m for m in {HEAVY!r} if m in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import alsweep",
        "from alsweep import SweepConfig, TrajectoryConfig, Patch",
        "import alsweep.cli.main",
        "from alsweep.config.load import load_sweep",
    ],
)
def test_what_every_command_needs_loads_nothing_heavy(statement):
    assert loaded_after(statement) == set()


def test_the_environment_is_prepared_before_ray_and_torch_read_it():
    assert loaded_after("import alsweep.sweep") == set()
    assert not loaded_after("from alsweep.sweep import run_sweep") & {"torch", "ray"}


def test_a_dry_run_looks_ahead_without_ray_and_torch():
    assert not loaded_after("import alsweep.sweep.outlook") & {"torch", "ray"}


def test_results_need_no_torch():
    assert "torch" not in loaded_after("from alsweep.results import aubc, win_matrix, ranking")


def test_what_a_learner_heeds_is_known_without_torch():
    plan = "import alsweep.trajectory.resolving, alsweep.model.monai_learner"
    assert not loaded_after(plan) & {"torch", "monai"}


def test_imports_go_one_way():
    linter = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([linter], capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.returncode == 0, run.stdout


def test_no_file_mixes_rooms_under_a_vague_name():
    names = {path.stem for path in (ROOT / "alsweep").rglob("*.py")}
    assert not names & {"utils", "helpers", "misc", "common"}


def test_modules_and_functions_stay_small():
    import ast

    for path in (ROOT / "alsweep").rglob("*.py"):
        text = path.read_text()
        assert text.count("\n") <= 400, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                body = node.body[-1].end_lineno - node.body[0].lineno + 1
                assert body <= 60, f"{path}: {node.name}"


def test_only_the_command_line_prints_and_reads_the_environment():
    found = set()
    # Programs of their own, since what they run is told by the environment.
    own = {ROOT / "alsweep" / name for name in ("model/nnunet_worker.py", "sweep/job_entry.py")}
    for path in {*(ROOT / "alsweep").rglob("*.py")} - own:
        room, text = path.relative_to(ROOT / "alsweep").parts[0], path.read_text()
        prints = re.search(r"^\s*print\(", text, re.MULTILINE)
        reads = re.search(r"\bos\.(environ|getenv|putenv)\b|from os import .*env", text)
        assert room == "cli" or not prints, path
        if reads:
            found.add(room if room == "cli" else str(path.relative_to(ROOT)))
    # Not merely a subset: the command line does read it, so the search is known to find it.
    doors = {f"alsweep/{room}/environment.py" for room in ("sweep", "storage")}
    assert found == {"cli", *doors}


def test_public_names_are_those_of_the_contract():
    import alsweep
    import alsweep.query
    import alsweep.results
    import alsweep.sweep

    public = {"Dataset", "Patch", "PartialLabels", "Trajectory", "TrajectoryConfig", "SweepConfig"}
    for name in public | {"load_results"}:
        assert getattr(alsweep, name).__name__ == name
    for name in (
        "box_mean",
        "select_patches",
        "Strategy",
        "strategy",
        "make_strategy",
        "strategies",
    ):
        assert callable(getattr(alsweep.query, name))
    assert callable(alsweep.sweep.run_sweep)
    for name in ("aubc", "fg_efficiency", "win_matrix", "ranking"):
        assert callable(getattr(alsweep.results, name))
