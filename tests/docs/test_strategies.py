"""The page on strategies says what the registry says, and its examples work."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from ruamel.yaml import YAML

import alsweep
from alsweep import TrajectoryConfig
from alsweep.query import make_strategy
from alsweep.query.plugin_files import load_file
from alsweep.query.presets import cold_start
from alsweep.query.reference import markdown
from alsweep.testing.pools import make_pool, make_request, make_streams
from alsweep.trajectory.resolving import written_out

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "strategies.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_tables_are_up_to_date():
    begin, end = "<!-- begin: alsweep strategies --markdown -->\n", "<!-- end -->"
    held = PAGE.split(begin)[1].split(end)[0]
    # To mend: put the output of 'alsweep strategies --markdown' between the two comments.
    assert held == markdown()


def test_every_strategy_of_the_yaml_example_can_be_made():
    text, _, _ = blocks("yaml")
    grid = YAML(typ="safe", pure=True).load(text)["grid"]["strategy"]
    made = [make_strategy(spec) for spec in grid]
    assert made[1].beta == 5.0
    assert made[2].composition.noise.span == "queries"


def test_the_python_example_is_a_strategy_in_the_file_that_the_search_space_names(tmp_path):
    (_, text), (_, _, named) = blocks("python"), blocks("yaml")
    space = YAML(typ="safe", pure=True).load(named)
    (file,) = (tmp_path / name for name in space["plugins"])
    file.write_text(text)
    load_file(file)
    made = [make_strategy(spec) for spec in space["grid"]["strategy"]]
    assert made[-1].composition.noise.beta == 1.0
    assert make_strategy({"name": "power_margin", "beta": 3}).composition.noise.beta == 3.0


def test_the_example_of_pretrained_features_resolves(tmp_path):
    _, text, _ = blocks("yaml")
    base = YAML(typ="safe", pure=True).load(text)["base"]
    given = base | {"dataset": "x", "query": {"patches": 4, "patch_size": [8, 8, 8]}}
    config = written_out(TrajectoryConfig.model_validate(given))
    assert make_strategy(config.starting_budget.strategy).needs == ("pretrained",)
    assert config.training.pretraining.parameters["epochs"] == 40


def test_the_example_of_a_foundation_model_chooses_patches(monkeypatch):
    text, _ = blocks("python")
    shapes = []

    class Encoder(torch.nn.Module):
        def forward(self, crops):
            shapes.append(tuple(crops.shape))
            return torch.stack([crops.mean(dim=(1, 2, 3, 4)), crops.amax(dim=(1, 2, 3, 4))], dim=1)

    model = SimpleNamespace(load_encoder=lambda weights: Encoder())
    monkeypatch.setitem(sys.modules, "my_model", model)
    there = {}
    exec(text, there)
    monkeypatch.setattr(cold_start, "features_named", lambda name: there["MyFeatures"]())
    made = make_strategy({"name": "typiclust_start", "features": "mine"})
    assert len(made.query(make_pool(2), make_request(3), make_streams())) == 3
    assert set(shapes) == {(1, 1, 96, 96, 96)}


def pip_install(source: Path, target: Path) -> None:
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"),
            *("--no-build-isolation", "--no-index", "--target", target, source),
        ],
        check=True,
        capture_output=True,
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> dict[str, str]:
    pytest.importorskip("hatchling", reason="builds the example package without a network")
    target = tmp_path_factory.mktemp("site")
    pip_install(ROOT / "docs" / "example_strategy", target)
    here = Path(alsweep.__file__).parents[1]
    path = os.pathsep.join([str(target), str(here), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path}


def test_the_example_package_installs_and_keeps_the_contract(installed):
    folder = ROOT / "docs" / "example_strategy"
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=folder,
        env=installed,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    assert "21 passed" in run.stdout


def test_an_installed_strategy_is_listed_but_is_not_in_the_page(installed):
    code = (
        "from alsweep.query import strategies\n"
        "from alsweep.query.reference import markdown\n"
        "print([s['name'] for s in strategies() if 'edge' in s['name']], 'edge' in markdown())"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], env=installed, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "['edge_margin'] False"
