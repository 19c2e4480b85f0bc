"""From probabilities to queries: pure functions on arrays, and the strategies made of them."""

from alsweep.geometry import QueriedPatch
from alsweep.query.base import (
    Embedding,
    Pool,
    PoolCase,
    Prediction,
    Request,
    Stages,
    Strategy,
    Streams,
    make_strategy,
    required,
    same_as,
    searchable,
    strategies,
    strategy,
)
from alsweep.query.select import select_patches
from alsweep.query.windows import box_mean

Choice = QueriedPatch
"""The name by which strategies of other packages know it."""

__all__ = [
    "Choice",
    "Embedding",
    "Pool",
    "PoolCase",
    "Prediction",
    "QueriedPatch",
    "Request",
    "Stages",
    "Strategy",
    "Streams",
    "box_mean",
    "make_strategy",
    "required",
    "same_as",
    "searchable",
    "select_patches",
    "strategies",
    "strategy",
]
