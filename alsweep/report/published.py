"""Published results beside a study: a grey layer that no test of the study knows of.

They are from other trainings, so nothing here is compared by a test; where the design differs too,
that is said, setting by setting.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from alsweep.config.strategy import StrategySpec
from alsweep.errors import AlsweepError
from alsweep.query.base import label_of
from alsweep.report.study import Study

GREY = "#8a93a0"
DASHES = {
    "solid": "solid",
    "dash": "dashed",
    "dot": "dotted",
    "dashdot": "dash and dot",
    "longdash": "long dashes",
    "longdashdot": "long dash and dot",
}
"""Plotly's dashes, and how they are called."""

_PARTS = {
    "patch": re.compile(r"(?:^|__)patch-(\d+)_(\d+)_(\d+)"),
    "start": re.compile(r"(?:^|__)sbs-(\d+)"),
    "query": re.compile(r"(?:^|__)qs-(\d+)"),
}
_DATASET = 10
"""Weight of another dataset among the differences, which no other difference outweighs."""
_MOST_DRAWN = 2
_FARTHEST = 3.0
"""Budgets this many times those of the study would squeeze its own curves."""


@dataclass(frozen=True, eq=False)
class Layer:
    """A published setting as it is shown beside one of the study's.

    Attributes:
        source: Whose it is.
        setting: As its source names it.
        rows: Its values.
        differences: What its design has otherwise, in words; none where it is the same.
        start: Patches annotated at its loop 0; None where its name does not say it.
        query: Patches of each query; None likewise.
    """

    source: str
    setting: str
    rows: pd.DataFrame
    differences: tuple[str, ...]
    start: int | None
    query: int | None

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.source}, {self.setting}"

    def curves(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Each strategy's mean over seeds at each loop: ``mean``, ``seeds``, ``patches``."""
        dice = self.rows[self.rows["metric"] == "mean_dice"]
        for strategy, mine in dice.groupby("strategy", sort=False):
            values = mine.groupby("loop")["value"].agg(mean="mean", seeds="count")
            loops = values.index.to_numpy(dtype=np.int64)
            known = self.start is not None and self.query is not None
            patches = self.start + self.query * loops if known else np.nan  # type: ignore[operator]
            yield str(strategy), values.assign(patches=patches).dropna(subset=["mean"])


def layers(study: Study, setting: str) -> list[Layer]:
    """The published settings that are nearest to one of the study's; few, the nearest first."""
    if study.published is None:
        return []
    groups = study.published.groupby(["source", "setting"], sort=False)
    found = [_layer(study, setting, str(key[0]), str(key[1]), rows) for key, rows in groups]
    distances = [_distance(layer) for layer in found]
    nearest = [layer for layer, d in zip(found, distances, strict=True) if d == min(distances)]
    return _joined(nearest)[:_MOST_DRAWN]


def _joined(found: list[Layer]) -> list[Layer]:
    """Layers of one setting from two places, curves and tables of the same runs, as one."""
    first: dict[tuple[str, str], Layer] = {}
    for layer in found:
        key = (_plain_dataset(layer.source), layer.setting)
        known = first.get(key)
        rows = layer.rows if known is None else pd.concat([known.rows, layer.rows])
        kept = layer if known is None else known
        first[key] = Layer(
            kept.source, kept.setting, rows, kept.differences, kept.start, kept.query
        )
    return list(first.values())


def _distance(layer: Layer) -> int:
    return sum(_DATASET if "dataset" in text else 1 for text in layer.differences)


def _layer(study: Study, setting: str, source: str, name: str, rows: pd.DataFrame) -> Layer:
    parts = {part: known.search(name) for part, known in _PARTS.items()}
    start, query = (int(parts[p][1]) if parts[p] else None for p in ("start", "query"))  # type: ignore[index]
    patch = None if parts["patch"] is None else "x".join(parts["patch"].groups())
    here = study.table[study.table["setting"] == setting].iloc[0]
    first = study.table.loc[study.table["setting"] == setting, "annotated_patches"].min()
    theirs = {"patch size": patch, "start": start, "query size": query}
    ours = {"patch size": here["patch_size"], "start": first, "query size": here["query_size"]}
    differences = [
        f"{what} {their} (here {our})" if their is not None else f"{what} not told (here {our})"
        for (what, their), our in zip(theirs.items(), ours.values(), strict=True)
        if their != our
    ]
    dataset = str(here["dataset"])
    if _plain_dataset(dataset) not in (_plain_dataset(source), _plain_dataset(name)):
        differences.insert(0, f"dataset {source} (here {dataset})")
    if name == study.settings[setting]:
        differences = []  # so the one who wrote the mapping means it
    return Layer(source, name, rows, tuple(differences), start, query)


def _plain_dataset(name: str) -> str:
    """``Dataset004_Hippocampus`` and ``hippocampus`` are one."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"^(dataset|task)\d+_", "", name.lower()))


def called_here(strategy: str) -> str:
    """The name that a published strategy has here; its own, where it has none."""
    try:
        return label_of(StrategySpec(name=strategy))
    except AlsweepError:
        return strategy


def shown_as(strategy: str) -> str:
    """A published strategy with the name that it has here, where that is another."""
    here = called_here(strategy)
    return strategy if here == strategy else f"{here} ({strategy})"


def drawn(study: Study, setting: str) -> list[tuple[Layer, str, pd.DataFrame]]:
    """What of published curves fits on a setting's axis: layer, strategy, points.

    Where a source does not tell its budgets, its loops are placed at those of the study.
    """
    rows = study.done[study.done["setting"] == setting]
    budgets = rows.groupby("loop")["annotated_patches"].mean()
    found = []
    for layer in layers(study, setting):
        for strategy, points in layer.curves():
            if points["patches"].isna().all():
                points = points.assign(patches=budgets.reindex(points.index)).dropna()
            if len(points) and not _far(points["patches"], budgets):
                found.append((layer, strategy, points))
    return found


def _far(patches: "pd.Series[float]", budgets: "pd.Series[float]") -> bool:
    return len(budgets) > 0 and (
        patches.max() > _FARTHEST * budgets.max() or patches.max() < budgets.min() / _FARTHEST
    )


def dash(index: int) -> str:
    """How the line of a published curve is dashed."""
    return list(DASHES)[index % len(DASHES)]
