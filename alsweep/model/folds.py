"""Folds over annotated cases, such that no fold's training part lacks a class."""

from collections.abc import Mapping

from alsweep.rng import stream

FOLD_SEED = 12345


def make_folds(classes_of: Mapping[str, frozenset[int]], folds: int) -> list[list[str]] | None:
    """Split annotated cases into folds; every class is present in at least two of them.

    Args:
        classes_of: For each annotated case, the classes among its annotated voxels.
        folds: How many; at least 2.

    Returns:
        The held-out cases of each fold, sorted; None where a class is in fewer than two cases or
        there are fewer cases than folds, so that members must train on all annotated cases instead.

    Source: Luth et al. 2025 (nnActive), fold creation on partial labels.
    """
    cases = sorted(classes_of)
    holders = {
        c: [k for k in cases if c in classes_of[k]] for c in frozenset().union(*classes_of.values())
    }
    if len(cases) < folds or any(len(found) < 2 for found in holders.values()):
        return None
    order = [str(case) for case in stream(FOLD_SEED, "folds").permutation(cases)]
    parts: list[list[str]] = [[] for _ in range(folds)]
    for label in sorted(holders, key=lambda c: (len(holders[c]), c)):
        _spread(label, [case for case in order if case in holders[label]], parts, classes_of)
    for case in order:
        if not any(case in part for part in parts):
            min(parts, key=len).append(case)
    return [sorted(part) for part in parts]


def _spread(
    label: int, holders: list[str], parts: list[list[str]], classes_of: Mapping[str, frozenset[int]]
) -> None:
    """See to it that two parts hold the class, adding cases to the emptiest parts without it."""
    free = [case for case in holders if not any(case in part for part in parts)]
    while True:
        without = [p for p in parts if not any(label in classes_of[case] for case in p)]
        if len(parts) - len(without) >= 2 or not free:
            return
        min(without, key=len).append(free.pop(0))
