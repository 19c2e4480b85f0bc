"""What of many things failed: each cause once, and the exit code."""

from collections.abc import Mapping

import typer

from alsweep.disk import shared_cause

SOME_FAILED = 3
ALL_FAILED = 1
_MOST_ERRORS = 5


def tell_failures(failed: Mapping[str, str], total: int, things: str, mend: str) -> int:
    """Say on stderr what failed and why, a cause that many share but once; return the exit code.

    Args:
        failed: Name to error.
        total: How many things there are.
        things: What failed.
        mend: What to do once the cause is mended.
    """
    if not failed:
        return 0
    by_cause: dict[str, list[str]] = {}
    for name, error in failed.items():
        by_cause.setdefault(shared_cause(error), []).append(name)
    causes = [
        f"{names[0]}{f' and {len(names) - 1} more' if names[1:] else ''}: "
        f"{' '.join(failed[names[0]].split())}"
        for names in by_cause.values()
    ]
    text = f"{len(failed)} of {total} {things} failed"
    if len(causes) == 1:
        text += f": {causes[0]}"
    else:
        for cause in causes[:_MOST_ERRORS]:
            typer.echo(f"failed: {cause}", err=True)
    typer.echo(f"alsweep: error: {text}; mend the cause and {mend}", err=True)
    return SOME_FAILED if len(failed) < total else ALL_FAILED
