"""Where a search may keep its memory, and what is said where it may not."""

import socket
from pathlib import Path

import optuna
import pytest

from alsweep.errors import ConfigError
from alsweep.layout import journal_path
from alsweep.results.studies import check_storage, open_storage, read_trials

MOUNTS = """/dev/sda1 / ext4 rw 0 0
server:/home {home} nfs4 rw 0 0
/dev/sdb1 {home}/local xfs rw 0 0
"""


def mounts(folder: Path) -> Path:
    path = folder / "mounts"
    path.write_text(MOUNTS.format(home=folder / "home"))
    return path


@pytest.mark.parametrize("slashes", ["sqlite:///", "sqlite+pysqlite:///"])
def test_sqlite_on_a_network_mount_is_refused_with_advice(tmp_path: Path, slashes: str) -> None:
    url = f"{slashes}{tmp_path}/home/studies.db"
    with pytest.raises(ConfigError, match=r"search\.storage: .*network file system \(nfs4\)") as e:
        open_storage(tmp_path, url, mounts=mounts(tmp_path))
    assert "leave the key out" in str(e.value)
    assert not (tmp_path / "home").exists()


def test_sqlite_on_a_disk_below_a_network_mount_works(tmp_path: Path) -> None:
    (tmp_path / "home" / "local").mkdir(parents=True)
    url = f"sqlite:///{tmp_path}/home/local/studies.db"
    assert open_storage(tmp_path, url, mounts=mounts(tmp_path)).get_all_studies() == []
    assert read_trials(tmp_path, url, "none") == ()


def test_a_database_that_nobody_serves_is_one_line_without_its_password(tmp_path: Path) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        port = unheard.getsockname()[1]
        with pytest.raises(ConfigError) as raised:
            open_storage(tmp_path, f"postgresql://me:secret@127.0.0.1:{port}/studies")
    text = str(raised.value)
    assert text.startswith(f"search.storage: nobody answers at 127.0.0.1, port {port} (")
    assert "\n" not in text
    assert "secret" not in text


@pytest.mark.parametrize(
    "url",
    ["nonsense", "redis://127.0.0.1", "sqlite:////no/such/folder/s.db", "odd+driver:///me:secret@"],
)
def test_a_url_that_is_none_of_optunas_is_one_line(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match=r"^search\.storage: [^\n]*$"):
        open_storage(tmp_path, url)


@pytest.mark.parametrize("slashes", ["sqlite:///", "sqlite+pysqlite:///"])
def test_a_relative_file_lies_in_the_run_wherever_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slashes: str
) -> None:
    run, here, there = (tmp_path / name for name in ("run", "here", "there"))
    for folder in (run, here, there):
        folder.mkdir()
    monkeypatch.chdir(here)
    optuna.create_study(storage=open_storage(run, f"{slashes}studies.db"), study_name="s")
    monkeypatch.chdir(there)
    (study,) = open_storage(Path("../run"), f"{slashes}studies.db").get_all_studies()
    assert study.study_name == "s"
    assert [path.name for path in run.iterdir()] == ["studies.db"]
    assert not list(here.iterdir()) + list(there.iterdir())


def test_a_relative_file_in_a_run_on_a_network_mount_is_refused_before_the_run_is_there(
    tmp_path: Path,
) -> None:
    run = tmp_path / "home" / "run"
    with pytest.raises(ConfigError, match="network file system"):
        check_storage(run, "sqlite:///studies.db", mounts=mounts(tmp_path))
    check_storage(tmp_path / "run", "sqlite:///studies.db", mounts=mounts(tmp_path))
    assert not run.exists()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_a_database_in_memory_alone_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="names no file, so that a stop would lose the study"):
        check_storage(tmp_path, url)


@pytest.mark.parametrize("name", ["/no/such/folder/s.db", "no/such/folder/s.db"])
def test_a_folder_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"no folder .*no/such/folder for s\.db; make it"):
        check_storage(tmp_path, f"sqlite:///{name}")


def test_variables_in_a_url_are_filled_and_a_missing_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDIES", str(tmp_path))
    open_storage(tmp_path, "sqlite:///$STUDIES/s.db")
    assert (tmp_path / "s.db").exists()
    with pytest.raises(ConfigError, match=r"'sqlite:///\$NOBODY/s\.db' needs a variable"):
        open_storage(tmp_path, "sqlite:///$NOBODY/s.db")


@pytest.mark.parametrize(
    "content", [b"garbage\n", b"[]\n", b'{"op_code": 99}\n', bytes(range(256)) * 2, b"\xff\n"]
)
def test_a_journal_with_lines_of_others_is_one_line_with_the_mend(
    tmp_path: Path, content: bytes
) -> None:
    optuna.create_study(storage=open_storage(tmp_path, None), study_name="s")
    path = journal_path(tmp_path)
    path.write_bytes(path.read_bytes() + content + b"\n")
    for read in (lambda: open_storage(tmp_path, None), lambda: read_trials(tmp_path, None, "s")):
        with pytest.raises(ConfigError, match=r"journal\.log: holds a line .* move the file away"):
            read()
    path.unlink()
    assert read_trials(tmp_path, None, "s") == ()


def test_reading_makes_no_journal(tmp_path: Path) -> None:
    assert read_trials(tmp_path, None, "none") == ()
    assert not journal_path(tmp_path).parent.exists()
