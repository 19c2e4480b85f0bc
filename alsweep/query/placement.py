"""Random placement of patches: uniform, on foreground, on borders, on every class."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.ndimage import binary_erosion, find_objects

from alsweep.errors import PoolExhaustedError
from alsweep.geometry import (
    Patch,
    Triple,
    axis_starts,
    boxes_intersect,
    centred_start,
    clip_size,
    triple,
)
from alsweep.query.checks import PER_CLASS
from alsweep.query.room import is_too_free, space_of
from alsweep.query.select import greedy

if TYPE_CHECKING:
    from alsweep.query.base import Pool, PoolCase, Request
    from alsweep.types import LabelMap

Mode = Literal["all", "seg", "border"]

TRIES = 600
"""Draws for one patch in one case before it counts as full (methods 3)."""


class Placer:
    """Places patches of one request in a pool, none overlapping more than allowed.

    Args:
        cases: The pool's cases.
        classes: Class names; the index is the label.
        reference: Ground truth of a case; asked for only by the foreground modes.
        request: Patch size, overlap and limits.
    """

    def __init__(
        self,
        cases: Sequence["PoolCase"],
        classes: Sequence[str],
        reference: Callable[[str], "LabelMap"],
        request: "Request",
    ) -> None:
        self._cases = {case.case: case for case in cases}
        self._taken = {case.case: list(case.taken) for case in cases}
        self._labels = range(1, len(classes))
        self._reference = reference
        self._request = request
        self._voxels: dict[tuple[str, int, Mode], np.ndarray] = {}
        self.placed: list[Patch] = []

    @property
    def whole(self) -> set[str]:
        """Cases that were annotated whole before anything was placed."""
        return {c.case for c in self._cases.values() if any(p.size == c.shape for p in c.taken)}

    def fill(self, n: int, modes: Sequence[Mode], rng: np.random.Generator) -> None:
        """Place up to ``n`` patches, one per case visited, cycling through shuffled cases.

        Args:
            n: Patches wanted; fewer are placed when no case can take another.
            modes: One is drawn, uniformly, for each patch.
            rng: For the order of cases, the modes and the places.
        """
        order = [str(case) for case in rng.permutation(sorted(self._cases))]
        full: set[str] = set()
        position = 0
        while n > 0 and len(full) < len(order):
            mode = modes[int(rng.integers(len(modes)))]
            # A foreground patch that fits nowhere is placed anywhere, so that the count is kept.
            for attempt in dict.fromkeys((mode, "all")):
                found = self._next_place(order, position, full, attempt, rng)
                if found is not None:
                    position = found + 1
                    n -= 1
                    break

    def _next_place(
        self,
        order: list[str],
        position: int,
        full: set[str],
        mode: Mode,
        rng: np.random.Generator,
    ) -> int | None:
        """Place a patch in the first case from ``position`` on that takes it; return which."""
        for step in range(len(order)):
            case = order[(position + step) % len(order)]
            if case in full or self._at_limit(case):
                full.add(case)
                continue
            if self.place(case, mode, rng):
                return position + step
            if mode == "all":
                full.add(case)
        return None

    def _at_limit(self, case: str) -> bool:
        return sum(patch.case == case for patch in self.placed) >= self._request.per_case

    def place(self, case: str, mode: Mode, rng: np.random.Generator) -> bool:
        """Try to place one patch in ``case``; True if it was placed."""
        start = self._uniform(case, rng) if mode == "all" else self._on_class(case, mode, rng)
        return self._accept(case, start)

    def place_on(self, case: str, label: int, rng: np.random.Generator) -> bool:
        """Try to place a patch on a voxel of class ``label`` in ``case``; True if it was."""
        return self._accept(case, self._centred(case, self._class_voxels(case, label, "seg"), rng))

    def _accept(self, case: str, start: Triple | None) -> bool:
        if start is None:
            return False
        patch = Patch(case, start, self._size(case))
        self._taken[case].append(patch)
        self.placed.append(patch)
        return True

    def _size(self, case: str) -> Triple:
        return clip_size(self._request.patch_size, self._cases[case].shape)

    def _fits(self, case: str, start: Triple) -> bool:
        size = self._size(case)
        if is_too_free(self._cases[case], self._request, start, size):
            return False
        touching = [p for p in self._taken[case] if boxes_intersect(start, size, p.start, p.size)]
        if not touching or not self._request.overlap:
            return not touching
        covered = np.zeros(size, dtype=bool)
        for patch in touching:
            low = [max(p - a, 0) for p, a in zip(patch.start, start, strict=True)]
            high = [e - a for e, a in zip(patch.stop, start, strict=True)]
            covered[tuple(slice(lo, hi) for lo, hi in zip(low, high, strict=True))] = True
        return bool(covered.mean() <= self._request.overlap)

    def _uniform(self, case: str, rng: np.random.Generator) -> Triple | None:
        """A start drawn uniformly from the free ones; None when there is none."""
        shape, size = self._cases[case].shape, self._size(case)
        for _ in range(TRIES):
            start = triple(
                int(rng.integers(0, n - s + 1)) for n, s in zip(shape, size, strict=True)
            )
            if self._fits(case, start):
                return start
        # Nearly full: a random score for every start, of which the best free one is as uniform as a
        # lucky draw.
        starts = [len(axis_starts(n, s, 1)) for n, s in zip(shape, size, strict=True)]
        scores = rng.random(starts, dtype=np.float32)
        own = replace(self._cases[case], taken=tuple(self._taken[case]))
        best = greedy(scores, space_of(own, replace(self._request, strides=(1, 1, 1))), 1)
        return best[0].start if best else None

    def _on_class(self, case: str, mode: Mode, rng: np.random.Generator) -> Triple | None:
        """A start centred on a voxel of a foreground class drawn from those in the case."""
        present = [c for c in self._labels if self._has(case, c)]
        if not present:
            return None
        label = int(rng.choice(present))
        return self._centred(case, self._class_voxels(case, label, mode), rng)

    def _centred(self, case: str, voxels: np.ndarray, rng: np.random.Generator) -> Triple | None:
        shape, size = self._cases[case].shape, self._size(case)
        for _ in range(TRIES if len(voxels) else 0):
            centre = np.unravel_index(int(voxels[rng.integers(len(voxels))]), shape)
            start = centred_start(triple(map(int, centre)), size, shape)
            if self._fits(case, start):
                return start
        return None

    def _has(self, case: str, label: int) -> bool:
        return len(self._class_voxels(case, label, "seg")) > 0

    def _class_voxels(self, case: str, label: int, mode: Mode) -> np.ndarray:
        """Flat indices of the voxels of a class, or of its border, in one case."""
        key = (case, label, mode)
        if key not in self._voxels:
            mask = np.asarray(self._reference(case)) == label
            self._voxels[key] = np.flatnonzero(_border(mask) if mode == "border" else mask)
        return self._voxels[key]


def _border(mask: np.ndarray) -> np.ndarray:
    """The mask without its erosion by the 6-neighbour ball (methods 3)."""
    border = mask.copy()
    for box in find_objects(mask.astype(np.uint8)):
        border[box] &= ~binary_erosion(mask[box])
    return border


def guarantee_classes(
    placer: Placer, pool: "Pool", labels: Iterable[int], rng: np.random.Generator
) -> None:
    """Place two patches for every class, rarest class first, each in another case.

    Cases without a patch come first, so that the patches spread; they are used again once none is
    left. A case that is annotated whole needs no patch for any of its classes.

    Raises:
        PoolExhaustedError: A class is in fewer than two cases, or no patch fits on it; names the
            class.

    Source: Luth et al. 2025 (nnActive), ``*-all-classes`` starting budgets.
    """
    cases_of = {
        label: [c.case for c in pool.cases if (np.asarray(pool.reference(c.case)) == label).any()]
        for label in labels
    }
    for label, cases in cases_of.items():
        if len(cases) < PER_CLASS:
            where = f"only in case {cases[0]}" if cases else "in no case"
            raise PoolExhaustedError(
                f"class '{pool.classes[label]}' is {where} of the pool, but an all_classes "
                f"start needs it in {PER_CLASS}; use a start without _all_classes or add cases"
            )
    used: set[str] = set()
    waiting = set(cases_of)
    while waiting:
        label = min(waiting, key=lambda c: (len([x for x in cases_of[c] if x not in used]), c))
        waiting.remove(label)
        used |= _place_class(placer, pool.classes[label], label, cases_of[label], used, rng)


def _place_class(
    placer: Placer,
    name: str,
    label: int,
    cases: list[str],
    used: set[str],
    rng: np.random.Generator,
) -> set[str]:
    shuffled = [str(case) for case in rng.permutation(cases)]
    taken = placer.whole & set(cases)
    for case in sorted(shuffled, key=lambda c: c in used):
        new = case not in taken and len(taken) < PER_CLASS
        if new and placer.place_on(case, label, rng):
            taken.add(case)
    if len(taken) < PER_CLASS:
        raise PoolExhaustedError(
            f"class '{name}': only {len(taken)} of {PER_CLASS} guaranteed patches could be placed "
            f"without overlap; lower query.patch_size or use a start without _all_classes"
        )
    return taken
