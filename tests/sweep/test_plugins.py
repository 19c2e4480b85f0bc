"""Strategies in a file of one's own: part of the plan, kept with the run, known to workers."""

from contextlib import suppress
from pathlib import Path

import pytest

from alsweep.config.load import load_sweep
from alsweep.config.sweep import ResourcesConfig
from alsweep.data.case import Dataset
from alsweep.errors import RunFolderError, StrategyError
from alsweep.files import write_json
from alsweep.layout import config_path
from alsweep.query import make_strategy, plugin_files
from alsweep.sweep.plan import make_plan
from alsweep.sweep.run_folder import check_same_sweep, stored_sweep, trajectory_folder, write_space
from alsweep.sweep.status import read_status
from alsweep.sweep.work import Training
from tests.sweep.conftest import MakePlan

TEXT = '''
from dataclasses import dataclass

from alsweep.query import Stages, Strategy, strategy


@strategy("own")
@dataclass(frozen=True)
class Own(Strategy):
    """Margin."""

    def stages(self):
        return Stages(map="margin")
'''
GRID = {"strategy": ["random", "own"]}


@pytest.fixture(autouse=True)
def _forgotten():
    yield
    forget()


def forget() -> None:
    """As in another process."""
    plugin_files._forget("alsweep_plugin_file.")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(TEXT)
    return path


def test_the_content_is_in_the_identity_of_those_that_use_it(plan_of: MakePlan, own: Path) -> None:
    plain = plan_of(seeds=[0]).ids[0]
    first = plan_of(seeds=[0], grid=GRID, plugins=[str(own)]).ids
    own.write_text(TEXT + "# another\n")
    second = plan_of(seeds=[0], grid=GRID, plugins=[str(own)]).ids
    assert plain == first[0] == second[0]
    assert first[1] != second[1]


def test_a_start_of_ones_own_changes_what_shares_it(plan_of: MakePlan, own: Path) -> None:
    own.write_text(
        TEXT.replace("class Own(Strategy):", "class Own(Random):").replace(
            "Strategy, strategy\n",
            "strategy\nfrom alsweep.query.presets.random import Random\n",
        )
    )
    base = {"query": {"patches": 6, "loops": 3, "patch_size": [8, 8, 8]}}
    starts = set()
    for text in ("# one\n", "# two\n"):
        own.write_text(own.read_text() + text)
        start = {"starting_budget": {"strategy": "own"}}
        (planned,) = plan_of(base=base | start, seeds=[0], grid={}, plugins=[str(own)]).trajectories
        starts.add(planned.start)
    assert len(starts) == 2


def test_a_run_goes_on_without_the_file_that_it_began_with(
    plan_of: MakePlan, dataset: Dataset, run: Path, own: Path
) -> None:
    plan = plan_of(grid=GRID, plugins=[str(own)])
    run.mkdir()
    write_space(run, plan)
    written = (run / "sweep.yaml").read_bytes()
    own.write_text("1 / 0")
    forget()
    again = make_plan(stored_sweep(run), dataset)
    assert again.ids == plan.ids
    check_same_sweep(run, again)
    write_space(run, again)
    assert (run / "sweep.yaml").read_bytes() == written
    assert len(list((run / "plugins").iterdir())) == 1


def test_a_worker_finds_the_strategy_in_the_run(plan_of: MakePlan, run: Path, own: Path) -> None:
    plan = plan_of(grid=GRID, plugins=[str(own)])
    run.mkdir()
    write_space(run, plan)
    forget()
    planned = plan.trajectories[-1]
    with pytest.raises(StrategyError, match="is not loaded; name the file with --plugin"):
        make_strategy(planned.config.strategy)
    folder = trajectory_folder(run, planned.id)
    Training(run, ResourcesConfig()).trajectory(planned.config, folder, lambda progress: None)
    assert make_strategy(planned.config.strategy).needs == ("probs",)


def test_files_are_found_beside_the_search_space_and_from_here(
    dataset: Dataset, tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = tmp_path / "spaces" / "space.yaml"
    space.parent.mkdir()
    query = "{patches: 6, patch_size: [8, 8, 8]}"
    space.write_text(
        f"name: s\ndataset: {dataset.path}\nbase: {{query: {query}}}\nplugins: [../own.py]\n"
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "more.py").write_text("")
    found = load_sweep(space, (), [Path("more.py")]).plugins
    assert [path.resolve() for path in found] == [own, tmp_path / "more.py"]
    twice = load_sweep(space, (), [Path("spaces/own.py")])
    with pytest.raises(StrategyError, match=r"plugins: .*spaces/own.py have one name; rename one"):
        make_plan(twice, dataset)


@pytest.mark.parametrize("grid", [GRID, {"strategy.beta": [1.0, 2.0]}])
def test_a_status_runs_no_file(
    grid: dict, plan_of: MakePlan, run: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.write_text(TEXT.replace('"""Margin."""', '"""Margin."""\n\n    beta: float = 1.0'))
    base = {
        "strategy": {"name": "own"},
        "query": {"patches": 6, "loops": 3, "patch_size": [8, 8, 8]},
    }
    plan = plan_of(base=base, grid=grid, plugins=[str(own)])
    write_space(run, plan)
    begun = plan.trajectories[2]
    write_json(config_path(trajectory_folder(run, begun.id)), begun.config.plain())
    forget()
    monkeypatch.setattr(plugin_files, "_run", lambda *_: pytest.fail("it was run"))
    found = read_status(run).trajectories
    assert [(one.id, one.seed) for one in found] == [
        (one.id, one.config.seed) for one in plan.trajectories
    ]
    assert found[2].strategy == begun.label
    # Nor where somebody has written ids that no such sweep has.
    text = (run / "sweep.yaml").read_text().replace(plan.ids[0], f"{plan.ids[0][:-8]}00000000")
    (run / "sweep.yaml").write_text(text)
    with suppress(RunFolderError):
        read_status(run)
