"""What a section of the report is, and the blocks that it is made of.

A section is one file in ``sections/`` that defines ``SECTION``; the page, its menu, the files
beside it and the script that draws know of nothing else. All numbers are made here, in Python:
where a switch changes a figure, its JSON holds every alternative (:func:`switched`), and the script
takes the one that is chosen.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, TypeVar

from alsweep.report.explore import Chosen, Shown, explored
from alsweep.report.study import Look, Study
from alsweep.report.tables import NamedTable
from alsweep.report.volumes import Opened

T = TypeVar("T")

_CHIP = "strategy "

Figure = dict[str, Any]
"""Plotly's own JSON, in which any value may be switched."""


def switched(switch: str, of: Mapping[str, Any]) -> dict[str, Any]:
    """A value of a figure that follows a switch of its section.

    Args:
        switch: Name of the switch.
        of: Value of the switch to what the figure holds then, which may be switched itself.
    """
    return {"switch": switch, "of": dict(of)}


def settled(figure: Any, chosen: Mapping[str, str]) -> Any:
    """A figure as it is while its switches are set so.

    Args:
        figure: Or a part of one.
        chosen: Switch to value; those that are not named are as at first.
    """
    if isinstance(figure, list):
        return [settled(one, chosen) for one in figure]
    if not isinstance(figure, dict):
        return figure
    if "switch" in figure:
        name, values = figure["switch"], figure["of"]
        first = "off" if "off" in values else next(iter(values))
        option = chosen.get(name, "on" if name.startswith(_CHIP) else first)
        # What a figure does not have for an option is not shown with it.
        return settled(values.get(option, False), chosen)
    return {key: settled(one, chosen) for key, one in figure.items()}


class Material:
    """What a report is made from.

    Attributes:
        study: The runs.
        datasets: Their datasets by trajectory id.
        chosen: Which trajectories are shown in space.
    """

    def __init__(
        self, study: Study, datasets: Mapping[str, Opened], chosen: Chosen | None = None
    ) -> None:
        self.study = study
        self.datasets = datasets
        self.chosen = chosen or Chosen()
        self._made: dict[Callable[..., Any], Any] = {}

    @cached_property
    def explored(self) -> list[Shown]:
        """Queries that are shown in space."""
        return explored(self.study, self.chosen)

    def once(self, make: Callable[[Study], T]) -> T:
        """What ``make`` makes of the study; made once, however many ask for it."""
        if make not in self._made:
            self._made[make] = make(self.study)
        found: T = self._made[make]
        return found

    def kept(self, make: "Callable[[Material], T]") -> T:
        """The same of what needs datasets, too."""
        if make not in self._made:
            self._made[make] = make(self)
        found: T = self._made[make]
        return found


@dataclass(frozen=True)
class Caption:
    """A paragraph below what it explains; a strong one stands out."""

    kind: ClassVar[str] = "caption"
    text: str
    strong: bool = False


@dataclass(frozen=True)
class Lead:
    """A sentence that stands for the whole page; a second one is quieter."""

    kind: ClassVar[str] = "lead"
    text: str


@dataclass(frozen=True)
class Tables:
    """Tables under their names; the name is left out where there is one table only.

    Folded ones are what a figure is made of, for those who want numbers or cannot see it.
    """

    kind: ClassVar[str] = "tables"
    named: tuple[NamedTable, ...]
    folded: bool = False


@dataclass(frozen=True)
class Figures:
    """Interactive figures beside each other, each with a title, which may be empty.

    Their picture is called by the section, and has a name where it shows something of its own.
    """

    kind: ClassVar[str] = "figures"
    panels: tuple[tuple[str, Figure], ...]
    name: str = ""


@dataclass(frozen=True)
class Switch:
    """Buttons of which one is pressed.

    Attributes:
        name: Figures follow it by this name.
        label: What it chooses, for screen readers; a menu shows it.
        options: Values and their texts; the first is chosen.
        menu: A menu in place of buttons.
    """

    kind: ClassVar[str] = "switch"
    name: str
    label: str
    options: tuple[tuple[str, str], ...]
    menu: bool = False


@dataclass(frozen=True)
class Box:
    """A box to be ticked; figures follow it with ``on`` and ``off``, and it is off at first."""

    kind: ClassVar[str] = "box"
    name: str
    label: str


@dataclass(frozen=True)
class Controls:
    """Switches in a row."""

    kind: ClassVar[str] = "controls"
    switches: tuple[Switch | Box, ...]


@dataclass(frozen=True)
class Chips:
    """The legend: each strategy can be hidden; see :func:`chip`."""

    kind: ClassVar[str] = "chips"
    looks: tuple[Look, ...]


def chip(look: Look) -> str:
    """Name of the switch that hides a strategy: ``on`` at first, else ``off``."""
    return f"{_CHIP}{look.strategy}"


@dataclass(frozen=True)
class Picture:
    """A WebP, in base64, with its description."""

    title: str
    webp: str


@dataclass(frozen=True)
class Pictures:
    """Pictures under one heading; wide ones stand alone in their row."""

    kind: ClassVar[str] = "pictures"
    heading: str
    pictures: tuple[Picture, ...]
    wide: bool = False


@dataclass(frozen=True)
class Frame(Picture):
    """A picture that is seen while switches are set so."""

    when: Mapping[str, str]


@dataclass(frozen=True)
class Frames:
    """Pictures of which switches show one."""

    kind: ClassVar[str] = "frames"
    frames: tuple[Frame, ...]


@dataclass(frozen=True)
class Statements:
    """Pairs of an item and what is to be said on it."""

    kind: ClassVar[str] = "statements"
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Beside:
    """Blocks on the left and on the right; below each other on a narrow screen."""

    kind: ClassVar[str] = "beside"
    left: tuple["Block", ...]
    right: tuple["Block", ...]


Block = (
    Lead | Caption | Tables | Figures | Controls | Chips | Pictures | Frames | Statements | Beside
)


def always(material: Material) -> bool:
    """Applies to every study."""
    return True


@dataclass(frozen=True)
class Section:
    """One part of the page and the files that belong to it.

    Attributes:
        id: Its anchor in the page.
        title: Its heading, also in the menu.
        place: Sections stand in this order; there is room between the numbers.
        blocks: Makes what it shows: figures, tables, captions, switches.
        files: Name of a file beside the page to what makes its content, None where there is none.
        applies: Whether the study has anything for it; where not, page and files are without it.
        still: What pictures of its figures are called, less their ending; empty: there are none.
    """

    id: str
    title: str
    place: int
    blocks: Callable[[Material], Iterable[Block]]
    files: Mapping[str, Callable[[Material], bytes | None]] = field(default_factory=dict)
    applies: Callable[[Material], bool] = always
    still: str = ""
