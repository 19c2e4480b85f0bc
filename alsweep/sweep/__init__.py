"""Many trajectories: what a search space means, and making what is missing of it.

Only this room imports ray, and not before a sweep begins: the public names are loaded when first
used.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alsweep.sweep.running import run_sweep

__all__ = ["run_sweep"]


def __getattr__(name: str) -> object:
    """Load a public function on first use."""
    if name not in __all__:
        raise AttributeError(f"module 'alsweep.sweep' has no attribute {name!r}")
    from alsweep.sweep import running

    return getattr(running, name)


def __dir__() -> list[str]:
    return sorted(__all__)
