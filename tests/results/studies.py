"""Tables of several settings, and ways to write the same table otherwise."""

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from alsweep.rng import stream


def study_table(scores: np.ndarray, loops: int = 3) -> pd.DataFrame:
    """A tidy table whose AUBC and final values rise with the scores.

    Args:
        scores: ``(setting, strategy, seed)``.
        loops: Loop 0 is 0.1 for all, later ones are the score.
    """
    places = np.indices(scores.shape).reshape(3, -1)
    base = pd.DataFrame(
        {
            "setting": [f"s{i:02d}" for i in places[0]],
            "strategy": [f"a{i}" for i in places[1]],
            "seed": places[2],
            "mean_dice": scores.ravel(),
            "status": "done",
        }
    )
    each = [
        base.assign(
            loop=loop,
            mean_dice=base["mean_dice"] if loop else 0.1,
            annotated_patches=20 * (1 + loop),
            foreground_fraction=0.01 * (1 + loop),
        )
        for loop in range(loops)
    ]
    return pd.concat(each, ignore_index=True)


def random_study(settings: int, strategies: int, seeds: int, key: str = "study") -> pd.DataFrame:
    """A study with skills that differ, and noise."""
    rng = stream(0, key, settings, strategies, seeds)
    skill = 0.03 * np.arange(strategies)[None, :, None]
    hard = rng.uniform(0, 0.3, size=(settings, 1, 1))
    noise = rng.normal(0, 0.03, size=(settings, strategies, seeds))
    return study_table(0.3 + hard + skill + noise)


@st.composite
def rewritten(draw: st.DrawFn, table: pd.DataFrame) -> pd.DataFrame:
    """The same table with rows in another order and seeds under other names."""
    seeds = sorted(table["seed"].unique())
    names = draw(st.permutations(range(100, 100 + len(seeds))))
    renamed = table.assign(seed=table["seed"].map(dict(zip(seeds, names, strict=True))))
    order = stream(draw(st.integers(0, 1000)), "order").permutation(len(table))
    return renamed.iloc[order]


def rescaled(table: pd.DataFrame) -> pd.DataFrame:
    """Scores under a rising curve of its own for each setting."""
    power = table["setting"].str[1:].astype(int) % 3 + 1
    return table.assign(mean_dice=table["mean_dice"] ** power / (1 + power))
