"""Array types with named axes, for annotations only: this module is never imported at run time."""

from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

Probs: TypeAlias = Float[Tensor, "class z y x"]
ScoreMap: TypeAlias = Float[Tensor, "z y x"]
PatchScores: TypeAlias = Float[Tensor, "z_start y_start x_start"]
Volume: TypeAlias = Float32[np.ndarray, "channel z y x"]
LabelMap: TypeAlias = UInt8[np.ndarray, "z y x"]
