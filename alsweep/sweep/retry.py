"""Which trajectories are tried again that failed before."""

from enum import StrEnum


class Retry(StrEnum):
    """What becomes of them."""

    failed = "failed"
    """They are tried again."""
    none = "none"
    """They stay as they are, and all else is made."""


RETRY_HELP = "What failed before is tried again (failed) or left as it is (none)."
