"""Which strategy queries: its name and parameters, or its stages."""

from typing import Any

from pydantic import Field, ValidationInfo, model_serializer, model_validator

from alsweep.config.base import Frozen, is_stored

COMPOSED = "stages"
"""The name of every strategy whose stages are spelled out, and the key that they stand under."""


class StrategySpec(Frozen):
    """A strategy by name, with parameters; the query room knows which there are.

    Written flat: ``predictive_entropy`` or ``{name: power_bald, beta: 5, label: mine}``. Stages
    spelled out, ``{stages: {map: margin, noise: power}, label: mine}``, bear the name ``stages``.

    Attributes:
        stored: Whether all parameters are written out but those at their neutral value, as alsweep
            does; where a user wrote them, the others have their defaults.
        plugins: SHA-256 of the plug-in files that the strategy or its stages are from; written by
            alsweep, and left out where there are none.
    """

    name: str
    label: str | None = None
    plugins: tuple[str, ...] = ()
    parameters: dict[str, Any] = Field(default_factory=dict)
    stored: bool = Field(False, exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _from_flat(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str):
            value = {"name": value}
        if not isinstance(value, dict) or "parameters" in value:
            return value
        if COMPOSED in value:
            if value.get("name", COMPOSED) != COMPOSED:
                raise ValueError("a strategy has either a name or stages; call it by a label")
            value = {**value, "name": COMPOSED}
        known = {key: value[key] for key in ("name", "label", "plugins") if key in value}
        others = {k: v for k, v in value.items() if k not in known}
        return known | {"parameters": others, "stored": is_stored(info)}

    @property
    def shown(self) -> str:
        """As tables and people call it; a resolved strategy has a label."""
        return self.label or self.name

    @model_serializer
    def _to_flat(self) -> dict[str, Any]:
        label = {} if self.label is None else {"label": self.label}
        return {"name": self.name} | label | self._plugins | self.parameters

    @property
    def _plugins(self) -> dict[str, Any]:
        return {"plugins": list(self.plugins)} if self.plugins else {}

    def identity_in(self, plain: Any) -> dict[str, Any]:
        """Everything that changes the queries: name, parameters, plug-in files; not the label."""
        return {"name": self.name, **self._plugins, **self.parameters}
