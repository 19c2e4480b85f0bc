"""What trains the members: a learner by name, with options of its own."""

from typing import Any

from pydantic import Field, ValidationInfo, model_serializer, model_validator

from alsweep.config.base import Frozen, is_stored

RESERVED = ("name", "options")
"""What no option of a learner can be called."""


class LearnerSpec(Frozen):
    """A learner by name, with options; the learner knows which there are.

    Written flat: ``monai`` or ``{name: mean_teacher, consistency_weight: 0.1}``. Without options it
    is its name in every file and identity.

    Attributes:
        stored: Whether all options are written out but those at their neutral value, as alsweep
            does; where a user wrote them, the others have their defaults.
    """

    name: str
    options: dict[str, Any] = Field(default_factory=dict)
    stored: bool = Field(False, exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _from_flat(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str):
            value = {"name": value}
        if not isinstance(value, dict) or "name" not in value:
            raise ValueError("write a name, or {name: NAME, OPTION: VALUE}")
        if "options" in value:
            return value
        return {
            "name": value["name"],
            "options": {k: v for k, v in value.items() if k != "name"},
            "stored": is_stored(info),
        }

    @model_serializer
    def _to_flat(self) -> Any:
        return {"name": self.name, **self.options} if self.options else self.name

    def identity_in(self, plain: Any) -> Any:
        """As it is written: options at their neutral value are left out there already."""
        return plain
