"""Who labels the queried patches."""

from typing import Literal

from pydantic import Field

from alsweep.config.base import Frozen


class AnnotatorConfig(Frozen):
    """Who labels the queried patches, and what of them."""

    kind: Literal["oracle", "human"] = Field(
        "oracle", description="reference labels, or the crops that a person saves"
    )
    reveal: Literal["dense"] = Field("dense", description="every voxel of a patch")
