"""How the cases of a dataset lie in their scanners."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from alsweep.data.case import Dataset


def axis_codes(dataset: Dataset) -> str | None:
    """Where the axes ``(x, y, z)`` of all source images point to, such as ``RAS``.

    None where they do not all point the same way: then it means nothing to a network.
    """
    import nibabel

    codes = {
        "".join(nibabel.aff2axcodes(np.asarray(case.affine))) for case in dataset.cases.values()
    }
    return codes.pop() if len(codes) == 1 else None
