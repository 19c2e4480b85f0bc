"""From patch scores to patches: boxes within a case, then candidates over all cases."""

from alsweep.query.select import batches, best, clustered, crb, diverse, log_det
from alsweep.query.select.base import SELECTORS, Select
from alsweep.query.select.boxes import Box, Selected, Space, greedy, select_patches

__all__ = [
    "SELECTORS",
    "Box",
    "Select",
    "Selected",
    "Space",
    "batches",
    "best",
    "clustered",
    "crb",
    "diverse",
    "greedy",
    "log_det",
    "select_patches",
]
