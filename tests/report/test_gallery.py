"""Which patches the page shows, and what it says where it cannot."""

from dataclasses import replace

import pytest

from alsweep.layout import query_path
from alsweep.report.section import Caption, Material, Pictures
from alsweep.report.sections import patches
from alsweep.report.study import read_study
from alsweep.report.volumes import Opened, open_datasets
from alsweep.results.records import read_query, read_run


@pytest.fixture
def material(phantom_run):
    study = read_study([phantom_run])
    return Material(study, open_datasets(study))


@pytest.fixture
def drawn(monkeypatch):
    """The patches of each picture, which is not drawn."""
    found = []

    def note(volumes, queried, title, *_):
        found.append((title, len(queried)))

    monkeypatch.setattr(patches, "overview_figure", note)
    monkeypatch.setattr(patches, "rows_figure", note)
    monkeypatch.setattr(patches, "embedded", lambda figure: "")
    return found


def test_the_start_is_shown_once_and_some_queries_of_each_strategy(material, drawn):
    caption, start, *groups = patches.SECTION.blocks(material)
    assert isinstance(caption, Caption)
    assert "The first 3 patches of some queries, one trajectory a strategy" in caption.text
    assert (start.wide, len(start.pictures)) == (True, 1)
    assert start.heading == "Starting budget, shared by all strategies (all patches, axial)"
    assert [group.heading for group in groups] == ["random, seed 0", "predictive_entropy, seed 0"]
    assert not any(group.wide for group in groups)
    titles = [picture.title for group in groups for picture in group.pictures]
    assert titles[:2] == ["random, query 1", "random, query 2"]
    assert drawn[0] == ("starting budget, seed 0", 6)
    assert drawn[1:] == [("query 1", 3), ("query 2", 3)] * 2


@pytest.mark.parametrize(
    ("loops", "shown"), [(2, [1]), (4, [1, 2, 3]), (5, [1, 3, 4]), (10, [1, 5, 9])]
)
def test_of_many_queries_the_first_the_last_and_one_between_are_shown(
    run, drawn, loops, shown, monkeypatch
):
    look, trajectory = read_study([run]).looks[2], read_run(run).trajectories[4]
    queried = read_query(query_path(trajectory.folder, 1))
    monkeypatch.setattr(patches, "_existing", lambda trajectory: list(range(loops)))
    monkeypatch.setattr(patches, "read_query", lambda path: queried)
    group = patches._queries(None, look, trajectory)
    assert [title for title, _ in drawn] == [f"query {loop}" for loop in shown]
    assert len(group.pictures) == len(shown)


def test_a_dataset_that_is_lost_is_said_and_no_picture_is_tried(material, drawn):
    lost = {id_: Opened("gone for good", None) for id_ in material.datasets}
    (caption,) = patches.SECTION.blocks(Material(material.study, lost))
    assert caption.text == "No pictures: the dataset is gone for good."
    assert drawn == []


def test_what_is_left_of_the_datasets_is_shown(material, drawn):
    some = {
        id_: Opened("gone for good", None) if id_.startswith("random") else opened
        for id_, opened in material.datasets.items()
    }
    caption, *groups = patches.SECTION.blocks(Material(material.study, some))
    assert caption.text.endswith("Some are left out: the dataset is gone for good.")
    assert [type(group) for group in groups] == [Pictures, Pictures]
    assert groups[1].heading == "predictive_entropy, seed 0"


def test_without_a_query_there_is_nothing_to_show(material, monkeypatch):
    monkeypatch.setattr(patches, "_existing", lambda trajectory: [])
    (caption,) = patches.SECTION.blocks(material)
    assert caption.text == "There is no query yet."


def test_a_start_that_is_one_strategy_s_own_is_called_so(material, drawn):
    study = material.study
    entropy = study.table["strategy"] == "predictive_entropy"
    apart = study.table.assign(start_hash=study.table["start_hash"].mask(entropy, "f" * 12))
    changed = Material(replace(study, table=apart), material.datasets)
    _, start, *_ = patches.SECTION.blocks(changed)
    assert start.heading == "Starting budget, of random (all patches, axial)"
