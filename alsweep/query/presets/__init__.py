"""The named strategies, one small file each; importing this registers all of them."""

import logging
import pkgutil
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

_log = logging.getLogger(__name__)

for _module in pkgutil.iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")


@cache
def load_plugins() -> None:
    """Load the entry points ``alsweep.strategies``; a broken one is named and left out."""
    for point in entry_points(group="alsweep.strategies"):
        try:
            point.load()
        except Exception as error:  # another package's fault must not stop ours
            _log.warning("warning: strategy plug-in '%s' skipped: %s", point.value, error)
