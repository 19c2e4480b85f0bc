"""The command line with table-lookup trajectories in place of training: for tests that kill it.

Usage: python fake_alsweep.py SECONDS_PER_LOOP VERB ARGUMENTS...
"""

import sys
from pathlib import Path

from alsweep.cli import main
from alsweep.sweep import running, work
from tests.sweep.fakes import TableWork


def fake_report(run_folder: Path) -> Path:
    page = run_folder / "report" / "index.html"
    page.parent.mkdir(exist_ok=True)
    page.write_text("a report")
    return page


if __name__ == "__main__":
    seconds = float(sys.argv.pop(1))
    work.Training = lambda run_folder, resources: TableWork(run_folder, seconds)  # type: ignore[misc, assignment]
    running.write_report = fake_report
    main.main()
