"""Who labels the queried patches."""

from typing import Literal

from pydantic import Field

from alsweep.config.base import Frozen
from alsweep.config.reveal import Reveal


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
