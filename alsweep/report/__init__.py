"""Reports on runs: reads results and run folders, never the sweep.

``write_report`` is loaded when first used, since it brings matplotlib and plotly.js along.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alsweep.report.html import write_report

__all__ = ["write_report"]


def __getattr__(name: str) -> object:
    """Load a public name on first use."""
    if name != "write_report":
        raise AttributeError(f"module 'alsweep.report' has no attribute {name!r}")
    from alsweep.report.html import write_report

    return write_report
