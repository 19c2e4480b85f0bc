"""How training patches are varied: how probable each change is, and how strong."""

from typing import Annotated, Any

from pydantic import Field, PositiveFloat, model_validator

from alsweep.config.base import Frozen

Probability = Annotated[float, Field(ge=0, le=1)]

AUGMENTATIONS: dict[str, dict[str, float]] = {
    "none": {},
    "nnunet": {
        "rotation": 0.2,
        "scaling": 0.2,
        "noise": 0.1,
        "blur": 0.1,
        "brightness": 0.15,
        "contrast": 0.15,
        "low_resolution": 0.125,
        "inverted_gamma": 0.1,
        "gamma": 0.3,
    },
}
"""Named sets of probabilities.

nnU-Net blurs with 0.2 and lowers the resolution with 0.25, each then in every second channel; here
all channels of a patch are changed, half as often.
"""


class AugmentationConfig(Frozen):
    """Probabilities per training patch; written as a mapping or as the name of a set.

    Mirroring is apart, in ``training.mirror_axes``: it is used in inference, too.

    Source: nnU-Net v2 (2.8), ``nnUNetTrainer.get_training_transforms``.
    """

    rotation: Probability = 0.0
    degrees: float = Field(
        30.0, gt=0, le=180, description="most about each axis; flat patches turn in plane, freely"
    )
    scaling: Probability = 0.0
    smallest: PositiveFloat = Field(0.7, le=1, description="least scale")
    largest: float = Field(1.4, ge=1, description="greatest scale")
    noise: Probability = 0.0
    blur: Probability = 0.0
    brightness: Probability = 0.0
    contrast: Probability = 0.0
    low_resolution: Probability = 0.0
    inverted_gamma: Probability = 0.0
    gamma: Probability = 0.0

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value not in AUGMENTATIONS:
            raise ValueError(f"is a mapping or one of: {', '.join(AUGMENTATIONS)}")
        return AUGMENTATIONS[value]

    @property
    def spatial(self) -> bool:
        """Whether patches may be turned or scaled, for which more than the patch must be read."""
        return self.rotation > 0 or self.scaling > 0
