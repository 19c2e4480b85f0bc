"""Small tidy tables, made of a few numbers."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
import pytest

Curves = Mapping[tuple[str, int], Sequence[float]]
TableMaker = Callable[..., pd.DataFrame]


@pytest.fixture(scope="session")
def make_table() -> TableMaker:
    """(strategy, seed) -> Dice per loop, to a tidy table of one setting."""

    def make(curves: Curves, setting: str = "s", status: str = "done") -> pd.DataFrame:
        rows = [
            {
                "setting": setting,
                "strategy": strategy,
                "seed": seed,
                "loop": loop,
                "annotated_patches": 20 * (loop + 1),
                "foreground_fraction": 0.01 * (loop + 1),
                "mean_dice": value,
                "status": status,
            }
            for (strategy, seed), values in curves.items()
            for loop, value in enumerate(values)
        ]
        return pd.DataFrame(rows)

    return make
