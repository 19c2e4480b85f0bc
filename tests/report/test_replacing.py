import pytest

from alsweep.report.replacing import replacing


def listing(folder):
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


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
