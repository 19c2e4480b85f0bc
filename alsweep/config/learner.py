"""What trains the members: a learner by name, with options of its own."""

from typing import Any

from pydantic import Field, model_serializer, model_validator

from alsweep.config.base import Frozen

RESERVED = ("name", "options")
"""What no option of a learner can be called."""


class LearnerSpec(Frozen):
    """A learner by name, with options; the learner knows which there are.

    Written flat: ``monai`` or ``{name: mean_teacher, consistency_weight: 0.1}``. Without options it
    is its name in every file and identity.
    """

    name: str
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_flat(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        if not isinstance(value, dict):
            raise ValueError("write a name, or {name: NAME, OPTION: VALUE}")
        if "name" not in value or "options" in value:
            return value
        return {
            "name": value["name"],
            "options": {k: v for k, v in value.items() if k != "name"},
        }

    @model_serializer
    def _to_flat(self) -> Any:
        return {"name": self.name, **self.options} if self.options else self.name
