"""The sections of a report, one file each: a file put here is in the page, nothing else to do."""

import pkgutil
from importlib import import_module

from alsweep.report.section import Section


def sections() -> list[Section]:
    """Return ``SECTION`` of every module here, in the order in which the page shows them."""
    modules = [
        import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)
    ]
    found: list[Section] = [module.SECTION for module in modules]
    return sorted(found, key=lambda section: section.place)
