"""Whether trajectories may stop before their last loop or seed, and by which rule."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    PositiveInt,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from alsweep.config.base import Frozen

Share = Annotated[float, Field(gt=0, lt=1)]

_OF_KIND = {
    "none": (),
    "race": ("alpha", "control", "assurance", "prior_df", "each_loop"),
    "asha": ("grace_loops", "reduction_factor"),
}


class ScheduleConfig(Frozen):
    """What decides while a sweep runs; never part of a trajectory's identity.

    ``none`` makes everything. ``race`` drops strategies that are worse than the leader or a
    control, after each block of seeds: see :mod:`alsweep.results.racing`. ``asha`` halves the
    trajectories of a setting at equal loops; for searches, since it decides by noise.
    """

    kind: Literal["none", "asha", "race"] = "none"
    alpha: Share = Field(0.05, description="of race: risk of a wrong drop, a setting")
    control: str | None = Field(
        None, description="of race: label of the strategy to race against; default: the leader"
    )
    assurance: Share = Field(
        0.95, description="of race: least probability that all seeds give the same verdict"
    )
    prior_df: Annotated[float, Field(ge=0, le=1000)] = Field(
        3.0, description="of race: degrees of freedom borrowed from all strategies of a setting"
    )
    each_loop: bool = Field(False, description="of race: decide after each loop, too")
    grace_loops: PositiveInt = Field(1, description="of asha: loops before the first cut")
    reduction_factor: Annotated[int, Field(ge=2)] = Field(
        2, description="of asha: one in so many goes on at each cut"
    )

    @model_validator(mode="before")
    @classmethod
    def _only_what_is_of_the_kind(cls, value: Any) -> Any:
        if not isinstance(value, dict) or value.get("kind", "none") not in _OF_KIND:
            return value
        kind = value.get("kind", "none")
        foreign = [key for key in value if key != "kind" and key not in _OF_KIND[kind]]
        others = {key: other for other, keys in _OF_KIND.items() for key in keys}
        for key in foreign:
            if key in others:
                raise ValueError(
                    f"'{key}' does nothing with kind: {kind}; it belongs to kind: {others[key]}"
                )
        return value

    @model_validator(mode="after")
    def _a_control_has_a_name(self) -> Self:
        if self.control == "":
            raise ValueError("control: write the label of a strategy, or leave it out")
        return self

    @model_serializer(mode="wrap")
    def _what_the_kind_heeds(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        heeded = ("kind", *_OF_KIND[self.kind])
        return {key: value for key, value in whole(self).items() if key in heeded}

    @property
    def decides(self) -> bool:
        """Whether anything stops before its last loop."""
        return self.kind != "none"
