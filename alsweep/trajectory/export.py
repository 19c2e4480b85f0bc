"""One loop of a trajectory for other programs; nothing of the run or the Dataset is changed."""

from pathlib import Path
from typing import Literal

from alsweep.data.annotator import ReferenceLabels
from alsweep.data.case import Dataset
from alsweep.data.exchange import write_loops, write_raw_dataset
from alsweep.data.ingest.writing import refuse_existing
from alsweep.data.label_store import PartialLabels
from alsweep.errors import RunFolderError
from alsweep.layout import query_path
from alsweep.results.loops import read_query
from alsweep.results.records import read_config
from alsweep.trajectory.annotator import annotated, make_annotator
from alsweep.trajectory.query_log import QueryLog

Target = Literal["nnunet", "nnactive"]


def export_loop(
    folder: Path,
    loop: int | None,
    target: Target,
    out: Path,
    dataset: Dataset | None = None,
) -> list[Path]:
    """Write what is annotated when training ``loop`` begins; return what was written.

    Args:
        folder: Of the trajectory.
        loop: 0 is the starting budget; None the last that has a query.
        target: An nnU-Net raw dataset, or nnActive's loop files up to this one.
        out: Must not exist.
        dataset: What the trajectory ran on, or None to open what its config names.

    Raises:
        RunFolderError: The trajectory has not come to that loop.
        DatasetError: ``out`` exists, or the dataset is not the one that the run began with.
    """
    refuse_existing(out)
    log = QueryLog(folder)
    if loop is None:
        loop = max((k for k in range(read_config(folder).query.loops) if log.has(k)), default=0)
    if not log.has(loop):
        raise RunFolderError(
            f"{folder}: there is no query for loop {loop}; name an earlier --loop or resume the run"
        )
    dataset = dataset or Dataset.open(read_config(folder).dataset)
    if target == "nnactive":
        queries = [read_query(query_path(folder, k)) for k in range(loop + 1)]
        loops = [[queried.patch for queried in query] for query in queries]
        return write_loops(out, loops, dataset.cases)
    labels = loop_labels(folder, dataset, loop)
    write_raw_dataset(out, dataset, labels, ReferenceLabels(dataset))
    return [out]


def loop_labels(folder: Path, dataset: Dataset, loop: int) -> PartialLabels:
    """All labels that a trajectory has when training ``loop`` begins."""
    annotator = make_annotator(read_config(folder), dataset, folder)
    return annotated(dataset, annotator, QueryLog(folder).patches(loop))
