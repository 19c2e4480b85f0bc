"""The models that everybody has.

All are sums over patches, in which a voxel in two patches counts twice; but for those that the tidy
table counts already.
"""

import numpy as np
from scipy.ndimage import generate_binary_structure, label

from alsweep.config.reveal import Reveal
from alsweep.costs.base import cost
from alsweep.data.labels.revealing import revealed
from alsweep.geometry import Patch
from alsweep.label_codes import IGNORE
from alsweep.types import LabelMap

_CORNERS = generate_binary_structure(3, 3)


@cost("patches", "patches", column="annotated_patches")
def patches(patch: Patch, labels: LabelMap) -> float:
    """Patches that somebody looks at."""
    return 1.0


@cost("voxels", "voxels", column="annotated_voxels")
def voxels(patch: Patch, labels: LabelMap) -> float:
    """Voxels that get a label, background included."""
    return float(patch.voxels)


@cost("foreground", "voxels", column="foreground_voxels")
def foreground(patch: Patch, labels: LabelMap) -> float:
    """Voxels that are painted."""
    return float(np.count_nonzero(labels))


@cost("boundary", "voxels")
def boundary(patch: Patch, labels: LabelMap) -> float:
    """Voxels along the outlines that are drawn: foreground beside another label, face to face.

    The faces of the patch are no outlines: nobody draws where the patch cuts a structure.
    """
    edge = np.zeros(labels.shape, dtype=bool)
    for axis in range(3):
        near = np.moveaxis(labels, axis, 0)
        marks = np.moveaxis(edge, axis, 0)
        differ = near[1:] != near[:-1]
        marks[1:] |= differ
        marks[:-1] |= differ
    return float(np.count_nonzero(edge & (labels > 0)))


@cost("components", "components")
def components(patch: Patch, labels: LabelMap) -> float:
    """Connected pieces of each class, corners included: one click each."""
    classes = np.unique(labels)
    return float(sum(label(labels == one, _CORNERS)[1] for one in classes[classes > 0]))


@cost("slices", "slices")
def slices(patch: Patch, labels: LabelMap) -> float:
    """Slices across z on which anything is drawn."""
    return float(np.count_nonzero((labels > 0).any(axis=(1, 2))))


@cost("marks", "voxels", by_reveal=True)
def marks(patch: Patch, labels: LabelMap, reveal: Reveal = "dense") -> float:
    """Voxels that are marked to tell what ``annotator.reveal`` asks for, at least one a patch.

    Outlines where patches are labelled densely; two corners and a seed a box; points; strokes.
    """
    classes = int(labels.max()) + 1
    if reveal == "dense":
        marked = boundary(patch, labels)
    elif reveal == "box":
        marked = 3 * components(patch, labels)
    else:
        marked = float(np.count_nonzero(revealed(labels, reveal, classes) != IGNORE))
    return max(1.0, marked)


@cost("cases", "cases", per_case=1.0, column="annotated_cases")
def cases(patch: Patch, labels: LabelMap) -> float:
    """Cases that are opened, each once."""
    return 0.0


@cost("prompts", "prompts")
def prompts(patch: Patch, labels: LabelMap) -> float:
    """Prompts to an interactive tool that needs no correction: one a piece, one for an empty patch.

    An empty patch takes one too: that nothing is there has to be said.
    """
    return max(1.0, components(patch, labels))


@cost("measured_minutes", "minutes", column="annotation_minutes", measured=True)
def measured_minutes(patch: Patch, labels: LabelMap) -> float:
    """What people's clocks said; nobody was asked where an oracle labels."""
    return 0.0


@cost("measured_prompts", "prompts", column="annotation_prompts", measured=True)
def measured_prompts(patch: Patch, labels: LabelMap) -> float:
    """Prompts that people gave to an interactive tool."""
    return 0.0


@cost("measured_corrections", "voxels", column="annotation_corrections", measured=True)
def measured_corrections(patch: Patch, labels: LabelMap) -> float:
    """Voxels that people changed from what was predicted."""
    return 0.0
