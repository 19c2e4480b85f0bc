"""One module spells the names of a run folder."""

import ast
from collections.abc import Iterator
from pathlib import Path

from alsweep import layout

ROOT = Path(layout.__file__).parent
FOLDERS = (
    "trajectories",
    "models",
    "records",
    "queries",
    "pending",
    "fulldata",
    "noise",
    "report",
    "wandb",
)
FILES = ("sweep.yaml", "config.json", "error.json", "log.txt", "progress.json", "results.parquet")
NAMES = {*FOLDERS, *FILES, "labels.zarr", "crops", ".starts", ".training", "weights.pt"}
OTHERS_LAYOUTS = {ROOT / "layout.py", ROOT / "model" / "bundle.py"}  # a bundle is MONAI's


def joined(tree: ast.AST) -> Iterator[str]:
    """Literals that are joined to a path."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            yield from (str(n.value) for n in ast.walk(node.right) if isinstance(n, ast.Constant))


def test_nobody_else_joins_a_name_of_the_run_folder():
    for path in {*ROOT.rglob("*.py")} - OTHERS_LAYOUTS:
        assert not NAMES & set(joined(ast.parse(path.read_text()))), path
    # Not in vain: the names are found where they are.
    spelled = set(joined(ast.parse((ROOT / "layout.py").read_text())))
    assert spelled >= NAMES - {"sweep.yaml", "results.parquet"}


def test_paths_are_those_of_the_contract():
    run = Path("RUN")
    folder = layout.trajectory_folder(run, "ID")
    assert layout.space_path(run) == Path("RUN/sweep.yaml")
    assert layout.config_path(folder) == Path("RUN/trajectories/ID/config.json")
    assert layout.query_path(folder, 0) == Path("RUN/trajectories/ID/queries/loop_000.json")
    assert layout.record_path(folder, 12) == Path("RUN/trajectories/ID/records/loop_012.json")
    assert layout.labels_folder(folder) == Path("RUN/trajectories/ID/labels.zarr")
    assert layout.results_path(run) == Path("RUN/results.parquet")
    assert layout.report_page(layout.report_folder(run)) == Path("RUN/report/index.html")
    assert layout.weights_path(layout.models_folder(run) / "KEY") == Path(
        "RUN/models/KEY/weights.pt"
    )
