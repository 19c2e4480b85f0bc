"""Folds over annotated cases, such that no fold's training part lacks a class."""

from collections.abc import Mapping
from dataclasses import dataclass

from alsweep.rng import stream

FOLD_SEED = 12345


@dataclass(frozen=True)
class Fold:
    """What a member does without.

    Attributes:
        cases: Held out; sorted.
        address: Of the fold among all there can be of the same annotated cases.
    """

    cases: list[str]
    address: list[object]


def make_folds(classes_of: Mapping[str, frozenset[int]], folds: int) -> list[Fold] | None:
    """Split annotated cases into folds; every class is present in at least two of them.

    Args:
        classes_of: For each annotated case, the classes among its annotated voxels.
        folds: How many; at least 2.

    Returns:
        The folds, none of them empty; None where there are fewer cases than folds, or no split has
        every class in two of them, so that members must train on all annotated cases instead.

    Source: Luth et al. 2025 (nnActive), fold creation on partial labels; there a later class can
    end in one fold.
    """
    cases = [str(case) for case in stream(FOLD_SEED, "folds").permutation(sorted(classes_of))]
    labels = frozenset().union(*classes_of.values())
    holders = {label: [case for case in cases if label in classes_of[case]] for label in labels}
    rarest_first = sorted(holders, key=lambda label: (len(holders[label]), label))
    if len(cases) < folds:
        return None
    split = _Split([holders[label] for label in rarest_first], folds)
    if split.spread() is not None:
        return None
    for case in cases:
        if case not in split.part_of:
            split.part_of[case] = split.by_size()[0]
    parts = [sorted(c for c in cases if split.part_of[c] == part) for part in range(folds)]
    # Where nothing had to be taken back, a fold is known by its index.
    return [
        Fold(part, [index, folds, *([part] if split.taken_back else [])])
        for index, part in enumerate(parts)
    ]


class _Split:
    """A search for folds: a case is put where it helps most, and taken back where that was wrong.

    Args:
        holders: The cases of each class, in the order in which classes and cases are considered.
        folds: How many.
    """

    def __init__(self, holders: list[list[str]], folds: int) -> None:
        self._holders = holders
        self._folds = folds
        self.part_of: dict[str, int] = {}
        self.taken_back = False

    def by_size(self) -> list[int]:
        """Parts, the emptiest first."""
        held = [*self.part_of.values()]
        return sorted(range(self._folds), key=held.count)

    def spread(self) -> set[str] | None:
        """Put cases until every class is in two parts.

        Returns:
            None, or, where no split has every class in two parts, cases that are to blame: as they
            are placed, it cannot be done. What was put since the call is taken back then.

        Source: Prosser 1993, conflict-directed backjumping. It goes back to a case that is to
        blame, past all others, so that classes without a case in common do not multiply.
        """
        unspread = [holders for holders in self._holders if len(self._parts(holders)) < 2]
        if not unspread:
            return None
        if lost := next((holders for holders in unspread if not self._free(holders)), None):
            return {*lost}
        case, choices = self._next(unspread)
        blamed: set[str] = set()
        for part in choices:
            self.part_of[case] = part
            to_blame = self.spread()
            if to_blame is None:
                return None
            del self.part_of[case]
            self.taken_back = True
            if case not in to_blame:
                return to_blame
            blamed |= to_blame
        return blamed - {case}

    def _next(self, unspread: list[list[str]]) -> tuple[str, list[int]]:
        """The case to place, and the parts for it, of which one that is empty stands for all.

        Parts without the class come first, then the emptiest. Once it proves hard, the case that
        may go to the fewest parts is placed first.
        """
        case, wrong = self._free(unspread[0])[0], self._parts(unspread[0])
        if self.taken_back:
            barred = self._barred(unspread)
            case = max(barred, key=lambda one: len(barred[one]), default=case)
            wrong = barred.get(case, wrong)
        ordered = sorted(self.by_size(), key=wrong.__contains__)
        empty = [part for part in ordered if part not in self.part_of.values()]
        return case, [part for part in ordered if part not in empty[1:]]

    def _barred(self, unspread: list[list[str]]) -> dict[str, set[int]]:
        """Parts that a case cannot go to, since it is the last that can spread a class."""
        barred: dict[str, set[int]] = {}
        for holders in unspread:
            free = self._free(holders)
            if len(free) == 1:
                barred.setdefault(free[0], set()).update(self._parts(holders))
        return barred

    def _free(self, holders: list[str]) -> list[str]:
        return [case for case in holders if case not in self.part_of]

    def _parts(self, holders: list[str]) -> set[int]:
        return {self.part_of[case] for case in holders if case in self.part_of}
