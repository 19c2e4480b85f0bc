"""Who labels the queried patches."""

from typing import Literal, Self

from pydantic import Field, model_validator

from alsweep.config.base import Frozen

Reveal = Literal["dense", "box", "points", "scribbles"]
"""What is told of a patch; see ``alsweep.data.labels.revealing``."""


class AnnotatorConfig(Frozen):
    """Who labels the queried patches, and what of them."""

    kind: Literal["oracle", "human"] = Field(
        "oracle", description="reference labels, or the crops that a person saves"
    )
    reveal: Reveal = Field(
        "dense",
        description="every voxel of a patch; a box and a seed round each piece of a class; a point "
        "in each piece; or a stroke through each",
    )

    @model_validator(mode="after")
    def _a_person_marks_voxels(self) -> Self:
        if self.kind == "human" and self.reveal == "box":
            raise ValueError(
                "reveal: box is simulated from reference labels, and a person saves voxels; write "
                "reveal: dense, points or scribbles"
            )
        return self
