"""What is told of a queried patch."""

from typing import Literal

Reveal = Literal["dense", "box", "points", "scribbles"]
"""See ``alsweep.data.labels.revealing``."""
