"""Which cards a trajectory has, by Ray's logical GPUs: its own, of one node, or a share of one."""

import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import pytest

from alsweep.data.phantom import write_phantom

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]


class Had(NamedTuple):
    node: str
    cards: tuple[str, ...]
    began: float
    ended: float

    def beside(self, other: "Had") -> bool:
        return self.began < other.ended and other.began < self.ended


def had(tmp_path: Path, wanted: float, *of_nodes: int) -> list[Had]:
    dataset = write_phantom(tmp_path / "dataset", cases=4, shape=(24, 24, 24)).path
    words = [str(dataset), str(tmp_path / "run"), str(wanted), *map(str, of_nodes)]
    hidden = ("RAY_", "CUDA_")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.cluster.cards", *words],
        env={**plain, "RAY_worker_niceness": "0", "WANDB_MODE": "disabled"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = []
    for path in sorted((tmp_path / "run").glob("*.cards")):
        node, cards, began, ended = path.read_text().split()
        found.append(Had(node, tuple(cards.split(",")), float(began), float(ended)))
    return found


def test_networks_of_a_trajectory_have_cards_of_one_node_that_nobody_else_has(
    tmp_path: Path,
) -> None:
    # Three nodes: one without, one with a card that is not enough, and one with room for two.
    found = had(tmp_path, 2, 1, 4)
    assert len(found) == 4
    assert len({one.node for one in found}) == 1
    assert all(len(set(one.cards)) == 2 and set(one.cards) <= set("0123") for one in found)
    side_by_side = [(one, other) for one, other in combinations(found, 2) if one.beside(other)]
    assert side_by_side, "two have room at once"
    for one, other in side_by_side:
        assert not set(one.cards) & set(other.cards)


def test_fractions_share_a_card(tmp_path: Path) -> None:
    found = had(tmp_path, 0.5, 1)
    assert {one.cards for one in found} == {("0",)}
    assert any(one.beside(other) for one, other in combinations(found, 2))
