"""The images that a Dataset was made of, as they are in their files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from alsweep.data.ingest.checking import read_case
from alsweep.data.raw.folder import read_raw
from alsweep.data.raw.layout import distinct
from alsweep.errors import IngestError

if TYPE_CHECKING:
    from pathlib import Path

    from alsweep.data.case import Dataset


class SourceImages:
    """Reads cases of the raw dataset that a Dataset was made of.

    Args:
        dataset: Of which people are shown cases.
        raw: Its raw dataset; where the Dataset says that it lies if left out.

    Raises:
        IngestError: There is no such raw dataset, or the Dataset does not say where it lies.
    """

    def __init__(self, dataset: Dataset, raw: Path | None = None) -> None:
        from pathlib import Path

        told = dataset.manifest.raw
        if raw is None and told is None:
            raise IngestError(
                f"{dataset.path}: does not say where its images come from; name that with --raw"
            )
        self._dataset = dataset
        self._raw = read_raw(raw or Path(str(told)), follow_links=True)
        self._cases = {case.id: case for case in self._raw.cases}

    def channels(self, case: str) -> dict[str, np.ndarray[Any, Any]]:
        """Each channel of a case by its name, as it was read, ``(z, y, x)``.

        Raises:
            IngestError: The case is gone, or its files are not those that were ingested.
        """
        found = self._cases.get(case)
        if found is None:
            raise IngestError(f"{self._raw.root}: has no case '{case}' any more; restore it")
        images = read_case(self._raw, replace(found, label=None, free=None))
        known = self._dataset.case(case).sources
        for path, digest in images.source.files.items():
            if known.get(path) != digest:
                raise IngestError(
                    f"{self._raw.root / path}: is not the file that was ingested; restore it, or "
                    "name the right folder with --raw"
                )
        return dict(zip(distinct(self._raw.channels), images.channels, strict=True))
