"""What a dead worker left to say, in one line."""

from ray.exceptions import RayTaskError


def in_one_line(crash: BaseException) -> str:
    """What a crash says, less its traceback; Ray puts the cause on the last line."""
    lines = [line.strip() for line in str(crash).splitlines() if line.strip()]
    if isinstance(crash, RayTaskError):
        return lines[-1]
    return f"the worker died ({type(crash).__name__}: {lines[0] if lines else 'no reason given'})"
