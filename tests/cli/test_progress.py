import os
import pty
import subprocess
import sys

from alsweep.cli.progress import CaseProgress


def test_a_terminal_shows_a_bar_over_the_cases(tmp_path):
    main, side = pty.openpty()
    start = "from alsweep.cli.main import main; main()"
    options = ["--out", str(tmp_path / "out"), "--cases", "3", "--shape", "16", "16", "16"]
    done = subprocess.run(
        [sys.executable, "-c", start, "phantom", *options],
        stderr=side,
        stdout=subprocess.PIPE,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
        check=True,
    )
    os.close(side)
    shown = os.read(main, 1 << 16).decode()
    assert "drawing" in shown
    assert "3/3" in shown
    assert b"3/3" not in done.stdout


def test_a_log_stays_silent_for_two_seconds_and_then_tells_now_and_then(monkeypatch, capfd):
    now = [100.0]
    monkeypatch.setattr("alsweep.cli.progress.time.monotonic", lambda: now[0])
    with CaseProgress("ingest") as progress:
        for done, moment in enumerate((101.0, 103.0, 104.0, 114.0), start=1):
            now[0] = moment
            progress.show("checking", done, 4)
    assert capfd.readouterr().err.splitlines() == [
        "ingest: checking 2 of 4 cases",
        "ingest: checking 4 of 4 cases",
    ]
