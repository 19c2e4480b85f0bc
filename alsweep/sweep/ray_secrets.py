"""Keys to object stores, kept out of what Ray writes down."""

from collections.abc import Iterator
from contextlib import contextmanager

_OF_A_CLOUD = "AWS_"


@contextmanager
def secrets_kept() -> Iterator[None]:
    """Keep Tune from passing keys on, as parts of an environment that Ray's log files spell out.

    Workers on this machine inherit them, and others get them with their work, in memory.
    """
    from ray.tune.execution import class_cache

    passed: set[str] = getattr(class_cache, "ENV_VARS_TO_PROPAGATE", set())
    secret = {name for name in passed if name.startswith(_OF_A_CLOUD)}
    passed -= secret
    try:
        yield
    finally:
        passed |= secret
