"""An ensemble as a MONAI bundle, which ``monai.bundle`` runs without alsweep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import monai
import numpy as np
import torch
from torch import nn

from alsweep.files import write_bytes, write_json
from alsweep.model.checkpoint import packed
from alsweep.model.learner import Setup
from alsweep.model.network import network_arguments

if TYPE_CHECKING:
    from alsweep.data.channels import Normalisation

_SCHEMA = (
    "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/"
    "meta_schema_20240725.json"
)
_NUMBER_OF_WEIGHTS = 5
"""Axes of a convolution's weights: output, input and three in space."""

_LICENSE = """The configuration files of this bundle are licensed under the Apache License 2.0,
https://www.apache.org/licenses/LICENSE-2.0.

The weights in models/ were trained on the dataset '{dataset}'. What may be done with them follows
from the licence of that data, which alsweep does not know.
"""

_README = """# {title}

{members} networks trained by alsweep {version} on partial labels of {dataset}; the mean of their
probabilities is taken. Mean Dice on the validation cases: {dice}.

    pip install "monai[nibabel,ignite,fire]"
    python -m monai.bundle run --config_file configs/inference.json --dataset_dir IMAGES

Run it in this folder, or add `--bundle_root BUNDLE`. IMAGES holds NIfTI files{naming}. Label maps
on the grids of the images go to `eval/`, or wherever `--output_dir` says.

Labels: {labels}.

## How this differs from alsweep's own prediction

The network, its windows and the mean over members are the same. Images that already have the
spacing of training, {spacing} mm along x, y and z, are prepared in the same way up to rounding.
Others are resampled by the same cubic splines, but along an axis that is much coarser than the
others alsweep takes the nearest slice, and the bundle does not. A z-score within the nonzero mask
does not fill the mask's holes. Images are not mirrored.
"""


@dataclass(frozen=True)
class BundleInfo:
    """What a bundle says of itself.

    Attributes:
        title: For people.
        step: Tile step, as a share of the window.
        axis_codes: Which way images are turned first; None to leave them.
        mean_dice: On the validation cases; None where undefined.
        version: Of alsweep.
    """

    title: str
    step: float
    axis_codes: str | None
    mean_dice: float | None
    version: str


def write_bundle(
    folder: Path, networks: Sequence[nn.Module], setup: Setup, info: BundleInfo
) -> None:
    """Write a bundle into an empty folder.

    Its networks take images as NIfTI has them, ``(x, y, z)``: instead of the images, the axes of
    the weights are exchanged.

    Args:
        folder: Exists.
        networks: The members, of the learner ``monai``.
        setup: What they have in common.
        info: What is not in it.

    Source: MONAI Bundle specification.
    """
    for name in ("configs", "models", "docs"):
        (folder / name).mkdir()
    files = [f"member_{index}.pt" for index in range(len(networks))]
    for file, network in zip(files, networks, strict=True):
        write_bytes(folder / "models" / file, packed(_exchanged(network.state_dict())))
    write_json(folder / "configs" / "inference.json", _inference(setup, info, files))
    write_json(folder / "configs" / "metadata.json", _metadata(setup, info, len(files)))
    (folder / "docs" / "README.md").write_text(_readme(setup, info, len(files)), encoding="utf-8")
    license_text = _LICENSE.format(dataset=setup.dataset.name)
    (folder / "LICENSE").write_text(license_text, encoding="utf-8")


def _exchanged(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights for ``(x, y, z)`` from those for ``(z, y, x)``."""
    return {
        name: tensor.detach().cpu().movedim((2, 3, 4), (4, 3, 2)).contiguous()
        if tensor.ndim == _NUMBER_OF_WEIGHTS
        else tensor.detach().cpu()
        for name, tensor in weights.items()
    }


def _network(setup: Setup) -> dict[str, Any]:
    channels = len(setup.dataset.channels)
    arguments = network_arguments(setup.training, setup.topology, channels, setup.outputs)
    spatial = ("kernel_size", "strides", "upsample_kernel_size")
    for name in spatial:
        arguments[name] = [level[::-1] for level in arguments[name]]
    return {"_target_": "DynUNet", **arguments}


def _inference(setup: Setup, info: BundleInfo, files: Sequence[str]) -> dict[str, Any]:
    outputs = [f"pred_{index}" for index in range(len(files))]
    return {
        "imports": ["$import glob", "$import os", "$import numpy as np", "$import torch"],
        "bundle_root": ".",
        "dataset_dir": "$os.path.join(@bundle_root, 'images')",
        "output_dir": "$os.path.join(@bundle_root, 'eval')",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "model_files": list(files),
        "network_def": _network(setup),
        "networks": ["%network_def"] * len(files),
        "normalisation": [_normalisation(how) for how in setup.dataset.manifest.normalisation],
        **_resampling(setup),
        "preprocessing": {"_target_": "Compose", "transforms": _preprocessing(setup, info)},
        "datalist": _datalist(len(setup.dataset.channels)),
        "dataset": {
            "_target_": "Dataset",
            "data": "@datalist",
            "transform": "@preprocessing",
        },
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1},
        "inferer": {
            "_target_": "SlidingWindowInferer",
            "roi_size": setup.topology.window[::-1],
            "sw_batch_size": 2,
            "overlap": 1 - info.step,
            "mode": "gaussian",
            "sigma_scale": 0.125,
        },
        "postprocessing": {"_target_": "Compose", "transforms": _postprocessing(setup, outputs)},
        "evaluator": {
            "_target_": "EnsembleEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "pred_keys": outputs,
            "networks": "$[network.to(@device) for network in @networks]",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
        },
        "initialize": [
            "$[network.load_state_dict(torch.load(os.path.join(@bundle_root, 'models', file), "
            "map_location='cpu', weights_only=True)) "
            "for network, file in zip(@networks, @model_files)]"
        ],
        "run": ["$@evaluator.run()"],
    }


def _datalist(channels: int) -> str:
    """Images of one channel, or nnU-Net's files of one channel each."""
    if channels == 1:
        files = "sorted(glob.glob(os.path.join(@dataset_dir, '*.nii*')))"
        return f"$[{{'image': file}} for file in {files}]"
    return (
        f"$[{{'image': [file.replace('_0000.nii', f'_{{c:04d}}.nii') for c in range({channels})]}} "
        "for file in sorted(glob.glob(os.path.join(@dataset_dir, '*_0000.nii*')))]"
    )


def _preprocessing(setup: Setup, info: BundleInfo) -> list[dict[str, Any]]:
    """As ingest does it: crop to what is not zero, normalise, resample."""
    turn = []
    if info.axis_codes is not None:
        turn = [{"_target_": "Orientationd", "keys": "image", "axcodes": info.axis_codes}]
    return [
        {"_target_": "LoadImaged", "keys": "image", "ensure_channel_first": True},
        *turn,
        {
            "_target_": "CropForegroundd",
            "keys": "image",
            "source_key": "image",
            "select_fn": "$lambda image: image != 0",
            "allow_smaller": True,
        },
        {
            "_target_": "Lambdad",
            "keys": "image",
            "func": "$lambda image: torch.cat([how(image[c : c + 1]) "
            "for c, how in enumerate(@normalisation)])",
        },
        {
            # Not Lambdad, which forgets its inv_func (1.6.1).
            "_target_": "Lambda",
            "func": "$lambda case: {**case, 'image': @resampled(case['image'])}",
            "inv_func": "$lambda case: {**case, 'image': @resampler.inverse(case['image'])}",
        },
        {"_target_": "EnsureTyped", "keys": "image", "dtype": "$torch.float32"},
    ]


def _resampling(setup: Setup) -> dict[str, Any]:
    """To the training's voxel size, such that the outer faces of both grids coincide.

    MONAI's Spacing cannot do it: it aligns the centres of the first voxels, and the offset of its
    ``scale_extent`` has the wrong sign for finer images (1.6.1).
    """
    return {
        "spacing": setup.dataset.manifest.spacing[::-1],
        "resampler": {"_target_": "SpatialResample", "mode": 3, "padding_mode": "nearest"},
        "shape": "$lambda image: [max(1, round(n * float(s) / t)) "
        "for n, s, t in zip(image.shape[1:], image.pixdim, @spacing)]",
        "place": "$lambda step: np.block([[np.diag(step), (step[:, None] - 1) / 2], "
        "[np.zeros((1, 3)), np.ones((1, 1))]])",
        "resampled": "$lambda image: "
        "@resampler(image, @grid(image, @shape(image)), @shape(image))"
        ".clamp(image.amin((1, 2, 3), keepdim=True), image.amax((1, 2, 3), keepdim=True))",
        # Spelt out, since "@" begins a reference here.
        "grid": "$lambda image, shape: torch.matmul(image.affine, "
        "torch.as_tensor(@place(np.array(image.shape[1:]) / np.array(shape))))",
    }


def _normalisation(how: "Normalisation") -> dict[str, Any]:
    if how.scheme == "ct":
        assert how.low is not None
        assert how.high is not None
        assert how.mean is not None
        assert how.std is not None
        low, high = ((bound - how.mean) / max(how.std, 1e-8) for bound in (how.low, how.high))
        window = {"a_min": how.low, "a_max": how.high, "b_min": low, "b_max": high}
        return {"_target_": "ScaleIntensityRange", **window, "clip": True}
    if how.scheme == "zscore":
        return {"_target_": "NormalizeIntensity", "nonzero": how.masked}
    if how.scheme == "rescale_to_0_1":
        return {"_target_": "ScaleIntensity"}
    if how.scheme == "rgb_to_0_1":
        bounds = {"a_min": 0, "a_max": 255, "b_min": 0, "b_max": 1}
        return {"_target_": "ScaleIntensityRange", **bounds}
    return {"_target_": "Identity"}


def _postprocessing(setup: Setup, outputs: Sequence[str]) -> list[dict[str, Any]]:
    """Mean probability on the image's own grid, then labels."""
    activation = {"sigmoid": True} if setup.regions else {"softmax": True}
    return [
        {"_target_": "Activationsd", "keys": list(outputs), **activation},
        {"_target_": "MeanEnsembled", "keys": list(outputs), "output_key": "pred"},
        {
            "_target_": "Invertd",
            "keys": "pred",
            "transform": "@preprocessing",
            "orig_keys": "image",
            "nearest_interp": False,
            "to_tensor": True,
        },
        _labelling(setup),
        {
            "_target_": "SaveImaged",
            "keys": "pred",
            "output_dir": "@output_dir",
            "output_postfix": "",
            "output_dtype": "$np.uint8",
            "separate_folder": False,
            "resample": False,
        },
    ]


def _labelling(setup: Setup) -> dict[str, Any]:
    if not setup.regions:
        return {"_target_": "AsDiscreted", "keys": "pred", "argmax": True}
    # The last region whose probability exceeds 1/2 names the label.
    order = [0, *setup.dataset.manifest.regions_class_order]
    last = "((pred > 0.5) * torch.arange(1, len(pred) + 1).view(-1, 1, 1, 1).to(pred))"
    label = f"torch.tensor({order}).to(pred)[{last}.amax(dim=0, keepdim=True).long()]"
    return {"_target_": "Lambdad", "keys": "pred", "func": f"$lambda pred: {label}"}


def _labels(setup: Setup) -> dict[str, str]:
    return {str(label): name for label, name in enumerate(setup.dataset.classes)}


def _readme(setup: Setup, info: BundleInfo, members: int) -> str:
    single = len(setup.dataset.channels) == 1
    naming = "" if single else ", one a channel: `CASE_0000.nii.gz`, `CASE_0001.nii.gz` and so on"
    return _README.format(
        title=info.title,
        members=members,
        version=info.version,
        dataset=setup.dataset.name,
        dice="undefined" if info.mean_dice is None else f"{info.mean_dice:.4f}",
        naming=naming,
        labels=", ".join(f"{label} {name}" for label, name in _labels(setup).items()),
        spacing=" x ".join(f"{value:g}" for value in setup.dataset.manifest.spacing[::-1]),
    )


def _metadata(setup: Setup, info: BundleInfo, members: int) -> dict[str, Any]:
    dataset = setup.dataset
    names = {str(i): name for i, name in enumerate(dataset.channels)}
    targets = [target.name for target in dataset.targets]
    outputs = targets if setup.regions else [dataset.classes[0], *targets]
    grid = {
        "spatial_shape": setup.topology.window[::-1],
        "dtype": "float32",
        "is_patch_data": True,
    }
    image = {"type": "image", "format": "magnitude", "modality": "n/a", "value_range": []}
    return {
        "schema": _SCHEMA,
        "version": "0.1.0",
        "changelog": {"0.1.0": f"exported by alsweep {info.version}"},
        "monai_version": monai.__version__,
        "pytorch_version": torch.__version__.split("+")[0],
        "numpy_version": np.__version__,
        "required_packages_version": {
            "nibabel": "5.2.0",
            "pytorch-ignite": "0.4.11",
            "fire": "0.4.0",
        },
        "name": info.title,
        "task": f"Segmentation of {', '.join(targets)}",
        "description": f"{members} networks of one architecture, their probabilities averaged.",
        "authors": "alsweep",
        "copyright": "see LICENSE",
        "data_source": dataset.name,
        "data_type": "nibabel",
        "image_classes": ", ".join(dataset.channels),
        "label_classes": ", ".join(f"{key} {name}" for key, name in _labels(setup).items()),
        "pred_classes": ", ".join(outputs),
        "eval_metrics": {} if info.mean_dice is None else {"mean_dice": info.mean_dice},
        "intended_use": "Research; not for clinical use.",
        "references": ["Isensee et al. 2021, nnU-Net, Nature Methods 18, 203-211"],
        "network_data_format": {
            "inputs": {
                "image": {**image, "num_channels": len(names), **grid, "channel_def": names}
            },
            "outputs": {
                "pred": {
                    **image,
                    "format": "segmentation",
                    "num_channels": setup.outputs,
                    **grid,
                    "channel_def": {str(i): name for i, name in enumerate(outputs)},
                }
            },
        },
    }
