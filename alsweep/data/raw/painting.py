"""Whether nnU-Net's painting of overlapping regions gives a perfect prediction back as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from alsweep.data.case import Region


class Painting(NamedTuple):
    """Regions in the order of painting, and the label that each is painted with."""

    regions: tuple[Region, ...]
    order: tuple[int, ...]


class Flaw(NamedTuple):
    """A label whose voxels a perfect prediction turns into another one.

    Attributes:
        label: What the voxels are.
        painted: What they come out as.
        region: One that has only one of the two.
    """

    label: int
    painted: int
    region: Region


def flaw(regions: Sequence[Region], order: Sequence[int]) -> Flaw | None:
    """The first mistake of a painting, or None if every region comes out as it was predicted.

    Args:
        regions: In the order of painting.
        order: The label that each is painted with.
    """
    last = _last(regions)
    for label in sorted(last):
        painted = order[last[label]]
        for region in regions:
            if (label in region.labels) != (painted in region.labels):
                return Flaw(label, painted, region)
    for region, painted in zip(regions, order, strict=True):
        # Painted over in a perfect prediction, but not in every other one.
        if painted not in region.labels:
            return Flaw(region.labels[0], painted, region)
    return None


def colours(regions: Sequence[Region]) -> tuple[int, ...] | None:
    """An order without a flaw for regions that are painted as they stand, or None without one."""
    last = _last(regions)
    order = tuple(_colour(regions, last, index) for index in range(len(regions)))
    return order if flaw(regions, order) is None else None


def mended(regions: Sequence[Region]) -> Painting | None:
    """A painting without a flaw, the regions rearranged if need be, or None if there is none.

    A region can be painted last if its labels belong to the same regions, so that one label stands
    for all of them; what it covers can be left out of all others. Taking any such region never
    spoils a later choice, hence no order is tried twice.
    """
    given = colours(regions)
    if given is not None:
        return Painting(tuple(regions), given)
    left, covered = list(regions), set[int]()
    backwards: list[Region] = []
    while left:
        # From the end, so that regions keep their order where that is possible.
        fit = [r for r in reversed(left) if len(_kinds(regions, set(r.labels) - covered)) <= 1]
        if not fit:
            return None
        left.remove(fit[0])
        backwards.append(fit[0])
        covered.update(fit[0].labels)
    ordered = tuple(reversed(backwards))
    order = colours(ordered)
    return None if order is None else Painting(ordered, order)


def _last(regions: Sequence[Region]) -> Mapping[int, int]:
    """For each label in a region, the region that is painted last over it."""
    return {label: index for index, region in enumerate(regions) for label in region.labels}


def _colour(regions: Sequence[Region], last: Mapping[int, int], index: int) -> int:
    """A label of the region that shows, else the one that says least of other regions."""
    labels = regions[index].labels
    shown = [label for label in labels if last[label] == index] or list(labels)
    return min(shown, key=lambda label: (len(_kind(regions, label)), label))


def _kind(regions: Sequence[Region], label: int) -> frozenset[int]:
    return frozenset(index for index, region in enumerate(regions) if label in region.labels)


def _kinds(regions: Sequence[Region], labels: set[int]) -> set[frozenset[int]]:
    return {_kind(regions, label) for label in labels}


def told(regions: Sequence[Region], order: Sequence[int], found: Flaw) -> str:
    """The end of a sentence that begins with ``regions_class_order``: the flaw and the mend."""
    return (
        f"{list(order)} turns label {found.label} into {found.painted}, of which only one is in "
        f"'{found.region.name}', so that a perfect prediction would score as a wrong one; "
        f"{advice(regions)}"
    )


def advice(regions: Sequence[Region]) -> str:
    """What to write into ``dataset.json`` so that each region comes out as it was predicted."""
    painting = mended(regions)
    if painting is None:
        return (
            "no order would do, since some regions overlap in labels that no region has to "
            "itself; make that overlap a region of its own"
        )
    if painting.regions == tuple(regions):
        return f"write {list(painting.order)}"
    names = ", ".join(f"'{region.name}'" for region in painting.regions)
    return (
        f"list the regions in labels in the order {names}, each before what lies in it, and "
        f"write {list(painting.order)}"
    )
