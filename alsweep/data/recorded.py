"""The dataset of a run: where the run says, or beside the run where both were moved together."""

import shlex
from pathlib import Path

from alsweep.data.case import Dataset
from alsweep.errors import DatasetError
from alsweep.layout import DATASET, SPACE


def open_recorded(named: Path, fingerprint: str, run: Path, key: str = "dataset") -> Dataset:
    """Open the dataset that a run was made on, and no other.

    Args:
        named: Where it lies, as RUN/sweep.yaml says.
        fingerprint: What its content must be.
        run: The run folder; a dataset in it is found although both were moved.
        key: Where the dataset stands in RUN/sweep.yaml.

    Raises:
        DatasetError: It is nowhere; says how the run is told where it lies.
    """
    inside = [run / name for name in dict.fromkeys([DATASET, named.name]) if name]
    for place in (named, *inside):
        try:
            dataset = Dataset.open(place)
        except (DatasetError, OSError):
            continue
        if dataset.fingerprint == fingerprint:
            return dataset
    folder, told = shlex.quote(str(run)), shlex.quote(f"{key}=PATH")
    raise DatasetError(
        f"{_what_is_wrong(named)}; put it back (a link will do), or say where it lies: "
        f"alsweep run {folder}/{SPACE} --out {folder} --set {told}"
    )


def _what_is_wrong(named: Path) -> str:
    try:
        Dataset.open(named)
    except OSError as error:
        return f"{named}: the run's dataset cannot be read ({error.strerror})"
    except DatasetError as error:
        return str(error) if named.exists() else f"{named}: the run's dataset is not there any more"
    return f"{named}: its content is not what the run was made on"
