"""An existing ``nnUNetPlans.json``: spacing, normalisation and topology that nnU-Net decided on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import Field, PositiveFloat, PositiveInt

from alsweep.data.case import NetworkPlan
from alsweep.data.channels import Normalisation
from alsweep.data.raw.foreign import Foreign, parsed, read_foreign
from alsweep.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from alsweep.data.case import Spacing
    from alsweep.data.channels import Scheme

CONFIGURATION = "3d_fullres"

Value = TypeVar("Value")
_Size = tuple[PositiveInt, PositiveInt, PositiveInt]
_Stages = Annotated[tuple[_Size, ...], Field(min_length=1)]
_SCHEMES: dict[str, Scheme] = {
    "ZScoreNormalization": "zscore",
    "CTNormalization": "ct",
    "NoNormalization": "none",
    "RescaleTo01Normalization": "rescale_to_0_1",
    "RGBTo01Normalization": "rgb_to_0_1",
}
_RESAMPLING: dict[str, Any] = {
    "resampling_fn_data": "resample_data_or_seg_to_shape",
    "resampling_fn_seg": "resample_data_or_seg_to_shape",
    "resampling_fn_data_kwargs": {
        "is_seg": False,
        "order": 3,
        "order_z": 0,
        "force_separate_z": None,
    },
    "resampling_fn_seg_kwargs": {
        "is_seg": True,
        "order": 1,
        "order_z": 0,
        "force_separate_z": None,
    },
}
"""What nnU-Net's own planner writes, and the only resampling that alsweep does."""


@dataclass(frozen=True)
class Prescription:
    """What a plans file decides; axes are ``(z, y, x)``."""

    spacing: Spacing
    normalisation: tuple[Normalisation, ...]
    plan: NetworkPlan


class _Intensities(Foreign):
    mean: float
    std: float
    percentile_00_5: float
    percentile_99_5: float


class _File(Foreign):
    configurations: dict[str, dict[str, Any]]
    transpose_forward: tuple[int, int, int] = (0, 1, 2)
    foreground_intensity_properties_per_channel: dict[str, _Intensities] = Field(
        default_factory=dict
    )


class _Configuration(Foreign):
    spacing: tuple[PositiveFloat, PositiveFloat, PositiveFloat]
    patch_size: _Size
    batch_size: PositiveInt
    median_image_size_in_voxels: tuple[PositiveFloat, PositiveFloat, PositiveFloat]
    normalization_schemes: tuple[str, ...]
    use_mask_for_norm: tuple[bool, ...]
    strides: _Stages
    kernel_sizes: _Stages


def read_plans(path: Path, channels: int) -> Prescription:
    """Read configuration ``3d_fullres`` of a plans file.

    Args:
        path: ``nnUNetPlans.json``, of version 2.0 or later.
        channels: Of the dataset that it is to be used for.

    Raises:
        IngestError: It is missing or malformed, is made for another number of channels, or asks for
            something that alsweep does not do.
    """
    file = parsed(_File, read_foreign(path), str(path))
    if sorted(file.transpose_forward) != [0, 1, 2]:
        raise IngestError(
            f"{path}: 'transpose_forward': must be an order of 0, 1, 2, got "
            f"{list(file.transpose_forward)}; mend it"
        )
    raw = _resolved(file.configurations, str(path))
    _check_resampling(raw, str(path))
    found = parsed(_Configuration, {**raw, **_topology(raw)}, f"{path}: {CONFIGURATION}")
    if not len(found.normalization_schemes) == len(found.use_mask_for_norm) == channels:
        raise IngestError(
            f"{path}: is made for {len(found.normalization_schemes)} channels, but the dataset has "
            f"{channels}; name the plans of this dataset"
        )
    forward = file.transpose_forward
    return Prescription(
        spacing=_back(found.spacing, forward),
        normalisation=tuple(
            _normalisation(file, found, channel, str(path)) for channel in range(channels)
        ),
        plan=NetworkPlan(
            patch_size=_back(found.patch_size, forward),
            batch_size=found.batch_size,
            strides=tuple(_back(stride, forward) for stride in found.strides),
            kernels=tuple(_back(kernel, forward) for kernel in found.kernel_sizes),
            median_shape=_back(found.median_image_size_in_voxels, forward),
        ),
    )


def _resolved(configurations: dict[str, dict[str, Any]], place: str) -> dict[str, Any]:
    """The configuration with what it inherits."""
    name, seen, merged = CONFIGURATION, set[str](), dict[str, Any]()
    while name not in seen:
        if name not in configurations:
            raise IngestError(
                f"{place}: has no configuration '{name[:60]}'; name a plans file of a 3D dataset"
            )
        seen.add(name)
        merged = {**configurations[name], **merged}
        parent = configurations[name].get("inherits_from")
        if parent is None:
            return merged
        name = str(parent)
    raise IngestError(f"{place}: configuration '{name}' inherits from itself; mend it")


def _check_resampling(raw: dict[str, Any], place: str) -> None:
    for key, wanted in _RESAMPLING.items():
        if key in raw and raw[key] != wanted:
            raise IngestError(
                f"{place}: {CONFIGURATION}: '{key}': alsweep does {wanted}, got "
                f"{str(raw[key])[:100]}; use plans of the default planner"
            )


def _topology(raw: dict[str, Any]) -> dict[str, Any]:
    """Strides and kernels, from where this version of nnU-Net has them."""
    architecture = raw.get("architecture")
    if isinstance(architecture, dict) and isinstance(architecture.get("arch_kwargs"), dict):
        given = architecture["arch_kwargs"]
        return {key: given[key] for key in ("strides", "kernel_sizes") if key in given}
    old = {"strides": "pool_op_kernel_sizes", "kernel_sizes": "conv_kernel_sizes"}
    return {key: raw[name] for key, name in old.items() if name in raw}


def _back(values: Sequence[Value], forward: tuple[int, int, int]) -> tuple[Value, Value, Value]:
    """Values in the order of the file's axes, from nnU-Net's order."""
    z, y, x = (values[forward.index(axis)] for axis in range(3))
    return z, y, x


def _normalisation(file: _File, found: _Configuration, channel: int, place: str) -> Normalisation:
    name = found.normalization_schemes[channel]
    if name not in _SCHEMES:
        raise IngestError(
            f"{place}: 'normalization_schemes': alsweep knows {', '.join(_SCHEMES)}, got "
            f"'{name[:60]}'; use plans of the default planner"
        )
    scheme = _SCHEMES[name]
    masked = scheme == "zscore" and found.use_mask_for_norm[channel]
    if scheme != "ct":
        return Normalisation(scheme=scheme, masked=masked)
    measured = file.foreground_intensity_properties_per_channel.get(str(channel))
    if measured is None:
        raise IngestError(
            f"{place}: has no foreground_intensity_properties_per_channel of CT channel {channel}; "
            "name the file that nnU-Net wrote"
        )
    return Normalisation(
        scheme="ct",
        low=measured.percentile_00_5,
        high=measured.percentile_99_5,
        mean=measured.mean,
        std=measured.std,
    )
