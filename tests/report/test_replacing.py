from pathlib import Path

import pytest

from alsweep.layout import REPORT_FILES
from alsweep.report.replacing import foreign, replacing


def listing(folder):
    return {
        path.name: path.read_text()
        for path in folder.iterdir()
        if path.is_file() and path.name != REPORT_FILES
    }


def half_a_report(folder, stop):
    with replacing(folder, last="index.html") as new:
        (new / "aubc.csv").write_text("new")
        raise stop


@pytest.fixture
def folder(tmp_path):
    """An older report, with pictures that another command put beside it."""
    folder = tmp_path / "report"
    (folder / "queries").mkdir(parents=True)
    for name in ("index.html", "stale.csv", ".DS_Store"):
        (folder / name).write_text("old")
    return folder


def test_the_files_of_an_older_report_are_replaced_and_the_rest_is_kept(folder):
    with replacing(folder, last="index.html") as new:
        (new / "index.html").write_text("new")
        (new / "aubc.csv").write_text("new")
    assert listing(folder) == {"index.html": "new", "aubc.csv": "new", ".DS_Store": "old"}
    assert sorted(path.name for path in folder.iterdir()) == [
        ".DS_Store",
        "aubc.csv",
        "files.json",
        "index.html",
        "queries",
    ]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError])
def test_whatever_stops_it_leaves_the_older_report_whole(folder, stop):
    with pytest.raises(stop):
        half_a_report(folder, stop)
    assert listing(folder) == {"index.html": "old", "stale.csv": "old", ".DS_Store": "old"}


def test_whatever_stops_a_first_report_leaves_no_folder(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        half_a_report(tmp_path / "report", KeyboardInterrupt)
    assert not (tmp_path / "report").exists()
    with replacing(tmp_path / "report", last="page") as new:
        (new / "page").write_text("new")
    assert listing(tmp_path / "report") == {"page": "new"}


def test_what_a_report_wrote_is_its_own_until_somebody_changes_it(tmp_path):
    folder = tmp_path / "report"
    with replacing(folder, last="index.html") as new:
        (new / "index.html").write_text("page")
        (new / "aubc.csv").write_text("1")
    assert foreign(folder, ()) is None
    (folder / "aubc.csv").write_text("mine")
    assert foreign(folder, ("aubc.csv", "index.html")) == "aubc.csv"


def test_a_file_without_a_word_of_it_is_a_users_own(tmp_path):
    (tmp_path / "aubc.csv").write_text("mine")
    assert foreign(tmp_path, ()) == "aubc.csv"
    # Reports of before said nothing, but wrote files of known names.
    assert foreign(tmp_path, ("aubc.csv",)) is None


def test_a_stop_while_files_take_their_places_leaves_them_the_reports(tmp_path, monkeypatch):
    folder = tmp_path / "report"
    with replacing(folder, last="index.html") as new:
        (new / "index.html").write_text("old")
        (new / "aubc.csv").write_text("old")
    before, moved = Path.replace, []

    def stop_at_the_page(path, target):
        if target.name == "index.html":
            raise KeyboardInterrupt
        moved.append(target.name)
        return before(path, target)

    def write_anew():
        with replacing(folder, last="index.html") as new:
            for name in ("index.html", "aubc.csv", "more.csv"):
                (new / name).write_text("new")
            monkeypatch.setattr(Path, "replace", stop_at_the_page)

    with pytest.raises(KeyboardInterrupt):
        write_anew()
    assert moved[-2:] == ["aubc.csv", "more.csv"]
    assert foreign(folder, ()) is None
