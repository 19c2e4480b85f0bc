"""What was timed of a recipe; known without torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TimedSteps:
    """Training steps that were timed so far.

    Attributes:
        seconds: Of them all.
        steps: How many; those of the first epoch, which sets everything up, only as long as there
            are no others.
        threads: Of torch.
    """

    seconds: float
    steps: int
    threads: int


@dataclass(frozen=True)
class Held:
    """What a worker took of its card while it trained and predicted.

    Attributes:
        gib: Most memory, with what CUDA itself takes.
        card: As its maker has it.
        card_gib: Of its memory, or of the slice of it that is seen.
    """

    gib: float
    card: str
    card_gib: float


@dataclass(frozen=True)
class TimedCase:
    """A case that one member predicted.

    Attributes:
        case: Its id.
        seconds: That it took.
        threads: Of torch.
    """

    case: str
    seconds: float
    threads: int
