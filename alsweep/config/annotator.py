"""Who labels the queried patches."""

from typing import Literal, Self

from pydantic import Field, model_validator

from alsweep.config.base import Frozen, added
from alsweep.config.reveal import Reveal

NOISE = ("boundary", "missed", "mistaken")


class AnnotatorConfig(Frozen):
    """Who labels the queried patches, and what of them."""

    kind: Literal["oracle", "noisy_oracle", "human"] = Field(
        "oracle", description="reference labels, those with a person's errors, or a person's own"
    )
    reveal: Reveal = Field(
        "dense",
        description="every voxel of a patch; a box and a seed round each piece of a class; a point "
        "in each piece; or a stroke through each",
    )
    boundary: float = added(
        0.0,
        neutral=0.0,
        ge=0,
        le=16,
        description="noisy_oracle: by how much outlines are off along each axis, standard "
        "deviation in voxels",
    )
    missed: float = added(
        0.0,
        neutral=0.0,
        ge=0,
        le=1,
        description="noisy_oracle: share of the connected pieces of a class that are overlooked",
    )
    mistaken: float = added(
        0.0,
        neutral=0.0,
        ge=0,
        le=1,
        description="noisy_oracle: share of the pieces that are seen and called another class",
    )

    @model_validator(mode="after")
    def _only_a_noisy_oracle_errs(self) -> Self:
        erring = [name for name in NOISE if getattr(self, name)]
        if erring and self.kind != "noisy_oracle":
            raise ValueError(f"{erring[0]} is of kind: noisy_oracle alone; leave one of them out")
        return self
