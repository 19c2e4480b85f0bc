import io
import logging
import os
import subprocess
import sys

import pytest

from alsweep.cli import main
from alsweep.cli.terminal import LogLines, print_everywhere
from alsweep.testing.runs import write_run
from tests.cli.test_run import call
from tests.report.pages import undrawn


def ascii_stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="ascii")


def test_what_a_terminal_cannot_show_stops_nothing(monkeypatch):
    out, err = ascii_stream(), ascii_stream()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    print_everywhere()
    out.write("2\u00d73 \u2026 Läsion\n")
    err.write("naïve \udcff\n")
    out.flush()
    err.flush()
    assert out.buffer.getvalue() == b"2x3 . L?sion\n"
    assert err.buffer.getvalue() == b"na?ve ?\n"


def test_a_path_that_is_no_text_stops_nothing_on_a_good_terminal(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", out)
    print_everywhere()
    out.write("ü \udcff\n")
    out.flush()
    assert out.buffer.getvalue() == "ü ?\n".encode()


def test_tables_are_plain_where_there_is_only_ascii():
    code = "from alsweep.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "strategies"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "50"},
        timeout=120,
    )
    assert done.stderr == b""
    assert done.returncode == 0
    assert done.stdout.isascii()
    widths = {len(line) for line in done.stdout.splitlines() if line.startswith((b"|", b"+"))}
    assert widths == {50}


def test_ctrl_c_is_one_line_and_an_exit_code(tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    write_run(tmp_path / "run", loops=2)
    undrawn(monkeypatch)
    monkeypatch.setattr("alsweep.report.html._page", interrupted)
    out = tmp_path / "out"
    assert call(monkeypatch, "report", tmp_path / "run", "--out", out) == main.INTERRUPTED
    assert capsys.readouterr().err == "alsweep: error: interrupted; what was finished is saved\n"
    assert not out.exists()


@pytest.mark.parametrize(
    ("level", "text", "line"),
    [
        (logging.WARNING, "warning: no room", "warning: no room"),
        (logging.WARNING, "no room", "warning: no room"),
        (logging.ERROR, "no room", "error: no room"),
        (logging.INFO, "starting Ray", "starting Ray"),
    ],
)
def test_a_log_line_names_its_level_once(level, text, line):
    record = logging.LogRecord("alsweep", level, __file__, 1, text, None, None)
    assert LogLines().format(record) == line
