"""Predictive entropy shared out over the predicted classes, without and with decaying noise."""

from dataclasses import dataclass

from alsweep.query.base import Stages, Strategy, same_as, strategy
from alsweep.query.noise import Power
from alsweep.query.stratify import ByClass


@strategy("clas_pe", aliases={"class_pe66": {"r": 0.66}, "class_pe33": {"r": 0.33}})
@dataclass(frozen=True)
class ClasPe(Strategy):
    """Predictive entropy, with a share of each query split evenly over the predicted classes.

    Source: Luth et al. 2026 (ClaSP PE), ClaS PE.
    """

    r: float = same_as(ByClass, "r")

    def stages(self) -> Stages:
        """Predictive entropy, box mean, strata by class, greedy."""
        return Stages(map="predictive_entropy", stratify=ByClass(r=self.r))


@strategy(
    "clasp_pe_const",
    aliases={"class_power_pe66": {"r": 0.66}, "class_power_pe33": {"r": 0.33}},
)
@dataclass(frozen=True)
class ClaspPeConst(Strategy):
    """ClaS PE with power noise of the same strength at every query.

    Source: Luth et al. 2026 (ClaSP PE), ClaSP PE const.
    """

    r: float = same_as(ByClass, "r")
    beta: float = same_as(Power, "beta")

    def stages(self) -> Stages:
        """Predictive entropy, box mean, power noise, strata by class, greedy."""
        strata = ByClass(r=self.r)
        return Stages(map="predictive_entropy", noise=Power(beta=self.beta), stratify=strata)


def _ablations() -> dict[str, dict[str, float | str]]:
    """The publication's names for the schedules."""
    names: dict[str, dict[str, float | str]] = {}
    for percent in (66, 33):
        name, r = f"class_power_pe{percent}", percent / 100
        names[f"{name}_exp"] = {"r": r}
        for kind, temperature in (("smooth", 2.0), ("sharp", 0.5)):
            sigmoid: dict[str, float | str] = {
                "r": r,
                "schedule": "sigmoid",
                "temperature": temperature,
            }
            names[f"{name}_{kind}_sigmoid"] = sigmoid
    return names


@strategy("clasp_pe", aliases=_ablations())
@dataclass(frozen=True)
class ClaspPe(Strategy):
    """ClaS PE with power noise that decays from query to query: varied first, precise later.

    Source: Luth et al. 2026 (ClaSP PE); exponential schedule from 1 to 100.
    """

    r: float = same_as(ByClass, "r")
    beta: float = same_as(Power, "beta")
    schedule: str = same_as(Power, "schedule", "exponential")
    beta_end: float = same_as(Power, "beta_end")
    temperature: float = same_as(Power, "temperature")
    span: str = same_as(Power, "span")

    def stages(self) -> Stages:
        """Predictive entropy, box mean, scheduled power noise, strata by class, greedy."""
        noise = Power(
            beta=self.beta,
            schedule=self.schedule,
            beta_end=self.beta_end,
            temperature=self.temperature,
            span=self.span,
        )
        return Stages(map="predictive_entropy", noise=noise, stratify=ByClass(r=self.r))
