"""Calls of the command line, one after the other in one process and one session of Ray.

Reads a JSON list of ``{"words": [...], "stdout": path or null}`` and stops at the first that fails.
"""

import json
import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import ray

from alsweep.cli.main import main
from tests.report.pages import undrawn


def call(words: list[str], stdout: str | None) -> int:
    """Exit code of one call."""
    sys.argv = words
    with Path(stdout).open("w") if stdout else nullcontext() as file:
        try:
            with redirect_stdout(file) if file else nullcontext():
                main()
        except SystemExit as stop:
            return int(str(stop.code))
    raise AssertionError("the command line always exits")


def share_ray() -> None:
    """Let the first command that asks start Ray, and keep it for the others."""
    start = ray.init

    def once(**options: Any) -> None:
        if not ray.is_initialized():
            start(**options)

    ray.init, ray.shutdown = once, lambda *_, **__: None


if __name__ == "__main__":
    stop = ray.shutdown
    share_ray()
    try:
        with pytest.MonkeyPatch.context() as patch:
            undrawn(patch)  # six times as long as the rest of a report, and the demo draws them
            for step in json.load(sys.stdin):
                sys.stderr.write(f"$ {' '.join(step['words'])}\n")
                if code := call(step["words"], step["stdout"]):
                    sys.exit(f"exit code {code}: {' '.join(step['words'])}")
    finally:
        stop()
