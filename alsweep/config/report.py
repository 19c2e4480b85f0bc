"""What a report shall test: controls, and which differences do not matter."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated

from pydantic import Field, field_validator

from alsweep.config.base import Frozen, added
from alsweep.errors import ConfigError

DEFAULT_CONTROLS = ("random_fg66", "random_fg33", "random")
"""Names of the strategies that others are compared with where nothing is declared."""


class ReportConfig(Frozen):
    """What is asked of a finished sweep; never part of a result's identity."""

    controls: tuple[str, ...] | None = Field(
        None,
        description="labels of the strategies that all others are compared with, in this order; "
        f"default: those of {', '.join(DEFAULT_CONTROLS)} that are in the sweep",
    )
    rope: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.005, description="AUBC (0..1) within which a difference counts as none"
    )

    prices: dict[str, Annotated[float, Field(ge=0)]] = added(
        {},
        neutral={},
        description="name of a cost model ('slices', 'patches', ...) to the price of one of it",
    )
    every_cost: bool = added(
        False,
        neutral=False,
        description="look at the labels of all queries for cost models, however many there are",
    )

    @field_validator("controls")
    @classmethod
    def _controls_differ(cls, controls: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if controls and len(set(controls)) != len(controls):
            raise ValueError("a control is named twice; write each label once")
        return controls

    def on(self, names: Mapping[str, str]) -> "ReportConfig":
        """The same with the default controls written out.

        Args:
            names: Label of each strategy of the sweep to its name.

        Raises:
            ConfigError: No strategy bears the label of a control.
        """
        controls = default_controls(names) if self.controls is None else self.controls
        for control in controls:
            if control not in names:
                raise ConfigError(f"report.controls: {no_such_label(control, names)}")
        return self.model_copy(update={"controls": controls})

    def renamed(self, labels: Mapping[str, str]) -> "ReportConfig":
        """The same where strategies are called otherwise; what has no new label keeps its own."""
        if self.controls is None:
            return self
        controls = dict.fromkeys(labels.get(control, control) for control in self.controls)
        return self.model_copy(update={"controls": tuple(controls)})


def no_such_label(label: str, labels: Iterable[str]) -> str:
    """What to say of a strategy that is not there: the nearest, or all there are."""
    known = sorted(map(str, labels))
    near = get_close_matches(label, known, n=1)
    mend = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(known) or 'none'}"
    return f"no strategy bears the label '{label}'; {mend}"


def default_controls(names: Mapping[str, str]) -> tuple[str, ...]:
    """The controls where none are declared.

    Args:
        names: Label of each strategy to its name.
    """
    return tuple(
        label for wanted in DEFAULT_CONTROLS for label, name in names.items() if name == wanted
    )


def joined(configs: Iterable[ReportConfig], names: Mapping[str, str]) -> ReportConfig:
    """What several runs ask for together: all controls, in order, the smallest rope, all prices.

    Args:
        configs: One a run.
        names: Label of each strategy to its name, those of all runs.
    """
    found = list(configs) or [ReportConfig()]
    every = [default_controls(names) if c.controls is None else c.controls for c in found]
    controls = dict.fromkeys(control for one in every for control in one)
    prices = {name: price for one in reversed(found) for name, price in one.prices.items()}
    return ReportConfig(
        controls=tuple(controls),
        rope=min(config.rope for config in found),
        prices=prices,
        every_cost=any(config.every_cost for config in found),
    )
