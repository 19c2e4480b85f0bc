"""Strategies that look for disagreement between the members: BALD and its diverse forms."""

from dataclasses import dataclass

from alsweep.query.base import Stages, Strategy, same_as, strategy
from alsweep.query.noise import Power, SoftRank
from alsweep.query.select.diverse import KMeansPlusPlus


@strategy("mutual_information", aliases=("bald",))
@dataclass(frozen=True)
class MutualInformation(Strategy):
    """BALD: patches on which the members disagree.

    Source: Houlsby et al. 2011, arXiv:1112.5745; Luth et al. 2025 (nnActive, TMLR), BALD.
    """

    def stages(self) -> Stages:
        """Mutual information, box mean, greedy."""
        return Stages(map="mutual_information")


@strategy(
    "power_bald",
    aliases={f"power_bald_b{beta}": {"beta": float(beta)} for beta in (5, 10, 20, 40)},
)
@dataclass(frozen=True)
class PowerBald(Strategy):
    """BALD with Gumbel noise on the log score, so that one query is not many copies of one patch.

    Source: Kirsch et al. 2021, arXiv:2106.12059; Luth et al. 2025 (nnActive, TMLR), PowerBALD.
    """

    beta: float = same_as(Power, "beta")

    def stages(self) -> Stages:
        """Mutual information, box mean, power noise, greedy."""
        return Stages(map="mutual_information", noise=Power(beta=self.beta))


@strategy("softrank_bald")
@dataclass(frozen=True)
class SoftRankBald(Strategy):
    """BALD with Gumbel noise on the log rank among all candidates.

    Source: Kirsch et al. 2021, arXiv:2106.12059; Luth et al. 2025 (nnActive, TMLR), SoftrankBALD.
    """

    beta: float = same_as(SoftRank, "beta")
    case_limit: int = same_as(SoftRank, "case_limit")

    def stages(self) -> Stages:
        """Mutual information, box mean, soft-rank noise, greedy."""
        noise = SoftRank(beta=self.beta, case_limit=self.case_limit)
        return Stages(map="mutual_information", noise=noise)


@strategy("kmeans_bald")
@dataclass(frozen=True)
class KMeansBald(Strategy):
    """The candidates of highest BALD that differ most in the encoders' features.

    Source: Luth et al. 2025 (nnActive, TMLR), KMeansBALD.
    """

    mode: str = same_as(KMeansPlusPlus, "mode")
    case_limit: int = same_as(KMeansPlusPlus, "case_limit")

    def stages(self) -> Stages:
        """Mutual information, box mean, k-means++ on encoder features."""
        select = KMeansPlusPlus(mode=self.mode, case_limit=self.case_limit)
        return Stages(map="mutual_information", select=select)
