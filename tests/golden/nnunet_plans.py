"""Ask nnU-Net's own fingerprint extractor, planner and preprocessor, and record what they say.

Needs nnunetv2 (2.8.1 was used), which alsweep's tests do not:

    pip install nnunetv2==2.8.1 && python tests/golden/nnunet_plans.py

It rewrites nnunet_plans.json beside it.
"""

import json
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
WORK = Path(tempfile.mkdtemp())
for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
    os.environ[variable] = str(WORK / variable)
    (WORK / variable).mkdir()
sys.path.insert(0, str(HERE))

import numpy as np  # noqa: E402
from nnunet_datasets import TINY, grids, listed, volumes, write  # noqa: E402
from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import (  # noqa: E402
    DatasetFingerprintExtractor,
)
from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import (  # noqa: E402
    ExperimentPlanner,
)
from nnunetv2.preprocessing.preprocessors.default_preprocessor import (  # noqa: E402
    DefaultPreprocessor,
)
from nnunetv2.preprocessing.resampling.default_resampling import (  # noqa: E402
    resample_data_or_seg_to_shape,
)
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager  # noqa: E402

EVERY = 37
"""Of the preprocessed voxels one in so many is recorded."""


def plan(dataset: str, low_resolution: bool = False) -> dict:
    planner = ExperimentPlanner(dataset)
    if not low_resolution:
        planner.lowres_creation_threshold = 0
    return planner.plan_experiment()


def essence(plans: dict) -> dict:
    full = plans["configurations"]["3d_fullres"]
    architecture = full["architecture"]["arch_kwargs"]
    keys = ("batch_size", "patch_size", "spacing", "normalization_schemes", "use_mask_for_norm")
    return {
        "transpose_forward": plans["transpose_forward"],
        "median_shape": full["median_image_size_in_voxels"],
        **{key: full[key] for key in keys},
        "strides": architecture["strides"],
        "kernel_sizes": architecture["kernel_sizes"],
    }


def preprocessed(dataset: str, name: str, plans: dict) -> dict:
    images, labels = volumes(name, 1)
    manager = PlansManager(plans)
    configuration = manager.get_configuration("3d_fullres")
    description = json.loads((WORK / "nnUNet_raw" / dataset / "dataset.json").read_text())
    data, seg, _ = DefaultPreprocessor(verbose=False).run_case_npy(
        np.stack(images).astype(np.float32),
        labels[None].astype(np.float32),
        {"spacing": list(TINY[name].spacings[1])},
        manager,
        configuration,
        description,
    )
    back = plans["transpose_backward"]
    data = data.transpose(0, *[axis + 1 for axis in back])
    seg = np.maximum(seg[0], 0).transpose(back)
    return {
        "shape": list(seg.shape),
        "every": EVERY,
        "data": [round(float(v), 5) for v in data.ravel()[::EVERY]],
        "labels": [int(v) for v in seg.ravel()[::EVERY]],
        "label_counts": np.bincount(seg.ravel().astype(int), minlength=3).tolist(),
    }


def tiny(number: int, name: str) -> dict:
    dataset = f"Dataset{number:03d}_{name}"
    write(WORK / "nnUNet_raw" / dataset, name)
    fingerprint = DatasetFingerprintExtractor(dataset, num_processes=1).run()
    plans = plan(dataset)
    return {
        "fingerprint": fingerprint,
        "plan": essence(plans),
        "plans_file": plans,
        "case_1": preprocessed(dataset, name, plans),
    }


def from_list(number: int, name: str, entry) -> dict:
    dataset = f"Dataset{number:03d}_{name}"
    raw, done = WORK / "nnUNet_raw" / dataset, WORK / "nnUNet_preprocessed" / dataset
    write(raw, "isotropic")
    description = {
        "channel_names": {str(i): "MR" for i in range(entry.channels)},
        "labels": {"background": 0} | {f"class_{i}": i for i in range(1, entry.labels)},
        "numTraining": len(entry.shapes),
        "file_ending": ".nii.gz",
    }
    (raw / "dataset.json").write_text(json.dumps(description))
    done.mkdir()
    fingerprint = {
        "spacings": entry.spacings,
        "shapes_after_crop": entry.shapes,
        "foreground_intensity_properties_per_channel": {},
        "median_relative_size_after_cropping": 1.0,
    }
    (done / "dataset_fingerprint.json").write_text(json.dumps(fingerprint))
    plans = plan(dataset, low_resolution=True)
    return essence(plans) | {"batch_dice": plans["configurations"]["3d_fullres"]["batch_dice"]}


def resampled() -> dict:
    found = {}
    for name, image, labels, shape, before, after in grids():
        kwargs = {"order_z": 0, "force_separate_z": None}
        arguments = (np.array(shape), before, after)
        data = resample_data_or_seg_to_shape(image[None], *arguments, order=3, **kwargs)
        seg = resample_data_or_seg_to_shape(
            labels[None].astype(float), *arguments, is_seg=True, order=1, **kwargs
        )
        found[name] = {
            "image": np.round(data[0], 3).ravel().tolist(),
            "labels": seg[0].astype(int).ravel().tolist(),
        }
    return found


def plain(value):
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(entry) for entry in value]
    return value.item() if isinstance(value, np.generic) else value


def main() -> None:
    golden = {
        "nnunetv2": version("nnunetv2"),
        "tiny": {name: tiny(100 + i, name) for i, name in enumerate(TINY)},
        "listed": {name: from_list(200 + i, name, e) for i, (name, e) in enumerate(listed())},
        "resampled": resampled(),
    }
    (HERE / "nnunet_plans.json").write_text(json.dumps(plain(golden)) + "\n")


if __name__ == "__main__":
    main()
