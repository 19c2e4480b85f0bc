"""Whose networks stay when those go that nobody needs."""

from enum import StrEnum


class Keep(StrEnum):
    """Whose members stay."""

    last = "last"
    all = "all"
    none = "none"


KEEP_HELP = (
    "Networks that stay: of the last loop of each finished trajectory and of all that are not "
    "finished (last); all, so that only remains of broken-off work go; or none but of unfinished "
    "trajectories."
)
