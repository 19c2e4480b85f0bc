"""Ask nnU-Net itself whether it takes a raw dataset; run by a Python that has nnunetv2.

python tests/golden/nnunet_accepts.py RAW_DATASET
"""

import json
import os
import sys
import tempfile
from pathlib import Path


def main(folder: Path) -> None:
    """Check integrity, and that every label and the split are understood."""
    with tempfile.TemporaryDirectory() as empty:
        for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
            os.environ.setdefault(name, empty)
        from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity
        from nnunetv2.utilities.label_handling.label_handling import LabelManager
        from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

        verify_dataset_integrity(str(folder), num_processes=1)
        told = json.loads((folder / "dataset.json").read_text())
        cases = get_filenames_of_train_images_and_targets(str(folder), told)
        labels = LabelManager(told["labels"], told.get("regions_class_order"))
        for fold in json.loads((folder / "splits_final.json").read_text()):
            unknown = {*fold["train"], *fold["val"]} - set(cases)
            assert not unknown, f"splits_final.json names {unknown}"
        sys.stdout.write(f"accepted {len(cases)} cases, ignore label {labels.ignore_label}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
