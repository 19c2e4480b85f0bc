"""A training option: one of several kinds, with parameters of its own."""

from typing import Any

from pydantic import Field, ValidationInfo, model_serializer, model_validator

from alsweep.config.base import Frozen, is_stored


class OptionSpec(Frozen):
    """What is done beside training on annotated patches; the kind knows which parameters there are.

    Written flat: ``mean_teacher`` or ``{kind: mean_teacher, weight: 1.0}``. Without parameters it
    is its kind in every file and identity.

    Attributes:
        stored: Whether all parameters are written out but those at their neutral value, as alsweep
            does; where a user wrote them, the others have their defaults.
    """

    kind: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    stored: bool = Field(False, exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _from_flat(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str):
            value = {"kind": value}
        if not isinstance(value, dict) or "kind" not in value:
            raise ValueError("write a kind, or {kind: KIND, PARAMETER: VALUE}")
        if "parameters" in value:
            return value
        return {
            "kind": value["kind"],
            "parameters": {k: v for k, v in value.items() if k != "kind"},
            "stored": is_stored(info),
        }

    @model_serializer
    def _to_flat(self) -> Any:
        return {"kind": self.kind, **self.parameters} if self.parameters else self.kind

    def identity_in(self, plain: Any) -> Any:
        """As it is written: parameters at their neutral value are left out there already."""
        return plain


NONE = OptionSpec(kind="none")
