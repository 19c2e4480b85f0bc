"""The log of decisions, what follows from it, and what a crash does to it."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsweep.config.trajectory import TrajectoryConfig
from alsweep.errors import DiskFullError, RecordError
from alsweep.files import append_lines, read_json, whole_lines
from alsweep.results import aubc, collect, load_results, write_results
from alsweep.results.decisions import Decision, append_decisions, decided, read_decisions
from alsweep.results.records import read_run
from alsweep.testing.runs import trajectory_config, write_run
from tests.small_disk import small_disk

LINES = st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line), max_size=6)


def decision(action: str, trajectory: str = "a", **fields: object) -> Decision:
    raw = {"action": action, "trajectory": trajectory, "by": "race", "why": "loses"}
    return Decision.model_validate(raw | fields)


@given(first=LINES, torn=st.integers(0, 200), later=LINES)
def test_a_torn_line_is_ignored_and_healed_wherever_the_crash_came(
    tmp_path_factory: pytest.TempPathFactory, first: list[bytes], torn: int, later: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("log") / "log"
    append_lines(path, first)
    content = path.read_bytes()
    path.write_bytes(content[:torn])
    survived = first[: content[:torn].count(b"\n")]
    assert whole_lines(path) == survived
    append_lines(path, later)
    assert whole_lines(path) == [*survived, *later]
    assert path.read_bytes() == b"".join(line + b"\n" for line in [*survived, *later])


APPENDS = """
import sys
from pathlib import Path
from alsweep.files import append_lines
for n in range(100):
    append_lines(Path(sys.argv[1]), [f"{sys.argv[2]} {n}".encode()] * 3)
"""


def test_processes_that_append_at_once_lose_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", APPENDS, str(tmp_path / "log")]
    processes = [subprocess.Popen([*command, name]) for name in "ab"]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    lines = whole_lines(tmp_path / "log")
    for name in "ab":
        own = [line for line in lines if line.startswith(name.encode())]
        assert own == [f"{name} {n}".encode() for n in range(100) for _ in range(3)]


def test_a_full_disk_keeps_what_was_decided(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", mib=1) as disk:
        append_lines(disk / "log", [b"first"])
        with pytest.raises(DiskFullError):
            append_lines(disk / "log", [b"half of a decision", b"x" * 2**21])
        assert whole_lines(disk / "log") == [b"first"]
        append_lines(disk / "log", [b"second"])
        assert whole_lines(disk / "log") == [b"first", b"second"]


def test_no_log_says_nothing(tmp_path: Path) -> None:
    assert read_decisions(tmp_path) == ()
    assert not decided([]).added
    assert not decided([]).stopped


def test_the_log_holds_no_time_so_that_equal_decisions_are_equal_bytes(tmp_path: Path) -> None:
    made = [decision("suggested"), decision("stopped", loop=2), decision("overruled", loop=2)]
    for run in (tmp_path / "one", tmp_path / "other"):
        append_decisions(run, made)
    one, other = ((tmp_path / run / "decisions.jsonl").read_bytes() for run in ("one", "other"))
    assert one == other
    assert one.count(b"\n") == 3
    assert read_decisions(tmp_path / "one") == tuple(made)


@given(st.lists(st.sampled_from(["suggested", "stopped", "overruled"])))
def test_the_last_word_on_a_stop_counts(actions: list[str]) -> None:
    last = [action for action in actions if action != "suggested"][-1:]
    found = decided(decision(action) for action in actions)
    assert found.stopped == (frozenset("a") if last == ["stopped"] else frozenset())


def test_what_was_added_keeps_its_first_config_and_its_place() -> None:
    configs = [trajectory_config(Path("d"), "random", (8, 8, 8), seed, 3) for seed in range(3)]
    found = decided(
        decision("added", id_, config=config) for id_, config in zip("bab", configs, strict=True)
    )
    assert list(found.added.items()) == [("b", configs[0]), ("a", configs[1])]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("no JSON", "line 2: Invalid JSON"),
        ('{"action": "moved", "trajectory": "a", "by": "x", "why": "y"}', "line 2: action"),
        ('{"action": "added", "trajectory": "a", "by": "x", "why": "y"}', "line 2: .*a config"),
        ("", "line 2: Invalid JSON"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, told: str) -> None:
    append_decisions(tmp_path, [decision("stopped")])
    with (tmp_path / "decisions.jsonl").open("a") as log:
        log.write(f"{line}\n")
    with pytest.raises(RecordError, match=told) as caught:
        read_decisions(tmp_path)
    assert "decisions.jsonl" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Three strategies with two seeds and four loops each, all done."""
    write_run(tmp_path / "run")
    return tmp_path / "run"


def cut(run: Path, id_: str, loops: int) -> None:
    """Take the loops after the first few away."""
    for loop in range(loops, 4):
        (run / "trajectories" / id_ / "records" / f"loop_{loop:03d}.json").unlink()


def test_a_stopped_trajectory_is_truncated_and_enters_no_statistic(run: Path) -> None:
    before = collect(run)
    first, second, third = [t.id for t in read_run(run).trajectories][:3]
    cut(run, first, 2)
    cut(run, second, 2)
    append_decisions(run, [decision("stopped", id_, loop=2) for id_ in (first, third)])
    states = {t.id: t.status for t in read_run(run).trajectories}
    # Who had all loops before the stop is done; who only lacks loops is running.
    assert (states[first], states[second], states[third]) == ("truncated", "running", "done")
    write_results(run)
    table = load_results(run)
    assert table.groupby("trajectory")["status"].first()[first] == "truncated"
    assert table.groupby("trajectory").size()[first] == 2
    kept = before[~before["trajectory"].isin([first, second])]
    pd.testing.assert_frame_equal(aubc(table), aubc(kept))
    append_decisions(run, [decision("overruled", first)])
    assert {t.id: t.status for t in read_run(run).trajectories}[first] == "running"


def test_a_stop_hides_an_error(run: Path) -> None:
    first = read_run(run).trajectories[0]
    cut(run, first.id, 2)
    (first.folder / "error.json").write_text('{"error": "the pool is empty", "loop": 2}')
    assert read_run(run).trajectories[0].status == "failed"
    append_decisions(run, [decision("stopped", first.id)])
    found = read_run(run).trajectories[0]
    assert (found.status, found.error) == ("truncated", None)


def test_added_trajectories_follow_those_of_the_space(run: Path, tmp_path: Path) -> None:
    ids = write_run(tmp_path / "more", seeds=(0, 1, 7, 5), strategies={"random": 0.35})
    folders = [tmp_path / "more" / "trajectories" / id_ for id_ in ids]
    for folder in folders[2:]:
        folder.rename(run / "trajectories" / folder.name)
    configs = [read_json(run / "trajectories" / id_ / "config.json") for id_ in ids[2:]]
    known = read_json(folders[0] / "config.json")
    append_decisions(
        run,
        [
            decision("added", id_, config=TrajectoryConfig.model_validate(config))
            for id_, config in zip([*ids[2:], ids[0]], [*configs, known], strict=True)
        ],
    )
    found = [t.id for t in read_run(run).trajectories]
    assert found[6:] == ids[2:]
    assert len(found) == 8
    table = collect(run)
    assert list(dict.fromkeys(table["trajectory"])) == found
    assert set(table[table["trajectory"] == ids[3]]["seed"]) == {5}


def test_a_killed_append_leaves_the_lines_before_it(tmp_path: Path) -> None:
    append_decisions(tmp_path, [decision("stopped")])
    path = tmp_path / "decisions.jsonl"
    whole = path.read_bytes()
    with path.open("ab") as log:
        log.write(whole[: len(whole) // 2])
        os.fsync(log.fileno())
    assert read_decisions(tmp_path) == (decision("stopped"),)
    append_decisions(tmp_path, [decision("overruled")])
    assert path.read_bytes().startswith(whole)
    assert [one.action for one in read_decisions(tmp_path)] == ["stopped", "overruled"]
