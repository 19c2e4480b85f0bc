"""Volumes and labels; the only room that imports zarr, nibabel and SimpleITK."""

from alsweep.data.annotator import Annotator, Oracle, ReferenceLabels
from alsweep.data.case import CaseInfo, Dataset, DatasetManifest
from alsweep.data.label_store import PartialLabels
from alsweep.data.patches import PatchSampler
from alsweep.label_codes import IGNORE

__all__ = [
    "IGNORE",
    "Annotator",
    "CaseInfo",
    "Dataset",
    "DatasetManifest",
    "Oracle",
    "PartialLabels",
    "PatchSampler",
    "ReferenceLabels",
]
