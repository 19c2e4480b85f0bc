"""The page of a run that is under way: nothing of it is left out, and no user's file goes."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from alsweep.errors import RunFolderError
from alsweep.report.status_page import refuse_foreign_page, status_page, write_status_page


def trajectory(strategy: str, seed: int, state: str = "done", **more: Any) -> dict[str, Any]:
    return {
        "id": f"{strategy}-s{seed}",
        "strategy": strategy,
        "setting_name": "low",
        "seed": seed,
        "state": state,
        "loops_done": 5,
        "loops": 5,
        "phase": None,
        "phase_done": 0,
        "phase_total": 0,
        "mean_dice": 0.71249,
        "error": None,
        "seconds_left": None,
        "lost": 0,
        "errors": 0,
        **more,
    }


def status(*trajectories: dict[str, Any], **more: Any) -> dict[str, Any]:
    states = [one["state"] for one in trajectories]
    every = ("done", "running", "failed", "truncated", "waiting")
    return {
        "name": "a <b>study</b>",
        "run": "runs/study",
        "driver": None,
        "starts": 0,
        "trajectories": trajectories,
        "decisions": (),
        "caps": (),
        "search": None,
        "lost": 0,
        "errors": 0,
        "time": "2026-01-01T00:00:00+00:00",
        "counts": {state: states.count(state) for state in every},
        **more,
    }


class Cells(HTMLParser):
    """Text of each cell by its class, headings too, and what the page links to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.cells: list[tuple[str, str]] = []
        self.outside: list[str] = []
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.outside += [str(found[name]) for name in ("src", "href") if name in found]
        if tag in ("td", "th", "h2", "li"):
            self._open = f"{tag} {found.get('class') or ''}".strip()
            self.cells.append((self._open, ""))

    def handle_endtag(self, tag: str) -> None:
        if self._open.startswith(tag):
            self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open:
            kind, text = self.cells[-1]
            self.cells[-1] = (kind, " ".join(f"{text} {data}".split()))


def test_each_trajectory_has_its_cell_by_setting_strategy_and_seed() -> None:
    page = status_page(
        status(
            trajectory("random", 1),
            trajectory("random", 0, "running", loops_done=2, phase="train"),
            trajectory("<i>pe</i>", 1, "failed", loops_done=0, mean_dice=None, error="no\nroom"),
            trajectory("random", 7, "waiting", setting_name="high", loops_done=1),
            decisions=(
                {"action": "stopped", "trajectory": "x", "by": "race", "why": "p<0.01", "loop": 2},
            ),
            caps=({"name": "gpu_hours", "used": 1.5, "bound": 10.0},),
        ),
        "about 7 min left",
    )
    found = Cells(page)
    assert found.outside == []
    assert found.cells == [
        ("h2", "Failures"),
        ("li", "<i>pe</i>-s1: no room"),
        ("h2", "low 1/3"),
        *(("th", text) for text in ("strategy, seed", "0", "1")),
        ("th", "random"),
        ("td running", "0.712 2/5 train"),
        ("td done", "0.712 5/5"),
        ("th", "<i>pe</i>"),
        ("td none", ""),
        ("td failed", "- 0/5 failed"),
        ("h2", "high 0/1"),
        *(("th", text) for text in ("strategy, seed", "7")),
        ("th", "random"),
        ("td waiting", "0.712 1/5"),
        ("h2", "Decisions the last 1 of 1"),
        *(("th", text) for text in ("what", "trajectory", "loops", "by", "why")),
        *(("td", text) for text in ("stopped", "x", "2", "race")),
        ("td why", "p<0.01"),
    ]
    assert "1.5 of 10 gpu_hours" in page
    assert "8 of 20 loops" in page
    assert "about 7 min left" in page


def test_it_loads_itself_anew_until_there_is_nothing_to_wait_for() -> None:
    refreshes = 'http-equiv="refresh"'
    assert refreshes in status_page(status(trajectory("random", 0, "waiting")), "")
    assert refreshes in status_page(status(trajectory("random", 0), driver="process 7 on a"), "")
    assert refreshes not in status_page(status(trajectory("random", 0)), "")


def test_a_cause_that_struck_many_is_told_once() -> None:
    many = [trajectory("random", seed, "failed", error="no room") for seed in range(300)]
    page = status_page(status(*many), "")
    assert Cells(page).cells[1] == ("li", "random-s0 and 299 more: no room")


def test_only_a_page_of_its_own_is_written_over(tmp_path: Path) -> None:
    page = tmp_path / "status.html"
    for seed in (0, 1):
        refuse_foreign_page(page)
        write_status_page(page, status(trajectory("random", seed)), "")
    assert "random-s1" in page.read_text()
    page.write_text("<html>the user's own</html>")
    for foreign in (page, tmp_path):
        with pytest.raises(RunFolderError, match="choose another --html"):
            refuse_foreign_page(foreign)
