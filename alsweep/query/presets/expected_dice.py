"""Expected Dice."""

from dataclasses import dataclass

from alsweep.query.base import Stages, Strategy, strategy


@strategy("expected_dice")
@dataclass(frozen=True)
class ExpectedDice(Strategy):
    """Patches in which the members' segmentations have the lowest Dice with the ensemble's.

    Source: Luth et al. 2025 (nnActive, TMLR), Expected Dice.
    """

    def stages(self) -> Stages:
        """Expected Dice of each window, greedy."""
        return Stages(map="expected_dice")
