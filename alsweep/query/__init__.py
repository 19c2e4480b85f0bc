"""From probabilities to queries: pure functions on arrays, and the strategies made of them."""

from alsweep.query.aggregate import box_mean
from alsweep.query.base import (
    Choice,
    Embedding,
    Pool,
    PoolCase,
    Prediction,
    Request,
    Stages,
    Strategy,
    make_strategy,
    searchable,
    strategies,
    strategy,
)
from alsweep.query.select import select_patches

__all__ = [
    "Choice",
    "Embedding",
    "Pool",
    "PoolCase",
    "Prediction",
    "Request",
    "Stages",
    "Strategy",
    "box_mean",
    "make_strategy",
    "searchable",
    "select_patches",
    "strategies",
    "strategy",
]
