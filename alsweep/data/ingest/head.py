"""What all cases of a Dataset share: spacing, normalisation and the numbers behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from alsweep.data.channels import Normalisation
from alsweep.data.ingest.intensities import pooled
from alsweep.data.ingest.normalise import ct_normalisation, masked_by_default, scheme_for
from alsweep.data.ingest.resample import target_spacing
from alsweep.data.ingest.writing import DatasetHead
from alsweep.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from alsweep.data.case import Part, Spacing
    from alsweep.data.channels import Intensities
    from alsweep.data.ingest.measuring import CaseFacts
    from alsweep.data.ingest.plans_file import Prescription
    from alsweep.data.raw.layout import RawCase, RawDataset

_SMALL_CROP = 0.75
"""As in nnU-Net: where the median case keeps less, z-scores are taken within the nonzero mask."""


def head_of(
    dataset: RawDataset,
    facts: Mapping[RawCase, CaseFacts],
    parts: Mapping[str, Part],
    spacing: Spacing | None,
    prescribed: Prescription | None,
) -> DatasetHead:
    """Spacing and normalisation, measured on the pool alone: validation stays unseen."""
    pool = [fact for case, fact in facts.items() if parts[case.id] == "pool"]
    intensities = tuple(_intensities(pool, index) for index in range(len(dataset.channels)))
    return DatasetHead(
        name=dataset.name,
        classes=dataset.labels.classes,
        channels=dataset.channels,
        regions=dataset.labels.regions,
        regions_class_order=dataset.labels.regions_class_order,
        spacing=prescribed.spacing if prescribed else spacing or _target_spacing(pool),
        intensities=intensities,
        normalisation=prescribed.normalisation
        if prescribed
        else _normalisations(dataset, pool, intensities),
        outputs=dataset.labels.declared,
        raw=str(dataset.root.absolute()) if dataset.unlabelled else None,
        plan=prescribed.plan if prescribed else None,
    )


def _target_spacing(pool: Sequence[CaseFacts]) -> Spacing:
    sources = [fact.source for fact in pool]
    return target_spacing([s.spacing for s in sources], [s.crop.size for s in sources])


def _intensities(pool: Sequence[CaseFacts], channel: int) -> Intensities | None:
    sketches = [fact.sketches[channel] for fact in pool]
    found = [one for one in sketches if one is not None]
    return pooled(found) if found else None


def _normalisations(
    dataset: RawDataset, pool: Sequence[CaseFacts], intensities: Sequence[Intensities | None]
) -> tuple[Normalisation, ...]:
    small = float(np.median([fact.kept_share for fact in pool])) < _SMALL_CROP
    masked = dataset.mask_for_norm or (small,) * len(dataset.channels)
    return tuple(
        _normalisation(*channel)
        for channel in zip(dataset.channels, intensities, masked, strict=True)
    )


def _normalisation(channel: str, found: Intensities | None, masked: bool) -> Normalisation:
    scheme = scheme_for(channel)
    if scheme != "ct":
        return Normalisation(scheme=scheme, masked=masked and masked_by_default(scheme))
    if found is None:
        raise IngestError(
            f"channel '{channel}': no pool case has foreground to measure the CT window on; "
            "add labels"
        )
    return ct_normalisation(found)
