"""alsweep: distributed sweeps for active learning in 3D biomedical segmentation.

Importing this package imports neither torch nor ray: the public names below are loaded when first
used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alsweep.config.sweep import SweepConfig
    from alsweep.config.trajectory import TrajectoryConfig
    from alsweep.data.case import Dataset
    from alsweep.data.label_store import PartialLabels
    from alsweep.geometry import Patch
    from alsweep.results.load import load_results
    from alsweep.trajectory.runner import Trajectory

__version__ = "0.1.0"

__all__ = [
    "Dataset",
    "PartialLabels",
    "Patch",
    "SweepConfig",
    "Trajectory",
    "TrajectoryConfig",
    "__version__",
    "load_results",
]

_HOMES = {
    "Dataset": "alsweep.data.case",
    "PartialLabels": "alsweep.data.label_store",
    "Patch": "alsweep.geometry",
    "SweepConfig": "alsweep.config.sweep",
    "Trajectory": "alsweep.trajectory.runner",
    "TrajectoryConfig": "alsweep.config.trajectory",
    "load_results": "alsweep.results.load",
}


def __getattr__(name: str) -> object:
    """Load a public name on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'alsweep' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
