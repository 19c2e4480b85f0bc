"""The search spaces that come with alsweep: what they ask for, and that the smallest one runs."""

import re
from collections import Counter
from dataclasses import astuple
from pathlib import Path

import pytest

from alsweep.config.load import load_sweep
from alsweep.config.sweep import SweepConfig
from alsweep.sweep.counting import count, examples_of
from alsweep.sweep.search_outlook import counted
from alsweep.trajectory.resolving import written_out

SPACES = Path(__file__).parents[1] / "search_spaces"

# Written down by hand: trajectories, trainings, and these with each loop 0 trained once.
SIZES = {
    "nnactive-main": (4 * 3 * 12 * 4, 576 * 5 * 5, 14_400 - 48 * 11 * 5),
    "nnactive-half-patch": (576, 14_400, 11_760),
    "nnactive-query-half": (6 * 12 * 4, 288 * 9 * 5, 12_960 - 24 * 11 * 5),
    "nnactive-query-double": (288, 288 * 3 * 5, 4_320 - 24 * 11 * 5),
    "nnactive-500-epochs": (4 * 12 * 4, 192 * 5 * 5, 4_800 - 16 * 11 * 5),
    "nnactive-500-epochs-amos-low": (3 * 4, 12 * 5 * 5, 300 - 4 * 2 * 5),
    "nnactive-replay": (4 * 12 * 4, 192 * 5 * 5, 4_800 - 16 * 11 * 5),
    "nnactive-whole-volumes": (3 * 2 * 4, 24 * 5 * 5, 600),
    "nnactive-power-bald-beta": (9 * 4 * 4, 144 * 5 * 5, 3_600 - 36 * 3 * 5),
    "nnactive-noise-schedules": (3 * 8, 24 * 5 * 5, 600 - 3 * 7 * 5),
    "nnactive-roll-out": (5 * 4 * 4, 80 * 5 * 5, 2_000 - 20 * 3 * 5),
    "compute": (10 * 3 * 4, 12 * 5 * (8 * 5 + 3 + 1), 12 * 4 * 44 + 4 * (6 * 5 + 3 + 1)),
    "hippocampus-low": (4 * 2 * 4, 32 * 5 * 5, 800 - 8 * 3 * 5),
    "brain-tissue": (2, 2 * 2, 3),
    "phantom-main": (4 * 12 * 2, 96 * 3 * 2, 576 - 8 * 11 * 2),
    "phantom-half-patch": (2 * 2 * 2, 8 * 3 * 2, 48 - 4 * 2),
    "phantom-query-size": (3 * 2, 2 * (2 + 3 + 2), 14 - 4),
    "phantom-500-epochs": (2 * 2 * 2, 48, 48 - 4 * 2),
    "phantom-whole-volumes": (2 * 2, 4 * 2 * 2, 16),
    "phantom-noise": (12, 12 * 3 * 2, 72 - 11 * 2),
    "phantom-noisy-oracle": (4 * 3 * 2, 24 * 3 * 2, 144 - 4 * 2 * 2 * 2),
    "phantom-race": (4 * 6, 24 * 3, 72 - 6 * 3),
    "phantom-roll-out": (2 * 4, 8 * 3 * 2, 48 - 2 * 3 * 2),
    "phantom-search": (8 * 2, 16 * 3 * 2, 96),
    "phantom-semi-supervised": (7 * 4, 28 * 2, 56),
    "phantom-neighbours": (10 * 4 + 5 * 4, 40 * 4 * 2 + 20 * 2 * 2, 400 - 4 * 9 * 2),
    "phantom-stochastic-batches": (8 * 2, 16 * 3 * 2, 96 - 2 * 7 * 2),
    "phantom-kecor": (7 * 2, 14 * 3 * 2, 84 - 2 * 6 * 2),
    "phantom-crb": (5 * 2, 10 * 3 * 2, 60 - 2 * 4 * 2),
    "phantom-openpath": (6 * 2, 12 * 3 * 2, 72 - 2 * 5 * 2),
    "phantom-badge": (5 * 2, 10 * 3 * 2, 60 - 2 * 4 * 2),
    "phantom-cold-starts": (8 * 2 * 2, 32 * 3 * 2, 192 - 16 * 2),
    "study-main": (5 * 5 * 5, 125 * 4, 500 - 25 * 4),
    "study-brain": (5 * 5, 25 * 4, 100 - 5 * 4),
    "study-compute": (6 * 2 * 5, 2 * 5 * 3 * (1 + 3 + 5 + 1 + 1 + 3), 420 - 5 * 14 - 5),
    "study-search": (8 * 2, 16 * 4, 64),
    "study-annotators": (3 * 2 * 5, 30 * 3, 90 - 15),
    "phantom-pretrained-starts": (4 * 2, 8 * 3 * 2, 48),
    "phantom-compute": (10 * 2, 2 * 3 * (8 * 5 + 3 + 1), 2 * 2 * 44 + 6 * 5 + 3 + 1),
}


def sizes(sweep: SweepConfig) -> tuple[int, int, int]:
    """Trajectories, trainings, and these without sharing; of a search the most that it may take."""
    if sweep.search is None:
        trajectories, _, trainings, unshared = astuple(count(sweep))
        return trajectories, trainings, unshared
    found = counted(sweep, examples_of(sweep))
    most = found.left * found.trainings.high
    return found.left * found.each, most, most


def test_every_search_space_is_known() -> None:
    assert {path.stem for path in SPACES.iterdir()} == set(SIZES)


@pytest.mark.parametrize("name", SIZES)
def test_a_search_space_means_as_many_trajectories_and_trainings_as_it_says(name: str) -> None:
    path = SPACES / f"{name}.yaml"
    sweep = load_sweep(path)
    assert sweep.name == name
    trajectories, trainings, unshared = sizes(sweep)
    assert (trajectories, unshared, trainings) == SIZES[name]
    told = re.search(
        r"^# ([\d,]+) trajectories, ([\d,]+) trainings(?:; ([\d,]+))?", path.read_text(), re.M
    )
    if told is not None:
        said = [int(number.replace(",", "")) for number in told.groups(told[2])]
        assert said == [trajectories, unshared, trainings]


def test_the_page_on_study_files_says_what_they_mean(tmp_path: Path) -> None:
    page = (SPACES.parent / "docs" / "study-file.md").read_text()
    rows = re.findall(r"^\| `([\w-]+)\.yaml` \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$", page, re.M)
    assert {name: tuple(int(n.replace(",", "")) for n in counts) for name, *counts in rows} == SIZES
    study, sample = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "study.yaml"
    path.write_text(study)
    assert astuple(count(load_sweep(path))) == (12, 4, 28, 36)
    path.write_text(
        f"name: s\ndataset: d\nbase: {{query: {{patches: 1, patch_size: whole}}}}\n{sample}"
    )
    assert count(load_sweep(path)).trajectories == 20


def test_the_main_study_is_as_published() -> None:
    published = {
        "acdc": ((4, 40, 40), (1, 8, 8), [30, 60, 90]),
        "amos": ((32, 74, 74), (8, 8, 8), [40, 200, 500]),
        "hippocampus": ((20, 20, 20), (1, 1, 1), [20, 40, 60]),
        "kits": ((64, 64, 64), (8, 8, 8), [40, 200, 500]),
    }
    made = load_sweep(SPACES / "nnactive-main.yaml").expanded()
    found = Counter(
        (one.dataset.name, one.query.box, one.query.strides, one.query.patches) for _, one in made
    )
    assert found == {
        (name, size, stride, q): 48 for name, (size, stride, qs) in published.items() for q in qs
    }
    assert Counter(cell.setting for cell, _ in made) == {
        f"{name}-{regime}": 48 for name in published for regime in ("low", "medium", "high")
    }
    for _, one in made:
        assert one.seed in (12345, 12346, 12347, 12348)
        assert one.starting_budget.strategy.name == "random_fg33_all_classes"
        assert one.starting_patches == one.query.patches
        assert (one.query.loops, one.query.per_case, one.query.free_label_share) == (5, 20, 0.4)
        assert (one.training.preset, one.training.epochs) == ("nnunet", 200)
        assert (one.training.ensemble, one.training.members, one.training.folds) == ("folds", 5, 5)
        assert (one.inference.tta, one.inference.step) == (False, 0.75)
        assert (one.evaluation.tta, one.evaluation.step) == (True, 0.5)


def test_the_replay_is_of_every_strategy_of_the_main_study() -> None:
    main, replay = (load_sweep(SPACES / f"nnactive-{name}.yaml") for name in ("main", "replay"))
    replayed = {one.strategy.parameters["strategy"] for one in replay.trajectories()}
    assert replayed == {written_out(one).strategy.label for one in main.trajectories()}


def test_the_roll_out_is_as_published() -> None:
    made = load_sweep(SPACES / "nnactive-roll-out.yaml").expanded()
    found = set()
    for cell, one in made:
        query, judged, axes = one.query, one.evaluation, one.training.mirror_axes
        asked = (cell.setting, query.patches, query.per_case, one.training.epochs)
        found.add((*asked, judged.tta, judged.step, axes))
    assert found == {
        ("word", 800, None, 200, True, 0.5, "auto"),
        ("lits", 150, None, 200, True, 0.5, "auto"),
        ("mama-mia", 100, None, 200, False, 0.75, "auto"),
        ("toothfairy2", 2100, 50, 200, False, 0.5, ()),
        ("word-500-epochs", 800, None, 500, True, 0.5, "auto"),
    }
    assert {one.query.free_label_share for _, one in made} == {0}


def test_budgets_of_the_query_sizes_end_alike() -> None:
    for name in ("nnactive-query-half", "nnactive-query-double"):
        ends = {
            (one.dataset.name, one.starting_patches, one.patches_at(one.query.loops - 1))
            for one in load_sweep(SPACES / f"{name}.yaml").trajectories()
        }
        assert ends == {
            (dataset, q, 5 * q)
            for dataset, sizes in (("amos", (40, 500)), ("kits", (40, 500)), ("acdc", (30, 90)))
            for q in sizes
        }
