import pytest

from alsweep.report import sections, write_report
from alsweep.report.sections import sections as all_sections
from alsweep.testing.runs import trajectory_config, write_reference
from tests.report.pages import figures, resolve, visible

NEW = """
from alsweep.report.section import Box, Caption, Controls, Figures, Section, switched


def blocks(material):
    yield Controls((Box("turned", "turned"),))
    figure = {"data": switched("turned", {"off": [{"y": [1]}], "on": [{"y": [2]}]}), "layout": {}}
    yield Figures((("A <figure>", figure),))
    yield Caption(f"{len(material.study.trajectories)} trajectories & more")


SECTION = Section(
    id="new",
    title="A new section",
    place=45,
    blocks=blocks,
    files={"new.txt": lambda material: b"content", "none.txt": lambda material: None},
)
"""


@pytest.fixture
def new_section(tmp_path, monkeypatch):
    """A file beside the sections, as if it lay among them."""
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "new_section.py").write_text(NEW)
    monkeypatch.setattr(sections, "__path__", [*sections.__path__, str(folder)])


def test_a_section_is_one_file(run, new_section):
    ids = [section.id for section in all_sections()]
    assert ids[ids.index("new") - 1 : ids.index("new") + 2] == ["balance", "new", "ranking"]
    page = write_report([run])
    text = visible(page)
    assert text.count("A new section") == 2
    assert "6 trajectories & more" in text
    ((title, figure),) = figures(page, "new")
    assert title == "A <figure>"
    assert resolve(figure, turned="on")["data"] == [{"y": [2]}]
    assert (page.parent / "new.txt").read_bytes() == b"content"
    assert not (page.parent / "none.txt").exists()
    assert write_report([run]) == page


def test_ids_places_and_files_belong_to_one_section_each():
    known = all_sections()
    files = [name for section in known for name in section.files]
    for names in ([s.id for s in known], [s.place for s in known], files):
        assert len(set(names)) == len(names)


def test_a_section_that_does_not_apply_leaves_no_trace(run):
    assert "Foreground efficiency" not in visible(write_report([run]))
    record = write_reference(run, trajectory_config("dataset", "random", (8, 8, 8), 0, 4), 0.95)
    page = write_report([run])
    assert visible(page).count("Foreground efficiency") == 2
    made = {"full_data.csv", "fg_efficiency.csv"}
    assert made <= {path.name for path in page.parent.iterdir()}
    (run / "fulldata" / f"{record.key}.json").unlink()
    page = write_report([run])
    assert "Foreground efficiency" not in visible(page)
    assert not made & {path.name for path in page.parent.iterdir()}


def test_pictures_of_other_commands_stay_beside_the_page(run):
    for name in ("queries", "try"):
        picture = run / "report" / name / "a.png"
        picture.parent.mkdir(parents=True)
        picture.write_bytes(b"png")
    page = write_report([run])
    assert {"queries", "try"} <= {path.name for path in page.parent.iterdir()}
