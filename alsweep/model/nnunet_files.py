"""What nnU-Net v2 reads before it trains: plans, dataset and preprocessed cases of one member."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from alsweep.errors import TrajectoryFailedError
from alsweep.files import write_json
from alsweep.label_codes import IGNORE
from alsweep.model.learner import Setup, TrainingData

if TYPE_CHECKING:
    from alsweep.types import LabelMap

NAME = "Dataset001_alsweep"
CONFIGURATION = "3d_fullres"
_FOLDER = "nnUNetPlans_3d_fullres"
_LOCATIONS_SEED = 1234


def architecture(setup: Setup) -> dict[str, Any]:
    """The network as plans describe it: PlainConvUNet, or ResidualEncoderUNet."""
    topology = setup.topology
    stages = len(topology.strides)
    arguments: dict[str, Any] = {
        "n_stages": stages,
        "features_per_stage": list(topology.features),
        "conv_op": "torch.nn.modules.conv.Conv3d",
        "kernel_sizes": [list(kernel) for kernel in topology.kernels],
        "strides": [list(stride) for stride in topology.strides],
        "conv_bias": True,
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }
    name = "PlainConvUNet"
    if setup.training.blocks == "residual":
        name = "ResidualEncoderUNet"
        blocks = [1, 3, 4, *[6] * stages][:stages]
        arguments |= {"n_blocks_per_stage": blocks, "n_conv_per_stage_decoder": [1] * (stages - 1)}
    else:
        arguments |= {
            "n_conv_per_stage": [2] * stages,
            "n_conv_per_stage_decoder": [2] * (stages - 1),
        }
    return {
        "network_class_name": f"dynamic_network_architectures.architectures.unet.{name}",
        "arch_kwargs": arguments,
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def write_training_files(folder: Path, setup: Setup, training_data: TrainingData) -> None:
    """Write a preprocessed dataset with all that the member may learn from, and nothing else.

    Raises:
        TrajectoryFailedError: No case holds an annotated voxel.
    """
    cases = [case for case in training_data.cases if training_data.labels.boxes(case)]
    if not cases:
        raise TrajectoryFailedError("no case is annotated; raise the starting budget")
    maps = {
        case: training_data.labels.window(case, (0, 0, 0), _shape(setup, case)) for case in cases
    }
    partial = any((labels == IGNORE).any() for labels in maps.values())
    base = folder / NAME
    (base / _FOLDER).mkdir(parents=True)
    dataset = _dataset(setup, partial, len(cases))
    write_json(base / "dataset.json", dataset)
    write_json(base / "plans.json", _plans(setup))
    write_json(base / "splits_final.json", [{"train": cases, "val": cases[:1]}])
    wanted: list[Any] = [label for label in _label_values(dataset) if label != 0]
    if partial:
        wanted.append([-1, *range(len(setup.dataset.classes))])
    for case, labels in maps.items():
        ignored = np.where(labels == IGNORE, len(setup.dataset.classes), labels)
        _save_case(base / _FOLDER / case, setup, setup.dataset.image(case), ignored, wanted)


def _shape(setup: Setup, case: str) -> tuple[int, int, int]:
    return setup.dataset.cases[case].shape


def _label_values(dataset: dict[str, Any]) -> Iterator[Any]:
    for name, value in dataset["labels"].items():
        if name != "ignore":
            yield value


def _dataset(setup: Setup, partial: bool, count: int) -> dict[str, Any]:
    manifest = setup.dataset.manifest
    labels: dict[str, Any] = {"background": 0}
    if manifest.regions:
        labels |= {region.name: list(region.labels) for region in manifest.regions}
    else:
        labels |= {name: i for i, name in enumerate(manifest.classes) if i}
    if partial:
        labels["ignore"] = len(manifest.classes)
    order = {"regions_class_order": list(manifest.regions_class_order)} if manifest.regions else {}
    return {
        "channel_names": {str(i): name for i, name in enumerate(manifest.channels)},
        "labels": labels,
        **order,
        "numTraining": count,
        "file_ending": ".nii.gz",
    }


def _plans(setup: Setup) -> dict[str, Any]:
    """Only what training reads; images come resampled and normalised."""
    manifest = setup.dataset.manifest
    channels = len(manifest.channels)
    configuration = {
        "data_identifier": _FOLDER,
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": setup.training.batch_size,
        "patch_size": list(setup.topology.window),
        "median_image_size_in_voxels": list(manifest.plan.median_shape),
        "spacing": list(manifest.spacing),
        "normalization_schemes": ["NoNormalization"] * channels,
        "use_mask_for_norm": [False] * channels,
        "batch_dice": setup.batch_dice,
        "architecture": architecture(setup),
    }
    return {
        "dataset_name": NAME,
        "plans_name": "nnUNetPlans",
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {CONFIGURATION: configuration},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {},
        "continue_training": False,
    }


def _save_case(
    path: Path, setup: Setup, image: np.ndarray, labels: "LabelMap", wanted: Sequence[Any]
) -> None:
    """Write a case as nnU-Net's preprocessor does, with the voxels that it draws patches round."""
    from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
    from nnunetv2.training.dataloading.nnunet_dataset import (
        comp_blosc2_params,
        nnUNetDatasetBlosc2,
    )

    seg = labels[None].astype(np.int8)
    places = DefaultPreprocessor._sample_foreground_locations(seg, wanted, seed=_LOCATIONS_SEED)
    window = setup.topology.window
    blocks, chunks = comp_blosc2_params(image.shape, window, image.itemsize)
    seg_blocks, seg_chunks = comp_blosc2_params(seg.shape, window, seg.itemsize)
    nnUNetDatasetBlosc2.save_case(
        np.asarray(image),
        seg,
        {"class_locations": places},
        str(path),
        chunks=chunks,
        blocks=blocks,
        chunks_seg=seg_chunks,
        blocks_seg=seg_blocks,
    )
