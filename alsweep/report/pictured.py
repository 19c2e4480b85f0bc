"""The figures of a page as files: each as PNG, PDF and SVG, as it is at first and as it may be."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from alsweep.report.section import (
    Beside,
    Block,
    Controls,
    Figure,
    Figures,
    Section,
    Switch,
    settled,
)
from alsweep.report.stills import KINDS, Kind, rendered, still

FEW = ("learning_curves", "win_matrix")
"""Those that a report without all pictures has."""

Panels = Sequence[tuple[str, Figure]]

_MOST_SETTINGS = 9
"""Figures of more panels, each of which takes seconds, are drawn as at first alone, few as SVG."""


def picture_names(section: Section) -> tuple[str, ...]:
    """What pictures of a section are called as files, as they are at first."""
    return tuple(f"{section.still}.{kind}" for kind in KINDS) if section.still else ()


def picture_files(
    shown: Iterable[tuple[Section, Sequence[Block]]], *, every: bool = True
) -> Iterator[tuple[str, bytes]]:
    """Name and content of the pictures of all sections that have figures.

    Args:
        shown: Sections with their blocks.
        every: Draw all figures, also with other axes or controls; else the first of a few.
    """
    for section, blocks in shown:
        if section.still in FEW or (section.still and every):
            for name, panels in _pictures(section.still, blocks, every=every):
                picture, many = still(panels), len(panels) > _MOST_SETTINGS
                kinds = KINDS[:2] if many and section.still not in FEW else KINDS
                yield from ((f"{name}.{kind}", rendered(picture, kind)) for kind in kinds)


def first_picture(section: Section, blocks: Iterable[Block], kind: Kind) -> bytes | None:
    """The first figure of a section as it is at first; None where it has none."""
    for _, panels in _pictures(section.still, blocks, every=False):
        return rendered(still(panels), kind)
    return None


def _pictures(name: str, blocks: Iterable[Block], *, every: bool) -> Iterator[tuple[str, Panels]]:
    """Figures with their names, in all that their section's switches make of them."""
    flat = list(_flat(blocks))
    groups = [block for block in flat if isinstance(block, Figures) and block.panels]
    if not every:
        groups = [block for block in groups if not block.name][:1]
    switches = [one for block in flat if isinstance(block, Controls) for one in block.switches]
    asked = [one for one in switches if isinstance(one, Switch)][:1] if every else []
    for block, own in zip(groups, _names(name, groups), strict=True):
        first = _settled(block.panels, {})
        yield own, first
        for switch in asked if len(block.panels) <= _MOST_SETTINGS else ():
            for ending, value in _endings(switch).items():
                other = _settled(block.panels, {switch.name: value})
                if other != first:
                    yield f"{own}_{ending}", other


def _names(section: str, groups: Sequence[Figures]) -> Iterator[str]:
    """Of the picture of each: the section's, with a number from the second on, or a name."""
    number = 0
    for block in groups:
        number += not block.name
        ending = block.name or (str(number) if number > 1 else "")
        yield f"{section}_{ending}" if ending else section


def _flat(blocks: Iterable[Block]) -> Iterator[Block]:
    for block in blocks:
        if isinstance(block, Beside):
            yield from _flat([*block.left, *block.right])
        else:
            yield block


def _settled(panels: Panels, chosen: Mapping[str, str]) -> Panels:
    return [(title, settled(figure, chosen)) for title, figure in panels]


def _endings(switch: Switch) -> dict[str, str]:
    """What a file's name ends in to the value of a switch; a label may be any text."""
    found: dict[str, str] = {}
    for value, _ in switch.options[1:]:
        ending = re.sub(r"[^a-z0-9.]+", "_", value.lower()).strip("_.") or "other"
        free = ending
        while free in found:
            free = f"{ending}_{len(found) + 1}"
        found[free] = value
    return found
