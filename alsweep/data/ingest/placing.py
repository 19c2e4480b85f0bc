"""Whether the volumes of a dataset can lie where their headers say, and share one spacing."""

from __future__ import annotations

from math import exp, log, prod
from typing import TYPE_CHECKING

import numpy as np

from alsweep.data.ingest.measuring import Measured
from alsweep.data.ingest.resample import resampled_shape
from alsweep.data.raw.grids import ROUNDING, shown
from alsweep.data.raw.layout import few
from alsweep.data.raw.volume import MOST_VOXELS
from alsweep.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jaxtyping import Float64

    from alsweep.data.case import Spacing
    from alsweep.data.ingest.measuring import CaseFacts
    from alsweep.data.raw.grids import Oddness
    from alsweep.data.raw.layout import RawCase, RawDataset
    from alsweep.geometry import Triple

AFFINE_TOLERANCE = 0.5
"""Voxels by which files of a case may lie apart, where nothing else is asked for."""

MOST_UNLIKE = 20
"""How many times the voxels of a case may be larger or smaller than those of the others, and by how
much an axis may be shortened: units differ by a thousand."""

_UNLIKE = 5
"""From here on a warning; of a single edge only from the other limit on, since slices vary more."""

_LONGEST_MM = 3000
_NEAR = 2.0
"""Voxels; what lies further apart is not a matter of rounding, whatever is allowed."""

_MOST_NAMED = 5

_CONTRADICTIONS: dict[Oddness, str] = {
    "spacing": "pixdim and affine give two voxel sizes, and the affine's is taken, in {}; correct "
    "the wrong one, since ITK and so nnU-Net take pixdim's",
    "orientation": "qform and sform lie apart, and sform is taken, in {}; correct the wrong one",
    "nowhere": "no orientation is in the header of {}; exports have a guessed one, and left may be "
    "right",
    "unit": "the unit of length is unknown, and mm are taken, in {}; correct it",
}


def usable(
    dataset: RawDataset, found: Measured, affine_tolerance: float, *, skip_bad: bool
) -> Measured:
    """What was found, without the cases that lie where they cannot; these are refused or left out.

    Args:
        dataset: For the order of the cases and for messages.
        found: All cases.
        affine_tolerance: Voxels by which files of a case may lie apart.
        skip_bad: Whether bad cases are left out instead of refused.

    Raises:
        IngestError: A case is bad and is not to be left out, or all are bad.
    """
    reasons = {
        **_unlike(dataset, found.facts),
        **_misplaced(dataset, found.facts, affine_tolerance),
        **found.skipped,
    }
    refused = {case.id: reasons[case.id] for case in dataset.cases if case.id in reasons}
    facts = {case: fact for case, fact in found.facts.items() if case.id not in refused}
    if refused and not (skip_bad and facts):
        reason, *others = refused.values()
        hint = "" if skip_bad else "; see --bad-cases skip"
        more = f" ({len(others)} more bad cases{hint})" if others else ""
        raise IngestError(reason + more)
    return Measured(facts, refused)


def check_resampling(
    dataset: RawDataset, facts: Mapping[RawCase, CaseFacts], spacing: Spacing
) -> None:
    """Refuse a case whose header, or a target, makes it absurdly large or leaves nothing of it."""
    for case, fact in facts.items():
        old = fact.source.crop.size
        new = resampled_shape(old, fact.source.spacing, spacing)
        if prod(new) > MOST_VOXELS or _vanishes(old, new):
            coarser = "coarser" if prod(new) > MOST_VOXELS else "finer"
            raise IngestError(
                f"{dataset.root / case.images[0]}: would have {_by(new)} voxels instead of "
                f"{_by(old)} at a spacing of {shown(spacing)} mm; mend its header or give a "
                f"{coarser} --spacing"
            )


def contradictions(facts: Mapping[RawCase, CaseFacts]) -> list[str]:
    """What the headers say beyond doubt and against each other, a sentence a kind."""
    found: list[str] = []
    oddities = [oddity for fact in facts.values() for oddity in fact.oddities]
    for kind, sentence in _CONTRADICTIONS.items():
        files = [f"{odd.file} ({odd.detail})" for odd in oddities if odd.kind == kind]
        if files:
            found.append(sentence.format(few(files, _MOST_NAMED)))
    return [*found, *_apart(facts), *_odd_sizes(facts)]


def _misplaced(
    dataset: RawDataset, facts: Mapping[RawCase, CaseFacts], tolerance: float
) -> dict[str, str]:
    found = {}
    for case, fact in facts.items():
        file, apart = max(fact.offsets.items(), key=lambda item: item[1])
        if apart > tolerance:
            first = str(case.images[0])
            lost = {odd.file for odd in fact.oddities if odd.kind == "nowhere"} & {first, file}
            unknown = {o.file: o.detail for o in fact.oddities if o.kind == "unit"}
            mend = "register the volumes, turn the axes alike, or mend the header"
            if lost:
                mend = f"the header of {min(lost)} holds no orientation, copy that of the other"
            elif unknown.keys() & {first, file}:
                odd = min(unknown.keys() & {first, file})
                mend = f"correct the unit of length in the header of {odd} ({unknown[odd]})"
            found[case.id] = (
                f"{dataset.root / file}: its affine puts it {apart:.3g} voxels off "
                f"{dataset.root / first}; {mend}"
            )
            # Further apart voxel would be laid on another voxel: what lies mirrored, for one.
            if apart < _NEAR:
                found[case.id] += f", or allow more than --affine-tolerance {tolerance:g}"
    return found


def _unlike(dataset: RawDataset, facts: Mapping[RawCase, CaseFacts]) -> dict[str, str]:
    """Why a case is refused whose voxels have a size of another world."""
    return {
        case.id: (
            f"{dataset.root / case.images[0]}: its voxels of {shown(facts[case].source.spacing)} "
            f"mm are {_times(ratios.mean())} than those of the other cases; correct the unit or "
            "the spacing in its header"
        )
        for case, ratios in _log_ratios(facts).items()
        if abs(ratios.mean()) > log(MOST_UNLIKE)
    }


def _log_ratios(facts: Mapping[RawCase, CaseFacts]) -> dict[RawCase, Float64[np.ndarray, " axis"]]:
    """Voxel edges of each case against the median of all, the shortest first whichever axis it is.

    Logarithms, so that their mean is of the whole voxel, and longer counts as much as shorter.
    """
    edges = {case: np.log(np.sort(fact.source.spacing)) for case, fact in facts.items()}
    middle = np.median(list(edges.values()), axis=0) if edges else 0.0
    return {case: edge - middle for case, edge in edges.items()}


def _times(log_ratio: float) -> str:
    return f"{exp(abs(log_ratio)):.3g} times {'longer' if log_ratio > 0 else 'shorter'}"


def _apart(facts: Mapping[RawCase, CaseFacts]) -> list[str]:
    files = [
        f"{file} ({offset:.2g} voxels)"
        for fact in facts.values()
        for file, offset in fact.offsets.items()
        if offset > ROUNDING
    ]
    if not files:
        return []
    return [
        f"the affine lies off that of the case's first image in {few(files, _MOST_NAMED)}; voxel "
        "is laid on voxel, see --affine-tolerance"
    ]


def _odd_sizes(facts: Mapping[RawCase, CaseFacts]) -> list[str]:
    unlike = []
    for case, ratios in _log_ratios(facts).items():
        most = float(ratios[np.abs(ratios).argmax()])
        if abs(ratios.mean()) > log(_UNLIKE) or abs(most) > log(MOST_UNLIKE):
            unlike.append(f"{case.id} ({_times(most)})")
    long = [case.id for case, fact in facts.items() if _length(fact) > _LONGEST_MM]
    found = []
    if unlike:
        found.append(
            "voxel edges differ much from those of the other cases in "
            f"{few(unlike, _MOST_NAMED)}; check units and spacing"
        )
    if long:
        found.append(
            f"volumes are over {_LONGEST_MM / 1000:g} m long in {few(long, _MOST_NAMED)}; check "
            "the unit in the header"
        )
    return found


def _length(fact: CaseFacts) -> float:
    source = fact.source
    return max(n * s for n, s in zip(source.shape, source.spacing, strict=True))


def _vanishes(old: Triple, new: Triple) -> bool:
    """Whether an axis is shortened beyond all sense, or no volume is left of one."""
    shortened = any(a > MOST_UNLIKE * b for a, b in zip(old, new, strict=True))
    lost = sum(a > 1 and b == 1 for a, b in zip(old, new, strict=True))
    return shortened or lost > 1


def _by(shape: Triple) -> str:
    return "x".join(map(str, shape))
