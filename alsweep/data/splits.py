"""Which cases may be annotated and which are kept to measure Dice; fixed once, at ingest."""

import re
from collections.abc import Mapping, Sequence

from alsweep.errors import IngestError
from alsweep.rng import stream

VALIDATION_SHARE = 0.25
_SEED = 12345
_FEWEST = 2


def group_cases(cases: Sequence[str], pattern: str | None) -> dict[str, str]:
    """Group of each case: what ``pattern`` finds in its id (its first group, if it has one).

    Without a pattern every case is its own group: names are never guessed from.

    Raises:
        IngestError: The pattern is not a regular expression, or does not fit a case.
    """
    if pattern is None:
        return {case: case for case in cases}
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise IngestError(
            f"--group-by '{pattern}': is not a regular expression ({error}); "
            "write one like '^[^_]+'"
        ) from None
    return {case: _group(compiled, case) for case in cases}


def _group(pattern: re.Pattern[str], case: str) -> str:
    match = pattern.search(case)
    if match is None:
        raise IngestError(
            f"--group-by '{pattern.pattern}': does not fit case '{case}'; it must fit every case"
        )
    found: str | None = match.group(1) if pattern.groups else match.group(0)
    return found or ""


def draw_validation(groups: Mapping[str, str]) -> frozenset[str]:
    """Draw a quarter of the cases, at least one, for validation; cases of one group stay together.

    Args:
        groups: Group of each case.

    Raises:
        IngestError: There are fewer than two groups, so that nothing would be left to annotate.

    Source: methods of nnActive (25 %, seed 12345); which cases are drawn differs from it.
    """
    members: dict[str, list[str]] = {}
    for case in sorted(groups):
        members.setdefault(groups[case], []).append(case)
    if len(members) < _FEWEST:
        raise IngestError(
            f"split: needs at least {_FEWEST} cases of different groups, got {len(members)}; "
            "add cases or change --group-by"
        )
    return frozenset(_take(members, max(1, int(VALIDATION_SHARE * len(groups)))))


def _take(members: Mapping[str, Sequence[str]], wanted: int) -> list[str]:
    """Whole groups in random order while they fit, but at least the first one."""
    names = sorted(members)
    chosen: list[str] = []
    for position in stream(_SEED, "validation").permutation(len(names)):
        group = members[names[position]]
        if not chosen or len(chosen) + len(group) <= wanted:
            chosen.extend(group)
    return chosen
