"""What a dry run tells of hours, settings and machines, beside what test_run.py asks of it."""

import json
from pathlib import Path

import pytest

from alsweep.cli.dry_run_table import MOST_ROWS
from alsweep.config.load import load_sweep
from alsweep.sweep.planning import plan_of
from tests.cli.test_run import SPACE, call

ROOMY = ("--set", "base.starting_budget.patches=12", "--set", "base.training.epochs=1")


@pytest.fixture
def space(dataset: Path, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(SPACE.format(dataset=dataset))
    return path


def test_lines_tell_of_hours_money_and_what_seeds_show(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    dry = ("run", space, "--out", tmp_path / "run", "--dry-run", "--price", "2", *ROOMY)
    assert call(monkeypatch, *dry) == 0
    lines = capsys.readouterr().out.splitlines()
    hours = next(line for line in lines if line.startswith("CPU-hours: about "))
    assert "from stated throughputs, those of a core of a cloud machine" in hours
    money = next(line for line in lines if line.startswith("money: about "))
    assert float(money.split()[2].strip(",")) == pytest.approx(
        2 * float(hours.split()[2]), abs=0.01
    )
    assert "1 setting of 2 seeds and 1 comparison with controls: differences in AUBC" in lines[-2]
    assert lines[-1] == "dry run: nothing was written"


def test_json_is_one_object_with_all_of_it(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    run = tmp_path / "run"
    assert call(monkeypatch, "run", space, "--out", run, "--dry-run", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["settings"], told["trajectories"], told["loops"]) == (1, 4, 12)
    assert told["trainings"] == {"before_sharing": 24, "after_sharing": 20, "after_stored": 20}
    assert told["cost"]["unit"] == "CPU"
    assert told["cost"]["money"] is None
    assert told["disk"]["total"] > told["disk"]["members"] > 0
    assert [one["seeds"] for one in told["detectable"]] == [2]
    (warning,) = told["warnings"]
    assert warning.startswith("starting_budget.patches: of 6 patches")
    ids = [planned.id for planned in plan_of(load_sweep(space), space).trajectories]
    assert [line["id"] for line in told["each"]] == ids
    assert [(e["strategy"], e["trajectories"], e["loops"]) for e in told["by_setting"]] == [
        ("random", 2, 6),
        ("predictive_entropy", 2, 6),
    ]
    assert not run.exists()


def test_many_trajectories_are_counted_by_setting_and_strategy(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    run = tmp_path / "run"
    settings = tmp_path / "settings.yaml"
    text = space.read_text().replace("seeds: [0, 1]", f"seeds: {[*range(13)]}")
    text += "settings: [{name: low, query.patches: 6}, {name: high, query.patches: 7}]\n"
    settings.write_text(text)
    dry = ("run", settings, "--out", run, "--dry-run", *ROOMY)
    plan = plan_of(load_sweep(settings), settings)
    assert len(plan.trajectories) == 52 > MOST_ROWS
    assert call(monkeypatch, *dry) == 0
    out = capsys.readouterr().out
    rows = [line.replace("│", " ").split() for line in out.splitlines()]
    assert ["low", "0/13", "0/13"] in rows
    assert ["high", "0/13", "0/13"] in rows
    assert not any(planned.id in out for planned in plan.trajectories)
    assert call(monkeypatch, *dry, "--verbose") == 0
    assert capsys.readouterr().out.count("0/3") == 52


@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize(
    ("home", "place"),
    [
        ("grid: {strategy: [random, BAD]}", "grid.strategy"),
        ("points: [{strategy: random}, {strategy: BAD}]", "points.1.strategy"),
        ("settings: [{name: low, strategy: BAD}]", "settings.low.strategy"),
        ("sample: {n: 2, over: {strategy: [random, BAD]}}", "sample.over.strategy"),
        ("grid: {starting_budget.strategy: [BAD]}", "grid.starting_budget.strategy"),
        ("points: [{starting_budget: {strategy: BAD}}]", "points.0.starting_budget.strategy"),
    ],
)
def test_a_wrong_strategy_is_told_with_its_file_and_place_whatever_is_missing(
    space: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    home: str,
    place: str,
    gone: bool,
) -> None:
    text = space.read_text().split("grid:")[0].replace("strategy:", "")
    space.write_text(text + home.replace("BAD", "{name: power_bald, betta: 2}") + "\n")
    missing = ("--set", f"dataset={tmp_path / 'gone'}") if gone else ()
    assert call(monkeypatch, "run", space, "--dry-run", *missing) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert f"error: {space}: {place}: strategy 'power_bald': unknown parameter 'betta'" in last


def test_counts_without_a_dataset_are_told_to_machines_too(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    gone = ("--set", f"dataset={tmp_path / 'gone'}")
    assert call(monkeypatch, "run", space, *gone, "--dry-run", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["missing_datasets"] == [str(tmp_path / "gone")]
    assert (told["settings"], told["trajectories"], told["starts"]) == (1, 4, 2)
    assert told["trainings"] == {"before_sharing": 24, "after_sharing": 20}


def test_all_that_is_refused_is_named_each_in_a_line(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    wrong = (
        "settings: [{name: huge, query.patches: 60}, {name: few, starting_budget.patches: 5}, "
        "{name: fine}]\n"
    )
    space.write_text(space.read_text() + wrong)
    dry = ("run", space, "--out", tmp_path / "run", "--dry-run")
    assert call(monkeypatch, *dry) == 2
    said = capsys.readouterr()
    lines = [line for line in said.err.splitlines() if line.startswith("infeasible: ")]
    assert len(lines) == 2
    assert "settings.huge.query.patches: 180 patches over all loops are more than" in lines[0]
    assert "settings.few.starting_budget.patches: 5 are too few" in lines[1]
    assert "tiny: 12 trajectories in 3 settings" in said.out
    assert said.err.splitlines()[-1].startswith("alsweep: error: ")
    assert call(monkeypatch, *dry, "--json") == 2
    told = json.loads(capsys.readouterr().out)
    assert [f"infeasible: {fault}" for fault in told["infeasible"]] == lines
    # A run names the first, and says that there are others.
    assert call(monkeypatch, *dry[:-1]) == 2
    assert capsys.readouterr().err.rstrip().endswith("; and 1 more, which --dry-run names")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            "query.per_case: 1",
            "query.per_case: 1 in each of 3 cases leave room for 6 patches over 2 queries, fewer "
            "than the 12 of query.patches",
        ),
        ("query.per_case: 2", None),
        ("query.per_case: 1, query.on_shortfall: take_all", None),
        ("query.per_case: 1, query.loops: 1", None),
        ("query.per_case: 1, query.overlap: 0.5", "query.per_case: 1 in each of 3 cases leave"),
    ],
)
def test_queries_that_cases_have_no_room_for_are_warned_of(
    space: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    changes: str,
    told: str | None,
) -> None:
    space.write_text(space.read_text() + f"settings: [{{name: low, {changes}}}]\n")
    assert call(monkeypatch, "run", space, "--out", tmp_path / "r", "--dry-run", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["infeasible"]) == (told is not None)
    for text in found["infeasible"]:
        assert text.startswith(f"setting 'low': {told}")
        assert text in found["warnings"]


@pytest.mark.parametrize("option", ["--json", "--verbose", "--calibrate", "--price=1"])
def test_what_is_for_a_dry_run_is_refused_in_a_run(
    space: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, option: str
) -> None:
    assert call(monkeypatch, "run", space, option) == 2
    name = option.split("=")[0]
    assert f"alsweep: error: {name}: is for a dry run; add --dry-run" in capsys.readouterr().err


def test_a_cap_below_the_forecast_is_warned_of_with_how_far_it_comes(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    dry = ["run", space, "--out", tmp_path / "run", "--dry-run", "--json", *ROOMY]
    assert call(monkeypatch, *dry) == 0
    hours = json.loads(capsys.readouterr().out)["cost"]["hours"]
    assert call(monkeypatch, *dry, "--set", f"caps.gpu_hours={0.6 * hours}") == 0
    said = capsys.readouterr().err.splitlines()
    (line,) = [line for line in said if "caps.gpu_hours: the forecast" in line]
    assert line == (
        f"warning: caps.gpu_hours: the forecast is {hours:.3g} h, the cap of {0.6 * hours:g} h "
        "ends it after about 2 of 4 trajectories"
    )
    assert call(monkeypatch, *dry, "--set", f"caps.gpu_hours={1.1 * hours}") == 0
    assert "the forecast" not in capsys.readouterr().err
    price = ("--set", "resources.price_per_gpu_hour=10", "--set", "caps.money=0.000001")
    assert call(monkeypatch, *dry, *price, "--set", "caps.disk_gib=0.000001") == 0
    said_now = capsys.readouterr().err
    assert "warning: caps.money: the forecast is" in said_now
    assert "warning: caps.disk_gib: the forecast is at most" in said_now
    assert "ends it after about 0 of 4 trajectories" in said_now


def test_a_cap_is_held_against_what_a_search_adds_too(
    space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    search = "{over: {query.loops: {low: 2, high: 4}}, configurations: 5, confirm_seeds: [9]}"
    dry = ["run", space, "--out", tmp_path / "run", "--dry-run", "--json", *ROOMY]
    dry += ["--set", f"search={search}"]
    assert call(monkeypatch, *dry) == 0
    told = json.loads(capsys.readouterr().out)
    searched = told["search"]["cost"]["hours"]
    hours = told["cost"]["hours"] + searched
    caps = ("--set", f"caps.gpu_hours={0.5 * hours}", "--set", "caps.disk_gib=0.000001")
    assert call(monkeypatch, *dry, *caps) == 0
    said = capsys.readouterr().err
    # Four of the grid, five configurations with two seeds, and the best three with a fresh one.
    assert (
        f"warning: caps.gpu_hours: the forecast is {hours:.3g} h with what the search adds, the "
        f"cap of {0.5 * hours:g} h ends it after about 8 of 17 trajectories"
    ) in said
    assert " without what the search adds, the cap of 1e-06 GiB ends it after about 0 of 4" in said
    assert call(monkeypatch, *dry, "--set", f"caps.gpu_hours={1.1 * hours}") == 0
    assert "the forecast" not in capsys.readouterr().err
    # Nothing but a search.
    alone = ("--set", "grid={}", "--set", f"caps.gpu_hours={0.5 * searched}")
    assert call(monkeypatch, *dry, *alone) == 0
    assert " h ends it after about 6 of 13 trajectories" in capsys.readouterr().err
    for_people = [argument for argument in (*dry, *alone) if argument != "--json"]
    assert call(monkeypatch, *for_people) == 0
    assert capsys.readouterr().out.splitlines()[0].endswith(": a search alone")


@pytest.mark.parametrize("there", [True, False])
def test_an_unknown_strategy_is_blamed_on_the_grid_with_how_ones_own_becomes_known(
    space: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    there: bool,
) -> None:
    changes = ["--set", "grid.strategy=[my_own]"]
    changes += [] if there else ["--set", f"dataset={tmp_path / 'nowhere'}"]
    assert call(monkeypatch, "run", space, "--out", tmp_path / "run", "--dry-run", *changes) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "grid.strategy: unknown strategy 'my_own'; known: " in last
    assert last.endswith("needs its file: --plugin FILE, or plugins: in the search space")
